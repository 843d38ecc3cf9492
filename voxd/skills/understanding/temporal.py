"""Lengths of time, days, dates and repetitions as people say them: words in, a `When` or seconds out.

Only what is certain is read: "a few minutes" is not a duration, and "someday" is not a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from voxd.skills.understanding.clock_times import (
    ClockReading,
    certain_hour,
    clock_readers,
    is_possible,
    qualify,
    read_any_clock,
)
from voxd.skills.understanding.language import Language, Unit, load_language
from voxd.skills.understanding.numbers import (
    ClockTime,
    read_below_hundred,
    read_number,
    read_ordinal,
    word_at,
)
from voxd.skills.understanding.phrases import PhraseReading, Reader
from voxd.store.timers import Repeat

_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Day:
    """Which day, in one of these ways: ``days``, ``weekday``, ``weeks``, or a date.

    ``days`` counts from today (0). ``weekday`` (Monday 0) is the next such day; with ``weeks`` 0 that of the
    next calendar week, with 1 and more as many weeks after the next one. ``weeks`` alone counts from today.
    ``day_of_month`` alone is the next such date; it can have ``month``, ``year`` and its ``weekday``.
    """

    days: int | None = None
    weekday: int | None = None
    weeks: int | None = None
    month: int | None = None
    day_of_month: int | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class When:
    """A time as it was said.

    ``part`` is the part of the day that was named; where there is a clock, its half follows from it.
    ``unclear`` says why it means no one time: half_hour ("half seven"), half_day, which_day, which_night,
    no_such_time.
    """

    duration_s: float | None = None
    clock: ClockTime | None = None
    part: str = ""
    day: Day | None = None
    repeat: Repeat | None = None
    unclear: str = ""


def merge_when(known: When, said: When) -> When:
    """Return ``known`` with everything that ``said`` adds or corrects.

    A part of the day in one qualifies the clock of the other: "tonight" and "at one" are after midnight.
    """
    changes = {part.name: value for part in fields(said) if (value := getattr(said, part.name))}
    merged = replace(known, **changes)
    if merged.clock is None or not merged.part or (said.clock is None) is not bool(said.part):
        return merged
    if said.clock is not None and certain_hour(said.clock) is not None:
        return replace(merged, part="")
    if not is_possible(merged.clock):
        return merged
    clock, reason = qualify(merged.clock, merged.part, load_language())
    repeat, unclear = merged.repeat, reason or merged.unclear
    if not unclear and (certain_hour(clock) or 0) >= 24:
        clock, repeat, unclear = _night_after(clock, repeat, merged.day, is_named=True)
    return replace(merged, clock=clock, repeat=repeat, unclear=unclear)


@dataclass(frozen=True, slots=True)
class _Length:
    seconds: float
    end: int
    largest: Unit
    smallest: Unit


def read_duration(
    said: Sequence[str], start: int, language: Language | None = None
) -> tuple[float, int] | None:
    """Return the duration in seconds that begins at word ``start`` and the index after it, or None.

    "an hour and a half", "two and a half minutes", "one hour and twenty minutes", "half an hour",
    "three quarters of an hour", "a couple of minutes", "one hour twenty".
    """
    length = _read_length(said, start, language or load_language())
    return (length.seconds, length.end) if length is not None else None


def _read_length(said: Sequence[str], start: int, language: Language) -> _Length | None:
    part = _read_part(said, start, language)
    if part is None:
        return None
    length = _Length(part[0], part[1], part[2], part[2])
    joiners = language.tables.durations.joiners
    while True:
        end = length.end
        # "one hour twenty minutes" goes on to a smaller unit; "five minutes ten hours" does not.
        more = _read_part(said, end + (word_at(said, end) in joiners), language)
        if more is None or more[2].seconds >= length.smallest.seconds:
            break
        length = _Length(length.seconds + more[0], more[1], length.largest, more[2])
    fraction = language.fractions.longest(PhraseReading(said, {}), length.end)
    if fraction is not None:
        added = fraction[0]["value"] * length.smallest.seconds
        return _Length(length.seconds + added, fraction[1], length.largest, length.smallest)
    return _with_bare_number(said, length, language)


def _read_part(said: Sequence[str], start: int, language: Language) -> tuple[float, int, Unit] | None:
    """Return the seconds of one amount of one unit, the index after it, and the unit."""
    for value, end in _amounts(said, start, language):
        unit = language.units.get(word_at(said, end))
        if unit is not None:
            return value * unit.seconds, end + 1, unit
    return None


def _amounts(said: Sequence[str], start: int, language: Language) -> list[tuple[float, int]]:
    """Return the amounts that may begin at word ``start``, each with the index after it."""
    reading = PhraseReading(said, {})
    amounts: list[tuple[float, int]] = [
        (found["value"], end) for found, end in language.amounts.all(reading, start)
    ]
    number = read_number(said, start, language)
    if number is None:
        return amounts
    whole, end = number
    fraction = language.fractions.longest(reading, end)
    if fraction is not None:
        amounts.append((whole + fraction[0]["value"], fraction[1]))
    if word_at(said, end) == language.tables.numbers.point:
        digits = ""
        while (digit := language.cardinals.get((word_at(said, end + 1),), 10)) < 10:
            digits, end = digits + str(digit), end + 1
        return [*amounts, (float(f"{whole}.{digits}"), end + 1)] if digits else amounts
    return [*amounts, (whole, end)]


def _with_bare_number(said: Sequence[str], length: _Length, language: Language) -> _Length:
    """Return ``length`` with a number behind it: "one hour twenty" is eighty minutes."""
    number = read_number(said, length.end, language) if length.smallest.bare else None
    # Below ten it may be a misheard word: "in one hour to call" and "for".
    if number is None or not 10 <= number[0] <= 59 or length.seconds % length.smallest.seconds:
        return length
    following = word_at(said, number[1])
    if (
        following in language.number_words | language.temporal_words
        or following in language.tables.clock.not_after
    ):
        return length
    seconds = length.seconds + number[0] * length.smallest.bare
    smaller = next(unit for unit in language.units.values() if unit.seconds == length.smallest.bare)
    return _Length(seconds, number[1], length.largest, smaller)


def read_when(said: Sequence[str], start: int, language: Language | None = None) -> tuple[When, int] | None:
    """Return the longest expression of time that begins at word ``start`` and the index after it, or None.

    Its parts stand in any order: "tomorrow at seven", "at half past six on mondays", "in two weeks at noon".
    A length of time alone ("five minutes") is not one, "in five minutes" is.
    """
    language = language or load_language()
    reading = PhraseReading(said, _readers(language))
    values: dict[str, Any] = {}
    end = start
    while (found := _read_next(reading, end, values, language)) is not None:
        values, end = found
    return (_build(values, language), end) if values else None


def _read_next(
    reading: PhraseReading, start: int, values: Mapping[str, Any], language: Language
) -> tuple[dict[str, Any], int] | None:
    """Return ``values`` with those of the longest part that begins at ``start`` and fits, and its end."""
    best: tuple[dict[str, Any], int] | None = None
    for more, end in (
        *_phrases_at(reading, start, language),
        *_clocks_at(reading, start, language, is_first=not values),
    ):
        joined = _join(values, more)
        if joined is not None and (best is None or end > best[1]):
            best = joined, end
    return best


def _phrases_at(reading: PhraseReading, start: int, language: Language) -> list[tuple[dict[str, Any], int]]:
    at = start + (word_at(reading.said, start) in language.tables.calendar.prefixes)
    found = [language.when_phrases.longest(reading, place) for place in {start, at}]
    return [each for each in found if each is not None]


def _clocks_at(
    reading: PhraseReading, start: int, language: Language, *, is_first: bool
) -> list[tuple[dict[str, Any], int]]:
    prefixed = word_at(reading.said, start) in language.tables.clock.prefixes
    found = read_any_clock(reading, start + prefixed, language, prefixed=prefixed)
    if found is None and is_first and not prefixed:
        # "Seven tomorrow" is a time, because a day stands behind it.
        bare = read_any_clock(reading, start, language, prefixed=True)
        if bare is not None and _phrases_at(reading, bare[1], language):
            found = bare
    return [({"reading": found[0]}, found[1])] if found is not None else []


_ALONE = {"duration_s", "interval_s"}
_REPEATS = {"weekdays", "every_weeks", "month_day", "monthly"}
_DAYS = {"days", "weekday", "weeks", "month", "day_of_month", "year"}


def _join(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return both together, None when they do not make one time."""
    both = {**values, **more}
    if any(values[key] != more[key] or key != "part" for key in values.keys() & more.keys()):
        return None
    if not values:
        return both
    kinds = both.keys() - {"reading", "part", "unclear"}
    if kinds & _ALONE or ("unclear" in both and kinds):
        return None
    days = kinds & _DAYS
    if (
        values.keys() & _DAYS
        and more.keys() & _DAYS
        and not (days == {"weekday", "weeks"} and not both["weeks"])
    ):
        return None
    repeats = kinds & _REPEATS
    if not repeats or not days:
        return both if len(repeats) < 2 or repeats == {"weekdays", "every_weeks"} else None
    # "every other week on friday", "every month on the first"
    fits = (repeats, days) in (({"every_weeks"}, {"weekday"}), ({"monthly"}, {"day_of_month"}))
    return both if fits else None


