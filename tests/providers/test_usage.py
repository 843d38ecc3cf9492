"""Costs of several sessions and stages are summed in one way."""

import pytest

from voxd.providers.usage import Cost, add_costs

OLD = Cost(0.5, 0.25, "2026-03-01")
NEW = Cost(1.0, 2.0, "2026-11-01")


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        (None, None, None),
        (OLD, None, OLD),
        (None, NEW, NEW),
        (OLD, NEW, Cost(1.5, 2.25, "2026-03-01")),
        (NEW, OLD, Cost(1.5, 2.25, "2026-03-01")),
        (NEW, Cost(1.0, 0.0, ""), Cost(2.0, 2.0, "")),
    ],
)
def test_a_sum_of_costs_is_as_old_as_its_oldest_price(
    one: Cost | None, other: Cost | None, total: Cost | None
) -> None:
    assert add_costs(one, other) == total
