"""Which of the timers, alarms and reminders a sentence means: pure rules over what is set."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from voxd.reports import TimerEntry
from voxd.skills.understanding.moments import resolve_day
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import When

_PART_HOURS: dict[str, tuple[int, ...]] = {
    "morning": tuple(range(3, 12)),
    "afternoon": tuple(range(12, 18)),
    "evening": tuple(range(17, 24)),
    "night": (*range(20, 24), *range(5)),
}


def kind_of(slots: Mapping[str, Any]) -> str:
    """Return the kind that ``slots`` name: timer, alarm or reminder, "" when none is named."""
    return str(slots.get("kind") or slots.get("any_kind") or "")


def select(
    entries: Sequence[TimerEntry], slots: Mapping[str, Any], now: datetime, recent: Sequence[int] = ()
) -> list[TimerEntry]:
    """Return those of ``entries`` (in the order they are due) that ``slots`` mean, all when they say nothing.

    ``recent`` are the ids that "it" means; with none, "it" is what is set, whatever that is.
    """
    kind = kind_of(slots)
    found = [entry for entry in entries if not kind or entry.kind == kind]
    if (options := slots.get("options")) is not None:
        by_id = {entry.id: entry for entry in found}
        found = [by_id[id] for id in options if id in by_id]
    if "it" in slots and recent:
        found = [entry for entry in found if entry.id in recent] or found
    if name := slots.get("ref") or slots.get("name") or slots.get("text"):
        found = _named(found, str(name))
    if "duration" in slots:
        found = [entry for entry in found if entry.duration_s == slots["duration"]]
    if (hour := slots.get("hour")) is not None:
        # "The seven alarm" is the one at seven, "the five timer" the one of five minutes.
        moment = When(clock=ClockTime(hour))
        found = [
            entry
            for entry in found
            if (entry.duration_s == hour * 60 if entry.kind == "timer" else is_at(entry, moment, now))
        ]
    if (when := slots.get("when")) is not None:
        if when.unclear:
            return []
        found = [entry for entry in found if is_at(entry, when, now)]
    index = slots.get("ordinal", slots.get("position", slots.get("number")))
    if index is not None:
        return _nth(found, int(index))
    return found


def _nth(found: Sequence[TimerEntry], index: int) -> list[TimerEntry]:
    """Return the one in place ``index``: 1 is the first, -1 the last, -2 the one before it."""
    at = index - 1 if index > 0 else len(found) + index
    return [found[at]] if 0 <= at < len(found) else []


def _named(entries: Sequence[TimerEntry], name: str) -> list[TimerEntry]:
    same = [entry for entry in entries if entry.name == name] or [
        # "The eggs" are what the egg timer is for.
        entry
        for entry in entries
        if entry.name and entry.name.rstrip("s") == name.rstrip("s")
    ]
    if same:
        return same
    # "The mom reminder" is the one to call mom; a timer is called by its whole name.
    words = set(name.split())
    return [entry for entry in entries if entry.kind != "timer" and words <= set(entry.name.split())]


def is_at(entry: TimerEntry, when: When, now: datetime) -> bool:
    """Return whether ``entry`` is due at what ``when`` says; what it leaves open does not matter."""
    at = datetime.fromtimestamp(entry.due_at, now.tzinfo)
    if when.duration_s is not None:
        return entry.duration_s == when.duration_s
    if when.repeat is not None and entry.repeat != when.repeat:
        return False
    if when.day is not None and resolve_day(when.day, now.date()) != _evening_of(at, when):
        return False
    if when.clock is not None:
        return (at.hour, at.minute) in {(hour, when.clock.minute) for hour in _hours(when.clock, when.part)}
    return not when.part or at.hour in _PART_HOURS.get(when.part, range(24))


def _evening_of(at: datetime, when: When) -> date:
    """Return the day ``at`` belongs to: one in the morning is still "tonight"."""
    is_night = when.part == "night" and at.hour < 5
    return date.fromordinal(at.toordinal() - 1) if is_night else at.date()


def _hours(clock: ClockTime, part: str) -> tuple[int, ...]:
    half = clock.half or {"morning": "am", "afternoon": "pm", "evening": "pm"}.get(part, "")
    if half == "24" or clock.hour > 12 or clock.hour == 0:
        return (clock.hour,)
    am, pm = clock.hour % 12, clock.hour % 12 + 12
    if half in ("am", "pm"):
        return (am,) if half == "am" else (pm,)
    return (am, pm)