def _build(values: Mapping[str, Any], language: Language) -> When:
    reading: ClockReading | None = values.get("reading")
    clock, unclear = (reading.clock, reading.unclear) if reading is not None else (None, "")
    part = values.get("part", "")
    if clock is not None and part and is_possible(clock):
        clock, reason = qualify(clock, part, language)
        unclear = reason or unclear
    try:
        repeat, day = _repeat_of(values), _day_of(values)
    except ValueError:
        # On the 40th of every month, or every zero weeks.
        return When(clock=clock, part=part, unclear="no_such_date")
    unclear = unclear or values.get("unclear", "") or _doubt_about_day(values, repeat, day)
    if not unclear and clock is not None and (certain_hour(clock) or 0) >= 24:
        clock, repeat, unclear = _night_after(clock, repeat, day, is_named=bool(part))
    part = part or (reading.part if reading is not None else "")
    return When(values.get("duration_s"), clock, part, day, repeat, unclear)


def _night_after(
    clock: ClockTime, repeat: Repeat | None, day: Day | None, *, is_named: bool
) -> tuple[ClockTime, Repeat | None, str]:
    """Return what a time after midnight is on a day that was named, and why it is not clear ("" when it is).

    "Tomorrow at midnight" is that of tonight for some, a day later for others; "tomorrow night" says which.
    """
    is_every_day = repeat is not None and len(repeat.weekdays) == 7
    if is_every_day or (repeat is None and (day is None or day.days == 0)):
        return clock, repeat, ""
    if not is_named or (repeat is not None and repeat.month_day):
        return clock, repeat, "which_night"
    if repeat is None:
        return clock, None, ""
    # "Every friday night at one" is on saturdays.
    shifted = tuple(sorted((weekday + 1) % 7 for weekday in repeat.weekdays))
    return ClockTime(clock.hour % 12, clock.minute, "24"), Repeat(shifted, repeat.every_weeks), ""


