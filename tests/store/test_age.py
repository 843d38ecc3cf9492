"""Nothing grows old because a clock was wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.properties import examples
from voxd.store.age import MAX_OFF_S, AgeClock, AgeStamp, advance_age, boot_id
from voxd.store.db import Database

YEAR_S = 365.25 * 86_400
BEFORE = AgeStamp(lived_s=500.0, monotonic_s=1000.0, wall_s=1_800_000_000.0, boot="a")


@pytest.mark.parametrize(
    ("monotonic_s", "wall_step_s", "boot", "grown_s"),
    [
        (1060.0, 60.0, "a", 60.0),
        (1060.0, 56 * YEAR_S, "a", 60.0),
        (1060.0, -50 * YEAR_S, "a", 60.0),
        (1060.0, 8 * 86_400.0, "a", 60.0),
        (5.0, 3600.0, "b", 3600.0),
        (5.0, -3600.0, "b", 0.0),
        (5.0, 56 * YEAR_S, "b", 0.0),
        (5.0, -50 * YEAR_S, "b", 0.0),
        (5.0, MAX_OFF_S, "b", MAX_OFF_S),
        (5.0, MAX_OFF_S + 1, "b", 0.0),
    ],
)
def test_age_is_monotonic_within_a_boot_and_plausible_wall_time_between_boots(
    monotonic_s: float, wall_step_s: float, boot: str, grown_s: float
) -> None:
    now = advance_age(BEFORE, monotonic_s, BEFORE.wall_s + wall_step_s, boot)
    assert now.lived_s == pytest.approx(500.0 + grown_s)


def test_a_new_database_is_newborn() -> None:
    assert advance_age(None, 7.0, 8.0, "x") == AgeStamp(0.0, 7.0, 8.0, "x")


def test_without_a_boot_id_the_wall_clock_counts_and_is_checked() -> None:
    nameless = AgeStamp(0.0, 1000.0, 100.0, "")
    assert advance_age(nameless, 5.0, 160.0, "").lived_s == 60.0


@examples(50)
@given(steps=st.lists(st.floats(-3e9, 3e9), max_size=8))
def test_no_sequence_of_clock_steps_in_one_boot_ages_anything(steps: list[float]) -> None:
    stamp, monotonic_s, wall_s = BEFORE, BEFORE.monotonic_s, BEFORE.wall_s
    for step_s in steps:
        monotonic_s += 1.0
        wall_s += step_s
        stamp = advance_age(stamp, monotonic_s, wall_s, "a")
    assert stamp.lived_s == pytest.approx(BEFORE.lived_s + len(steps))


def test_the_kernel_names_its_boot_the_same_way_twice() -> None:
    assert boot_id() == boot_id()


async def test_all_tables_of_a_database_grow_old_together(tmp_path: Path) -> None:
    database, clock = Database(tmp_path / "voxd.db"), FakeClock()
    await database.open()
    one, two = AgeClock(clock, boot="a"), AgeClock(clock, boot="a")
    assert (await database.run(one.now)).lived_s == 0.0
    await clock.advance(60)
    assert (await database.run(two.peek)).lived_s == 60.0
    changes = await database.run(lambda connection: connection.total_changes)
    await database.run(one.peek)
    assert await database.run(lambda connection: connection.total_changes) == changes, (
        "looking writes nothing"
    )
    await database.run(two.now)
    later = AgeClock(FakeClock(monotonic=5.0, wall=clock.wall() + 3600), boot="b")
    assert (await database.run(later.now)).lived_s == 3660.0, "over a restart too"
    await database.close()
