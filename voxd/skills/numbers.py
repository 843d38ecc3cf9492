"""Numbers, durations and times of day as people say them: words in, values out, and back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ("", "", *["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])

UNITS: dict[str, int] = {word: value for value, word in enumerate(_ONES)}
"""Words for 0 to 19."""

TENS: dict[str, int] = {word: 10 * value for value, word in enumerate(_TENS) if word}
"""Words for 20, 30 … 90."""

UNIT_SECONDS: dict[str, int] = {
    "second": 1,
    "seconds": 1,
    "minute": 60,
    "minutes": 60,
    "hour": 3600,
    "hours": 3600,
    "day": 86_400,
    "days": 86_400,
}
"""Words for units of time, in seconds."""

PERIODS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("a", "m"), "am"),
    (("am",), "am"),
    (("p", "m"), "pm"),
    (("pm",), "pm"),
    (("in", "the", "morning"), "am"),
    (("in", "the", "afternoon"), "pm"),
    (("in", "the", "evening"), "pm"),
    (("at", "night"), "pm"),
    (("o'clock",), ""),
    (("oclock",), ""),
    (("o", "clock"), ""),
)
"""What may follow an hour, and the half of the day it means."""

_TOKEN = re.compile(r"\d+(?:[.:]\d+)?|[a-z]+(?:'[a-z]+)*")
_INITIALS = re.compile(r"\b([ap])\.\s?m\b\.?")
_GLUED = re.compile(r"(\d)([a-z])")


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day as it was said: ``half`` is am, pm, or "" when that was left open."""

    hour: int
    minute: int = 0
    half: str = ""


def number_words(value: int) -> str:
    """Return ``value`` (0 to 999 999) in words: 90 is "ninety", 105 "one hundred five"."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        return _TENS[value // 10] + (f" {_ONES[value % 10]}" if value % 10 else "")
    head, rest, unit = (
        (value // 100, value % 100, "hundred") if value < 1000 else (value // 1000, value % 1000, "thousand")
    )
    return f"{number_words(head)} {unit}" + (f" {number_words(rest)}" if rest else "")


def words(text: str) -> list[str]:
    """Return ``text`` as lower-case words with numbers spelled out and punctuation gone.

    "Set it for 7:30 a.m." is set it for seven thirty a m.
    """
    text = _INITIALS.sub(r"\1 m", text.lower().replace("\u2019", "'"))
    text = _GLUED.sub(r"\1 \2", text.replace("%", " percent ").replace("-", " "))
    found: list[str] = []
    for token in _TOKEN.findall(text):
        found.extend(_digit_words(token) if token[0].isdigit() else [token])
    return found


def _digit_words(token: str) -> list[str]:
    if ":" in token:
        hour, minute = (int(part[:4]) for part in token.split(":"))
        if minute == 0:
            return [*number_words(hour).split(), "o'clock"]
        spoken_minute = number_words(minute) if minute > 9 else f"oh {number_words(minute)}"
        return [*number_words(hour).split(), *spoken_minute.split()]
    if "." in token:
        whole, fraction = token.split(".")
        digits = " ".join(_ONES[int(digit)] for digit in fraction[:4])
        return [*number_words(min(int(whole[:7]), 999_999)).split(), "point", *digits.split()]
    return number_words(min(int(token[:7]), 999_999)).split()


def read_number(said: Sequence[str], start: int) -> tuple[int, int] | None:
    """Return the number that begins at word ``start`` and the index after it, or None."""
    head = _read_below_thousand(said, start)
    if head is None and said[start : start + 2] == ["a", "thousand"]:
        head = (1, start + 1)
    if head is None or said[head[1] : head[1] + 1] != ["thousand"]:
        return head
    value, end = head[0] * 1000, head[1] + 1
    rest = _read_below_thousand(said, end + (said[end : end + 1] == ["and"]))
    return (value + rest[0], rest[1]) if rest is not None and rest[0] else (value, end)


def _read_below_thousand(said: Sequence[str], start: int) -> tuple[int, int] | None:
    head = _read_below_hundred(said, start)
    if head is None and said[start : start + 2] == ["a", "hundred"]:
        head = (1, start + 1)
    if head is None or not 1 <= head[0] <= 9 or said[head[1] : head[1] + 1] != ["hundred"]:
        return head
    value, end = head[0] * 100, head[1] + 1
    rest = _read_below_hundred(said, end + (said[end : end + 1] == ["and"]))
    return (value + rest[0], rest[1]) if rest is not None and rest[0] else (value, end)


def _read_below_hundred(said: Sequence[str], start: int) -> tuple[int, int] | None:
    if start >= len(said):
        return None
    word = said[start]
    if word in UNITS:
        return UNITS[word], start + 1
    if word not in TENS:
        return None
    following = UNITS.get(said[start + 1], 0) if start + 1 < len(said) else 0
    return (TENS[word] + following, start + 2) if 1 <= following <= 9 else (TENS[word], start + 1)


def read_duration(said: Sequence[str], start: int) -> tuple[float, int] | None:
    """Return the duration in seconds that begins at word ``start`` and the index after it, or None.

    "an hour and a half", "two and a half minutes", "one hour and twenty minutes", "half an hour",
    "three quarters of an hour", "a couple of minutes".
    """
    part = _read_part(said, start)
    if part is None:
        return None
    total, end, unit = part
    while end < len(said):
        joined = end + 1 if said[end] == "and" else end
        if said[joined : joined + 2] == ["a", "half"]:
            return total + unit / 2, joined + 2
        more = _read_part(said, joined)
        # "one hour twenty minutes" goes on to a smaller unit; "five minutes ten hours" does not.
        if more is None or more[2] >= unit:
            break
        total, end, unit = total + more[0], more[1], more[2]
    return total, end


def _read_part(said: Sequence[str], start: int) -> tuple[float, int, int] | None:
    """Return seconds, the index after, and the unit's seconds of one amount of one unit."""
    amount = _read_amount(said, start)
    if amount is None:
        return None
    value, end = amount
    if end < len(said) and said[end] in UNIT_SECONDS:
        unit = UNIT_SECONDS[said[end]]
        return value * unit, end + 1, unit
    return None