def _repeat_of(values: Mapping[str, Any]) -> Repeat | None:
    if not values.keys() & (_REPEATS | {"interval_s"}):
        return None
    weekdays = tuple(sorted(set(values.get("weekdays", ()))))
    if "every_weeks" in values and "weekday" in values:
        weekdays = (values["weekday"],)
    month_day = values.get("day_of_month", 0) if "monthly" in values else values.get("month_day", 0)
    interval_s = values.get("interval_s", 0.0)
    if not (weekdays or month_day or interval_s):
        return None
    return Repeat(weekdays, values.get("every_weeks", 1), month_day, interval_s)


def _day_of(values: Mapping[str, Any]) -> Day | None:
    found = {key: values[key] for key in _DAYS & values.keys()}
    return Day(**found) if found and not values.keys() & _REPEATS else None


def _doubt_about_day(values: Mapping[str, Any], repeat: Repeat | None, day: Day | None) -> str:
    # "Every other week" and "every month" alone do not say on which day.
    if repeat is None and values.keys() & _REPEATS:
        return "which_day"
    return "which_day" if day is not None and day.weeks == 0 and day.weekday is None else ""


@cache
def _readers(language: Language) -> Mapping[str, Reader]:
    readers = _CalendarReaders(language)
    return {
        **clock_readers(language),
        "count": readers.read_count,
        "below_hundred": readers.read_below_hundred,
        "single": readers.read_single,
        "ordinal": readers.read_ordinal,
        "duration": readers.read_duration,
        "interval": readers.read_interval,
        "plural_part": readers.read_plural_part,
        "weekday": readers.read_weekday,
        "weekdays": readers.read_weekdays,
        "weekday_list": readers.read_weekday_list,
        "plural_weekdays": readers.read_plural_weekdays,
        "weekday_range": readers.read_weekday_range,
        "month": readers.read_month,
        "year": readers.read_year,
    }


