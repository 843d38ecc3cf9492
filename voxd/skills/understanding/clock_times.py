"""Times of day as people say them: words in, a `ClockTime` out, and what it is in a part of the day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from voxd.skills.understanding.language import Language, Part, load_language
from voxd.skills.understanding.numbers import ClockTime, read_below_hundred, read_number, word_at
from voxd.skills.understanding.phrases import PhraseReading, PhraseTable, Reader

_DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A time of day, the part of the day that was named with it, and why it is not clear ("" when it is)."""

    clock: ClockTime
    part: str = ""
    unclear: str = ""


def read_clock(
    said: Sequence[str], start: int, language: Language | None = None
) -> tuple[ClockTime, int] | None:
    """Return the time of day that begins at word ``start`` and the index after it, or None.

    "half past seven", "quarter to nine", "ten past six p m", "seven thirty", "six o'clock", "noon". A bare
    hour ("seven") is a number, not yet a time, and neither is "half seven" or "twenty five o'clock".
    """
    language = language or load_language()
    found = read_any_clock(PhraseReading(said, clock_readers(language)), start, language)
    return None if found is None or found[0].unclear else (found[0].clock, found[1])


def read_any_clock(
    reading: PhraseReading, start: int, language: Language, *, prefixed: bool = False
) -> tuple[ClockReading, int] | None:
    """Return the time of day at word ``start``, clear or not, and the index after it, or None.

    ``reading`` has the `clock_readers`. ``prefixed``: whether "at" or the like stands before it, after which
    a bare number is an hour.
    """
    best: tuple[ClockReading, int] | None = None
    for phrases, is_sure, is_exact in (
        (language.times, True, True),
        (language.digital_times, True, prefixed),
        (language.open_times, prefixed, False),
    ):
        found = _read_with_half(phrases, reading, start, is_sure=is_sure, language=language)
        # Without a word that only times have, an impossible time is not a time at all.
        if found is None or (found[0].unclear == "no_such_time" and not is_exact and not found[2]):
            continue
        if best is None or found[1] > best[1]:
            best = found[0], found[1]
    return best


def _read_with_half(
    phrases: PhraseTable,
    reading: PhraseReading,
    start: int,
    *,
    is_sure: bool,
    language: Language,
) -> tuple[ClockReading, int, bool] | None:
    """Return the time, the index after it, and whether a half of the day stands behind it."""
    found = phrases.longest(reading, start)
    if found is None:
        return None
    values, end = found
    halves: dict[str, Any] = {}
    while (more := language.halves.longest(reading, end)) is not None:
        if halves.keys() & more[0].keys():
            break
        halves, end = halves | more[0], more[1]
    if not (halves or is_sure) or _goes_on(reading.said, end, language):
        return None
    return _reading(values, halves, language), end, bool(halves)


def _goes_on(said: Sequence[str], end: int, language: Language) -> bool:
    """Whether the number before word ``end`` counts something ("seven percent", "ten to fifteen minutes")."""
    following = word_at(said, end)
    counts = following in language.units or following in language.number_words
    return said[end - 1] in language.number_words and (counts or following in language.tables.clock.not_after)


def _reading(values: Mapping[str, Any], halves: Mapping[str, Any], language: Language) -> ClockReading:
    hour, minute = values.get("hour", 0), values.get("minute", 0)
    if "hundreds" in values:
        hour, minute = divmod(values["hundreds"], 100)
    if not 0 <= minute <= 59:
        return ClockReading(ClockTime(hour, minute), unclear="no_such_time")
    half, unclear = values.get("half", "") or halves.get("half", ""), values.get("unclear", "")
    if values.get("to") and minute:
        # "Ten to twelve p m" is before noon by the clock and before midnight by what people mean.
        unclear = unclear or ("half_day" if hour == 12 and "half" in halves else "")
        hour, minute = {0: 23, 1: 12}.get(hour, hour - 1), 60 - minute
    conflict = "half" in values and halves.get("half", values["half"]) != values["half"]
    clock = ClockTime(hour, minute, half or ("24" if hour == 0 or hour > 12 else ""))
    if conflict or not is_possible(clock):
        return ClockReading(clock, halves.get("part", ""), "no_such_time")
    if "part" in halves:
        clock, conflict_reason = qualify(clock, halves["part"], language)
        unclear = conflict_reason or unclear
    return ClockReading(clock, halves.get("part", ""), unclear)


def is_possible(clock: ClockTime) -> bool:
    """Whether there is such a time of day: not 25 o'clock, and not 13 p m."""
    if not 0 <= clock.hour <= 23 or not 0 <= clock.minute <= 59:
        return False
    return clock.half in ("", "24") or 1 <= clock.hour <= 12 or (clock.half == "am" and clock.hour == 0)


