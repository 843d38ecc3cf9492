"""Replies in words: short sentences without figures that a synthesiser could read wrongly."""

from datetime import date, datetime, time

from voxd.reports import TimerEntry
from voxd.skills.numbers import number_words

NOT_UNDERSTOOD = "Sorry, I did not understand that."
NOT_HEARD = "Sorry, I did not hear anything."
OKAY = "Okay."

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SECOND_PERSON = {
    "my": "your", "me": "you", "i": "you", "mine": "yours", "myself": "yourself", "i'm": "you are",
}  # fmt: skip


def clock_words(at: time, *, clock_24h: bool) -> str:
    """Return ``at`` as it is spoken: "seven oh five p m", with ``clock_24h`` "nineteen oh five"."""
    hour = at.hour if clock_24h else at.hour % 12 or 12
    if at.minute == 0:
        minute = " o'clock" if clock_24h else ""
    else:
        minute = f" {number_words(at.minute)}" if at.minute > 9 else f" oh {number_words(at.minute)}"
    half = "" if clock_24h else " a m" if at.hour < 12 else " p m"
    return f"{number_words(hour)}{minute}{half}"


def date_words(day: date) -> str:
    """Return ``day`` as "Friday, November 20th"."""
    return f"{_DAYS[day.weekday()]}, {_MONTHS[day.month - 1]} {day.day}{_ordinal_end(day.day)}"


def weekday(day: date) -> str:
    """Return the name of the weekday."""
    return _DAYS[day.weekday()]


def _ordinal_end(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def count_words(count: int, noun: str) -> str:
    """Return "one timer", "two timers"."""
    return f"{number_words(count)} {noun}{'' if count == 1 else 's'}"


def duration_words(seconds: float) -> str:
    """Return a duration in its two largest units: "one hour and five minutes".

    Seconds are rounded to whole ones; beyond an hour they are left out.
    """
    left = max(0, round(seconds))
    parts = []
    for noun, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(count_words(count, noun))
    return " and ".join(parts[:2]) or "less than a second"


def moment_words(at: datetime, now: datetime, *, clock_24h: bool) -> str:
    """Return ``at`` seen from ``now``: "at seven a m", "tomorrow at seven a m", "on Monday at …"."""
    spoken = f"at {clock_words(at.time(), clock_24h=clock_24h)}"
    days = (at.date() - now.date()).days
    if days == 0:
        return spoken
    if days == 1:
        return f"tomorrow {spoken}"
    return f"on {weekday(at.date())} {spoken}" if days < 7 else f"on {date_words(at.date())} {spoken}"


def to_you(text: str) -> str:
    """Return ``text`` in the second person: "call my mother" becomes "call your mother"."""
    return " ".join(_SECOND_PERSON.get(word, word) for word in text.split())


def title(entry: TimerEntry) -> str:
    """Return what a timer is called: "pizza timer", "timer", "alarm", "reminder to call mother"."""
    if entry.kind == "reminder":
        return f"reminder to {to_you(entry.name)}" if entry.name else "reminder"
    return f"{entry.name} {entry.kind}".strip()


def ring_sentence(entry: TimerEntry) -> str:
    """Return what is said when ``entry`` rings."""
    if entry.kind == "reminder" and entry.name:
        return f"Here is your reminder: {to_you(entry.name)}."
    if entry.kind == "timer":
        return f"Your {title(entry)} is done."
    return f"This is your {title(entry)}."


def figure_words(value: float) -> str:
    """Return the result of a sum in words, with up to two decimals: "minus one point five"."""
    if abs(value) >= 1_000_000:
        return "more than I can say"
    whole, _, decimals = f"{abs(value):.2f}".partition(".")
    decimals = decimals.rstrip("0")
    spoken = number_words(int(whole))
    if decimals:
        spoken += " point " + " ".join(number_words(int(digit)) for digit in decimals)
    return f"minus {spoken}" if value < 0 else spoken


def join_items(items: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(text: str) -> str:
    """Return ``text`` with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