class _CalendarReaders:
    def __init__(self, language: Language) -> None:
        self._language = language
        self._calendar = language.tables.calendar

    def read_count(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read a whole number, also "a" and "a couple of"."""
        amounts = _amounts(said, at, self._language)
        whole = [(int(value), end) for value, end in amounts if value == int(value) and value >= 1]
        return max(whole, key=lambda amount: amount[1], default=None)

    def read_below_hundred(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        return read_below_hundred(said, at, self._language)

    def read_single(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read a number of one word."""
        return read_below_hundred(said[: at + 1], at, self._language)

    def read_ordinal(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        return read_ordinal(said, at, self._language)

    def read_duration(self, said: Sequence[str], at: int) -> tuple[float, int] | None:
        return read_duration(said, at, self._language)

    def read_interval(self, said: Sequence[str], at: int) -> tuple[float, int] | None:
        """Read how often something comes again on one day."""
        length = _read_length(said, at, self._language)
        if length is None or length.largest.seconds > _HOUR_S or length.seconds < 60:
            return None
        return length.seconds, length.end

    def read_plural_part(self, said: Sequence[str], at: int) -> tuple[str, int] | None:
        part = self._language.parts.get(word_at(said, at))
        return (part.name, at + 1) if part is not None and said[at] == part.say[1] else None

    def read_weekday(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        weekday = self._language.weekdays.get(word_at(said, at))
        if weekday is None or said[at] != self._calendar.weekdays[weekday][0]:
            return None
        return weekday, at + 1

    def read_weekdays(self, said: Sequence[str], at: int) -> tuple[tuple[int, ...], int] | None:
        """Read one or more weekdays, singular or plural, or a range of them."""
        in_range = self.read_weekday_range(said, at)
        if in_range is not None:
            return in_range
        found: list[int] = []
        end = at
        while True:
            place = end + (bool(found) and word_at(said, end) in self._calendar.joiners)
            weekday = self._language.weekdays.get(word_at(said, place))
            if weekday is None:
                return (tuple(found), end) if found else None
            found, end = [*found, weekday], place + 1

    def read_weekday_list(self, said: Sequence[str], at: int) -> tuple[tuple[int, ...], int] | None:
        found = self.read_weekdays(said, at)
        return found if found is not None and not self._is_plural(said[found[1] - 1]) else None

    def read_plural_weekdays(self, said: Sequence[str], at: int) -> tuple[tuple[int, ...], int] | None:
        found = self.read_weekdays(said, at)
        return found if found is not None and self._is_plural(said[found[1] - 1]) else None

    def _is_plural(self, word: str) -> bool:
        return any(word in names[1:] for names in self._calendar.weekdays)

    def read_weekday_range(self, said: Sequence[str], at: int) -> tuple[tuple[int, ...], int] | None:
        """Read "monday to friday"."""
        first = self._language.weekdays.get(word_at(said, at))
        last = self._language.weekdays.get(word_at(said, at + 2))
        if first is None or last is None or said[at + 1] not in self._calendar.weekday_ranges:
            return None
        return tuple((first + day) % 7 for day in range((last - first) % 7 + 1)), at + 3

    def read_month(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        month = self._language.months.get(word_at(said, at))
        return (month + 1, at + 1) if month is not None else None

    def read_year(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read "two thousand twenty seven" and "twenty twenty seven"."""
        number = read_number(said, at, self._language)
        if number is None:
            return None
        if number[0] == 20:
            rest = read_below_hundred(said, number[1], self._language)
            return (2000 + rest[0], rest[1]) if rest is not None and rest[0] >= 10 else None
        return number if 2000 <= number[0] <= 2999 else None