def certain_hour(clock: ClockTime) -> int | None:
    """Return the hour of ``clock`` from 0 to 23, one of the night after as 24 to 28, None when it is open."""
    match clock.half:
        case "am":
            return clock.hour % 12
        case "pm":
            return clock.hour % 12 + 12
        case "night":
            return clock.hour % 12 + (_DAY_HOURS if clock.hour % 12 < 5 else 12)
    return clock.hour if clock.half or clock.hour == 0 or clock.hour > 12 else None


def qualify(clock: ClockTime, part: str, language: Language) -> tuple[ClockTime, str]:
    """Return ``clock`` as it is in a ``part`` of the day, and why it is not clear there ("" when it is).

    Seven in the evening is seven p m, and two at night is after midnight. Raises `KeyError` for an unknown
    part.
    """
    span: Part = language.parts[part]
    certain = certain_hour(clock)
    hours = (clock.hour % 12, clock.hour % 12 + 12) if certain is None else (certain % _DAY_HOURS,)
    for hour in (*hours, *(hour + _DAY_HOURS for hour in hours)):
        if span.first <= hour <= span.last:
            # Twelve in the morning is midnight for some, noon for others.
            if certain is None and hour == 0:
                return clock, "half_day"
            if hour >= _DAY_HOURS:
                return ClockTime(hour % 12 or 12, clock.minute, "night"), ""
            if certain is not None:
                return clock, ""
            return ClockTime(clock.hour, clock.minute, "am" if hour < 12 else "pm"), ""
    return clock, "half_day" if clock.hour == 12 else "no_such_time"


@cache
def clock_readers(language: Language) -> Mapping[str, Reader]:
    """Return what reads the values of the phrases for times of day in ``language``."""
    readers = _ClockReaders(language)
    return {
        "hour": readers.read_below_hundred,
        "number": readers.read_number,
        "digit": readers.read_digit,
        "tens": readers.read_tens,
        "hundreds": readers.read_hundreds,
        "zero_hundreds": readers.read_zero_hundreds,
        "compact": readers.read_compact,
        "point": readers.read_point,
        "part": readers.read_part,
    }


class _ClockReaders:
    def __init__(self, language: Language) -> None:
        numbers = language.tables.numbers
        self._language = language
        self._zeros = (numbers.zero, numbers.below_hundred[0])
        self._hundred = numbers.hundred
        self._point = numbers.point

    def read_below_hundred(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        return read_below_hundred(said, at, self._language)

    def read_number(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        return read_number(said, at, self._language)

    def read_digit(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        found = self.read_below_hundred(said, at)
        return found if found is not None and 1 <= found[0] <= 9 else None

    def read_tens(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        found = self.read_below_hundred(said, at)
        return found if found is not None and found[0] >= 10 else None

    def read_hundreds(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read "fourteen hundred" and "fourteen hundred thirty"."""
        hour = self.read_below_hundred(said, at)
        if hour is None or word_at(said, hour[1]) != self._hundred:
            return None
        minute = self.read_below_hundred(said, hour[1] + 1) or (0, hour[1] + 1)
        return hour[0] * 100 + minute[0], minute[1]

    def read_zero_hundreds(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read "oh seven hundred" and "oh seven thirty"."""
        if word_at(said, at) not in self._zeros:
            return None
        hour = self.read_digit(said, at + 1)
        minute = self.read_tens(said, hour[1]) if hour is not None else None
        if hour is not None and minute is not None:
            return hour[0] * 100 + minute[0], minute[1]
        return self.read_hundreds(said, at + 1)

    def read_compact(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read the number that a recogniser makes of 8:36, 836."""
        found = self.read_number(said, at)
        return found if found is not None and 100 < found[0] <= 2359 and found[0] % 100 else None

    def read_point(self, said: Sequence[str], at: int) -> tuple[int, int] | None:
        """Read the minutes of 8.30, "point three zero"."""
        if word_at(said, at) != self._point:
            return None
        tens, ones = (self.read_below_hundred(said, at + offset) for offset in (1, 2))
        if tens is None or ones is None or tens[0] > 9 or ones[0] > 9:
            return None
        return tens[0] * 10 + ones[0], at + 3

    def read_part(self, said: Sequence[str], at: int) -> tuple[str, int] | None:
        part = self._language.parts.get(word_at(said, at))
        return (part.name, at + 1) if part is not None and said[at] == part.say[0] else None
