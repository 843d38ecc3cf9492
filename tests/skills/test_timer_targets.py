"""Which of the things that are set a sentence means."""

from datetime import datetime
from typing import Any

import pytest

from tests.skills.talk import BERLIN
from voxd.reports import Repeat, TimerEntry
from voxd.skills.timer_targets import is_at, kind_of, select
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import Day, When

NOW = datetime(2026, 11, 20, 15, 5, tzinfo=BERLIN)
DAILY = Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))


def entry(
    id: int, kind: str, due: str, name: str = "", minutes: int = 0, repeat: Repeat | None = None
) -> TimerEntry:
    at = datetime.fromisoformat(f"2026-11-{due}").replace(tzinfo=BERLIN)
    return TimerEntry(
        id=id, kind=kind, name=name, due_at=at.timestamp(), due_in_s=(at - NOW).total_seconds(),
        ringing=False, duration_s=minutes * 60.0, repeat=repeat,
    )  # fmt: skip


SET = [
    entry(1, "timer", "20 15:10", "tea", 5),
    entry(2, "timer", "20 15:15", "", 15),
    entry(3, "alarm", "20 19:00"),
    entry(4, "reminder", "20 20:00", "feed the two cats"),
    entry(5, "alarm", "21 00:30", "party"),
    entry(6, "alarm", "21 07:00", "work", repeat=DAILY),
    entry(7, "timer", "21 09:05", "eggs", 1080),
]


@pytest.mark.parametrize(
    ("slots", "ids"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"kind": "timer"}, [1, 2, 7]),
        ({"any_kind": "alarm"}, [3, 5, 6]),
        ({"kind": "timer", "ref": "tea"}, [1]),
        ({"kind": "timer", "ref": "coffee"}, []),
        # "The egg timer" is that for the eggs; no name is guessed from its letters.
        ({"kind": "timer", "ref": "egg"}, [7]),
        ({"kind": "timer", "ref": "ten"}, []),
        ({"kind": "timer", "ref": "te"}, []),
        ({"kind": "reminder", "ref": "cats"}, [4]),
        ({"kind": "timer", "duration": 300}, [1]),
        ({"kind": "timer", "hour": 5}, [1]),
        ({"kind": "alarm", "hour": 7}, [3, 6]),
        ({"kind": "timer", "duration": 600}, []),
        ({"kind": "alarm", "when": When(clock=ClockTime(7, 0, "pm"))}, [3]),
        ({"kind": "alarm", "when": When(clock=ClockTime(7, 0, "am"))}, [6]),
        ({"kind": "alarm", "when": When(clock=ClockTime(7))}, [3, 6]),
        ({"kind": "alarm", "when": When(clock=ClockTime(7, 30), unclear="half_hour")}, []),
        ({"kind": "alarm", "ordinal": 1}, [3]),
        ({"kind": "alarm", "ordinal": 4}, []),
        ({"kind": "timer", "position": -1}, [7]),
        ({"kind": "timer", "position": 1}, [1]),
        ({"options": (6, 3), "ordinal": 2}, [3]),
        ({"options": (99, 3)}, [3]),
        ({"options": (1, 3), "kind": "alarm"}, [3]),
        ({"it": "it"}, [5]),
        ({"it": "it", "kind": "timer"}, [1, 2, 7]),
    ],
)
def test_slots_say_which_one(slots: dict[str, Any], ids: list[int]) -> None:
    assert [found.id for found in select(SET, slots, NOW, (5,))] == ids


def test_without_a_recent_one_it_is_whatever_is_set() -> None:
    assert select(SET, {"it": "it"}, NOW) == SET


@pytest.mark.parametrize(
    ("id", "when", "expected"),
    [
        (3, When(part="evening"), True),
        (3, When(part="morning"), False),
        (6, When(part="morning"), True),
        (3, When(day=Day(days=0)), True),
        (3, When(day=Day(days=1)), False),
        (6, When(day=Day(days=1)), True),
        (6, When(day=Day(weekday=5)), True),
        # Half past midnight is still tonight.
        (5, When(day=Day(days=0), part="night"), True),
        (5, When(clock=ClockTime(12, 30, "night")), True),
        (6, When(repeat=DAILY), True),
        (3, When(repeat=DAILY), False),
        (1, When(duration_s=300.0), True),
        (1, When(duration_s=301.0), False),
    ],
)
def test_a_moment_fits_with_what_it_leaves_open(id: int, when: When, expected: bool) -> None:
    assert is_at(SET[id - 1], when, NOW) is expected


@pytest.mark.parametrize(
    ("slots", "kind"), [({"kind": "timer"}, "timer"), ({"any_kind": "alarm"}, "alarm"), ({}, "")]
)
def test_the_kind_is_named_in_one_of_two_slots(slots: dict[str, Any], kind: str) -> None:
    assert kind_of(slots) == kind