_AMOUNTS: tuple[tuple[tuple[str, ...], float], ...] = (
    (("three", "quarters", "of", "an"), 0.75),
    (("a", "quarter", "of", "an"), 0.25),
    (("quarter", "of", "an"), 0.25),
    (("a", "couple", "of"), 2),
    (("a", "couple"), 2),
    (("half", "an"), 0.5),
    (("half", "a"), 0.5),
    (("a", "half"), 0.5),
    (("an",), 1),
    (("a",), 1),
)


def _read_amount(said: Sequence[str], start: int) -> tuple[float, int] | None:
    for phrase, value in _AMOUNTS:
        end = start + len(phrase)
        if tuple(said[start:end]) == phrase and end < len(said) and said[end] in UNIT_SECONDS:
            return value, end
    number = read_number(said, start)
    if number is None:
        return None
    whole, end = number
    if said[end : end + 3] == ["and", "a", "half"]:
        return whole + 0.5, end + 3
    if said[end : end + 1] == ["point"]:
        digits = ""
        end += 1
        while end < len(said) and UNITS.get(said[end], 10) < 10:
            digits, end = digits + str(UNITS[said[end]]), end + 1
        return float(f"{whole}.{digits or 0}"), end
    return whole, end


def read_clock(said: Sequence[str], start: int) -> tuple[ClockTime, int] | None:
    """Return the time of day that begins at word ``start`` and the index after it, or None.

    "half past seven", "quarter to nine", "ten past six p m", "seven thirty", "six o'clock", "noon". A bare
    hour ("seven") is a number, not yet a time: the sentence decides.
    """
    if start < len(said) and said[start] in ("noon", "midday", "midnight"):
        return ClockTime(0 if said[start] == "midnight" else 12, 0, "24"), start + 1
    found = _read_relative(said, start) or _read_hour_minute(said, start)
    if found is None:
        return None
    hour, minute, end, sure = found
    for phrase, half in PERIODS:
        after = end + len(phrase)
        if tuple(said[end:after]) == phrase:
            return (ClockTime(hour, minute, half), after) if _possible(hour, minute) else None
    return (ClockTime(hour, minute), end) if sure and _possible(hour, minute) else None


def _possible(hour: int, minute: int) -> bool:
    return 0 <= hour <= 23 and 0 <= minute <= 59


def _read_relative(said: Sequence[str], start: int) -> tuple[int, int, int, bool] | None:
    at = start + 1 if said[start : start + 2] == ["a", "quarter"] else start
    if said[at : at + 1] in (["half"], ["quarter"]):
        minute, at = (30 if said[at] == "half" else 15), at + 1
    else:
        number = _read_below_hundred(said, at)
        if number is None:
            return None
        minute, at = number
        at += said[at : at + 1] == ["minutes"]
    if said[at : at + 1] not in (["past"], ["after"], ["to"]):
        return None
    hour = _read_below_hundred(said, at + 1)
    if hour is None or not 1 <= hour[0] <= 23 or not 1 <= minute <= 59:
        return None
    if said[at] == "to":
        return (hour[0] - 1 or 12 if hour[0] <= 12 else hour[0] - 1), 60 - minute, hour[1], True
    return hour[0], minute, hour[1], True


def _read_hour_minute(said: Sequence[str], start: int) -> tuple[int, int, int, bool] | None:
    hour = _read_below_hundred(said, start)
    if hour is None or hour[0] > 23:
        return None
    value, end = hour
    if said[end : end + 1] in (["oh"], ["o"]) and (digit := _read_below_hundred(said, end + 1)):
        if 1 <= digit[0] <= 9:
            return value, digit[0], digit[1], True
        return None
    minute = _read_below_hundred(said, end)
    if minute is not None and 10 <= minute[0] <= 59:
        return value, minute[0], minute[1], True
    return value, 0, end, False
