"""Replies in words: short sentences without figures that a synthesiser could read wrongly."""

from datetime import date, datetime, time
from functools import cache
from importlib import resources

import msgspec
import tomli

from voxd.reports import TimerEntry
from voxd.skills.understanding.numbers import ClockTime, number_words, ordinal_words
from voxd.skills.understanding.temporal import Day


class ReplyTexts(msgspec.Struct, frozen=True):
    """What `languages/<code>/replies.toml` holds."""

    texts: dict[str, str]
    fixed: dict[str, str]
    jokes: dict[str, tuple[str, ...]]
    words: dict[str, tuple[str, ...] | str]
    nouns: dict[str, tuple[str, str]]
    second_person: dict[str, str]


@cache
def load_replies(code: str = "en") -> ReplyTexts:
    """Return what the device says in the language ``code``."""
    text = resources.files("voxd.skills").joinpath(f"languages/{code}/replies.toml").read_text("utf-8")
    return msgspec.convert(tomli.loads(text), ReplyTexts)


def say(key: str, **values: str) -> str:
    """Return the text ``key`` with its {values}, as a sentence if it is one."""
    template = load_replies().texts[key]
    text = template.format(**values)
    return text[:1].upper() + text[1:] if template.endswith((".", "?", "!")) else text


def noun(name: str, count: int = 1) -> str:
    """Return the noun ``name`` for ``count`` things: timer, timers."""
    singular, many = load_replies().nouns[name]
    return singular if count == 1 else many


def plural(name: str) -> str:
    """Return the noun ``name`` for several things."""
    return noun(name, 2)


def clock_words(at: time, *, clock_24h: bool) -> str:
    """Return ``at`` as it is spoken: "seven oh five p m", with ``clock_24h`` "nineteen oh five"."""
    hour = at.hour if clock_24h else at.hour % 12 or 12
    if at.minute == 0:
        minute = " o'clock" if clock_24h else ""
    else:
        minute = f" {number_words(at.minute)}" if at.minute > 9 else f" oh {number_words(at.minute)}"
    half = "" if clock_24h else " a m" if at.hour < 12 else " p m"
    return f"{number_words(hour)}{minute}{half}"


def said_clock_words(said: ClockTime) -> str:
    """Return a time of day as it was said, the half of the day only if it was: "half past six"."""
    minute = "" if said.minute == 0 else f" {number_words(said.minute)}"
    half = {"am": " a m", "pm": " p m"}.get(said.half, "")
    return f"{number_words(said.hour)}{minute}{half}"


def clock_of(at: datetime) -> ClockTime:
    """Return the time of day of ``at``, certain of its half."""
    return ClockTime(at.hour, at.minute, "24")


def day_of(at: datetime) -> Day:
    """Return the date of ``at``."""
    return Day(month=at.month, day_of_month=at.day, year=at.year)


def local_time(entry: TimerEntry, now: datetime) -> datetime:
    """Return when ``entry`` is due, in the zone of ``now``."""
    return datetime.fromtimestamp(entry.due_at, now.tzinfo)


def date_words(day: date) -> str:
    """Return ``day`` as "Friday, November 20th"."""
    months = load_replies().words["months"]
    return f"{weekday(day)}, {months[day.month - 1]} {day.day}{_ordinal_end(day.day)}"


def weekday(day: date) -> str:
    """Return the name of the weekday."""
    return str(load_replies().words["days"][day.weekday()])


def _ordinal_end(number: int) -> str:
    if 10 <= number % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def count_words(count: int, name: str) -> str:
    """Return "one timer", "two timers"."""
    return f"{number_words(count)} {noun(name, count)}"


def duration_words(seconds: float) -> str:
    """Return a duration in its two largest units: "one hour and five minutes".

    Seconds are rounded to whole ones; beyond an hour they are left out.
    """
    left = max(0, round(seconds))
    parts = []
    for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(count_words(count, name))
    words = load_replies().words
    return f" {words['and']} ".join(parts[:2]) or str(words["less_than_a_second"])


def moment_words(at: datetime, now: datetime, *, clock_24h: bool) -> str:
    """Return ``at`` seen from ``now``: "at seven a m", "tomorrow at seven a m", "on Monday at …"."""
    spoken = say("at", time=clock_words(at.time(), clock_24h=clock_24h))
    days = (at.date() - now.date()).days
    if days == 0:
        return spoken
    if days == 1:
        return say("tomorrow", at=spoken)
    return say("on_day", day=weekday(at.date()) if days < 7 else date_words(at.date()), at=spoken)


def entry_moment_words(entry: TimerEntry, now: datetime, *, clock_24h: bool) -> str:
    """Return when ``entry`` rings: "tomorrow at seven a m", "every weekday at seven a m"."""
    at = local_time(entry, now)
    repeat = entry.repeat
    if repeat is None:
        return moment_words(at, now, clock_24h=clock_24h)
    spoken = say("at", time=clock_words(at.time(), clock_24h=clock_24h))
    if repeat.interval_s:
        return say("repeat_interval", duration=duration_words(repeat.interval_s))
    if repeat.month_day:
        return say("repeat_monthly", day=ordinal_words(repeat.month_day), at=spoken)
    days = join_items([str(load_replies().words["days"][day]) for day in repeat.weekdays])
    if repeat.every_weeks > 1:
        return say("repeat_other_week", days=days, at=spoken)
    key = {tuple(range(7)): "repeat_daily", tuple(range(5)): "repeat_weekdays", (5, 6): "repeat_weekends"}
    return say(key.get(repeat.weekdays, "repeat_weekly"), days=days, at=spoken)


def to_you(text: str) -> str:
    """Return ``text`` in the second person: "call my mother" becomes "call your mother"."""
    return " ".join(load_replies().second_person.get(word, word) for word in text.split())


def title(entry: TimerEntry) -> str:
    """Return what a timer is called: "pizza timer", "timer", "alarm", "reminder to call mother"."""
    if entry.kind == "reminder":
        return say("title_reminder", text=to_you(entry.name)) if entry.name else noun("reminder")
    return f"{entry.name} {noun(entry.kind)}".strip()


def ring_sentence(entry: TimerEntry) -> str:
    """Return what is said when ``entry`` rings."""
    if entry.kind == "reminder" and entry.name:
        return say("ring_reminder", text=to_you(entry.name))
    return say("ring_timer" if entry.kind == "timer" else "ring_alarm", title=title(entry))


def figure_words(value: float) -> str:
    """Return the result of a sum in words, with up to two decimals: "minus one point five"."""
    if abs(value) >= 1_000_000:
        return say("too_large")
    whole, _, decimals = f"{abs(value):.2f}".partition(".")
    decimals = decimals.rstrip("0")
    spoken = number_words(int(whole))
    if decimals:
        spoken += " point " + " ".join(number_words(int(digit)) for digit in decimals)
    return f"minus {spoken}" if value < 0 else spoken


def join_items(items: list[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    joint = load_replies().words["and"]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {joint} {items[-1]}"


def sentence(text: str) -> str:
    """Return ``text`` with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
