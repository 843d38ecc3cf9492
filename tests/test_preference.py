"""The order in which the candidates of a preference list are tried."""

import pytest

from voxd.preference import order_candidates


@pytest.mark.parametrize(
    ("unhealthy", "barred", "is_last_resort", "order"),
    [
        ("", "", False, "abc"),
        ("a", "", False, "bca"),
        ("a", "", True, "bc"),
        ("ab", "", False, "cab"),
        ("abc", "", False, "abc"),
        ("abc", "", True, "abc"),
        ("abc", "b", True, "ac"),
        ("ac", "a", False, "bc"),
        ("abc", "abc", False, ""),
        ("", "abc", True, "abc"),
    ],
)
def test_healthy_candidates_come_before_those_that_may_be_tried(
    unhealthy: str, barred: str, is_last_resort: bool, order: str
) -> None:
    found = order_candidates(
        "abc",
        is_healthy=lambda name: name not in unhealthy,
        can_try=lambda name: name not in barred,
        is_last_resort=is_last_resort,
    )
    assert "".join(found) == order


def test_health_is_read_when_a_candidates_turn_comes() -> None:
    unhealthy: set[str] = set()
    found = order_candidates(
        "ab", is_healthy=lambda name: name not in unhealthy, can_try=lambda _: True, is_last_resort=False
    )
    assert next(found) == "a"
    unhealthy.add("b")
    assert list(found) == ["b"], "tried last"


def test_no_candidates_give_none() -> None:
    assert list(order_candidates("", is_healthy=bool, can_try=bool, is_last_resort=False)) == []
