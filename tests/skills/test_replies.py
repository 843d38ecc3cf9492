"""What is said is short, in words, and right about one and many."""

from datetime import date, datetime, time

import pytest

from voxd.reports import TimerEntry
from voxd.skills import replies


@pytest.mark.parametrize(
    ("at", "clock_24h", "expected"),
    [
        (time(19, 5), False, "seven oh five p m"),
        (time(0, 0), False, "twelve a m"),
        (time(12, 30), False, "twelve thirty p m"),
        (time(7, 0), False, "seven a m"),
        (time(19, 5), True, "nineteen oh five"),
        (time(0, 30), True, "zero thirty"),
        (time(7, 0), True, "seven o'clock"),
    ],
)
def test_times(at: time, clock_24h: bool, expected: str) -> None:
    assert replies.clock_words(at, clock_24h=clock_24h) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 20), "Friday, November 20th"),
        (date(2026, 11, 1), "Sunday, November 1st"),
        (date(2026, 11, 2), "Monday, November 2nd"),
        (date(2026, 11, 3), "Tuesday, November 3rd"),
        (date(2026, 11, 11), "Wednesday, November 11th"),
        (date(2026, 12, 31), "Thursday, December 31st"),
    ],
)
def test_dates(day: date, expected: str) -> None:
    assert replies.date_words(day) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "less than a second"),
        (1, "one second"),
        (60, "one minute"),
        (90, "one minute and thirty seconds"),
        (300, "five minutes"),
        (3660, "one hour and one minute"),
        (5405, "one hour and thirty minutes"),
        (90_000, "one day and one hour"),
        (299.7, "five minutes"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert replies.duration_words(seconds) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20 19:00", "at seven p m"),
        ("2026-11-21 07:00", "tomorrow at seven a m"),
        ("2026-11-23 07:00", "on Monday at seven a m"),
        ("2026-11-27 07:00", "on Friday, November 27th at seven a m"),
    ],
)
def test_moments(at: str, expected: str) -> None:
    now = datetime.fromisoformat("2026-11-20 15:00")
    assert replies.moment_words(datetime.fromisoformat(at), now, clock_24h=False) == expected


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("timer", "", "Your timer is done."),
        ("timer", "pizza", "Your pizza timer is done."),
        ("alarm", "", "This is your alarm."),
        ("reminder", "call my mother", "Here is your reminder: call your mother."),
        ("reminder", "", "This is your reminder."),
    ],
)
def test_what_is_said_when_it_rings(kind: str, name: str, expected: str) -> None:
    entry = TimerEntry(id=1, kind=kind, name=name, due_at=0.0, due_in_s=0.0, ringing=True)
    assert replies.ring_sentence(entry) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (4, "four"),
        (-3, "minus three"),
        (3.5, "three point five"),
        (1 / 3, "zero point three three"),
        (0, "zero"),
        (2_000_000, "more than I can say"),
    ],
)
def test_figures(value: float, expected: str) -> None:
    assert replies.figure_words(value) == expected


def test_lists_end_with_and() -> None:
    assert [replies.join_items([*"abc"[:n]]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
