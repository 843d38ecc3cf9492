"""Durations, days, dates and repetitions as people say them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.replies import duration_words
from voxd.skills.understanding.clock_times import read_clock
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import (
    ClockTime,
    number_words,
    ordinal_words,
    read_number,
    read_ordinal,
    words,
)
from voxd.skills.understanding.temporal import Day, When, read_duration, read_when
from voxd.store.timers import Repeat

ENGLISH = load_language("en")
DAILY = Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))
WEEKDAYS = Repeat(weekdays=(0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("five minutes", 300),
        ("ten minute", 600),
        ("10 min", 600),
        ("2 hrs", 7200),
        ("2h", 7200),
        ("90 seconds", 90),
        ("1,000 seconds", 1000),
        ("twenty five seconds", 25),
        ("a minute", 60),
        ("an hour", 3600),
        ("an hour and a half", 5400),
        ("one and a half hours", 5400),
        ("two and a half minutes", 150),
        ("2½ minutes", 150),
        ("2.5 minutes", 150),
        ("a minute and a half", 90),
        ("half an hour", 1800),
        ("1/2 hour", 1800),
        ("a half hour", 1800),
        ("quarter of an hour", 900),
        ("a quarter of an hour", 900),
        ("three quarters of an hour", 2700),
        ("1 hour and 20 minutes", 4800),
        ("1 hour 20", 4800),
        ("one hour twenty", 4800),
        ("5 min 30", 330),
        ("one hour twenty minutes and five seconds", 4805),
        ("two hours and ten minutes and five seconds", 7805),
        ("an hour and a quarter", 4500),
        ("a couple of minutes", 120),
        ("one hundred and five seconds", 105),
        ("1.5 hours", 5400),
        ("two days", 172_800),
        ("a week", 604_800),
        ("two weeks", 1_209_600),
        ("a fortnight", 1_209_600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    said = words(text)
    assert read_duration(said, 0) == (seconds, len(said))


@pytest.mark.parametrize(
    "text",
    [
        "five", "minutes", "half past seven", "a pizza", "an", "", "five o'clock", "a few minutes",
        "some minutes", "few minutes", "several hours", "fourteen hundred hours", "one", "2.5",
    ],
)  # fmt: skip
def test_other_text_is_not_a_duration(text: str) -> None:
    assert read_duration(words(text), 0) is None


@pytest.mark.parametrize(
    ("text", "seconds", "rest"),
    [
        ("five minutes ten hours", 300, "ten hours"),
        ("one hour to call", 3600, "to call"),
        ("one hour two call", 3600, "two call"),
        ("one hour twenty percent", 3600, "twenty percent"),
        ("an hour twenty past", 4800, "past"),
        ("five minutes at seven", 300, "at seven"),
    ],
)
def test_a_duration_ends_where_it_is_not_certain(text: str, seconds: float, rest: str) -> None:
    said = words(text)
    assert read_duration(said, 0) == (seconds, len(said) - len(rest.split()))


@settings(max_examples=60)
@given(st.integers(1, 59), st.sampled_from([("second", 1), ("minute", 60), ("hour", 3600)]))
def test_a_duration_survives_being_spoken(count: int, unit: tuple[str, int]) -> None:
    seconds = count * unit[1]
    said = words(duration_words(seconds))
    assert read_duration(said, 0) == (seconds, len(said))


UNIT_SPELLINGS = [
    (3600, ["hour", "hours", "hr", "hrs", "h"]),
    (60, ["minute", "minutes", "min", "mins"]),
    (1, ["second", "seconds", "sec", "secs"]),
]


@settings(max_examples=200)
@given(
    counts=st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100)).filter(any),
    data=st.data(),
)
def test_a_duration_survives_every_spelling(counts: tuple[int, int, int], data) -> None:
    pieces = []
    for count, (_, names) in zip(counts, UNIT_SPELLINGS, strict=True):
        if count:
            number = data.draw(st.sampled_from([str(count), number_words(count)]))
            pieces.append(f"{number} {data.draw(st.sampled_from(names))}")
    said = words(data.draw(st.sampled_from([" ", " and ", ", "])).join(pieces))
    seconds = sum(count * size for count, (size, _) in zip(counts, UNIT_SPELLINGS, strict=True))
    assert read_duration(said, 0) == (seconds, len(said))


TIMES = {
    "tomorrow at seven": When(clock=ClockTime(7), day=Day(days=1)),
    "tomorrow seven thirty": When(clock=ClockTime(7, 30), day=Day(days=1)),
    "at seven tomorrow morning": When(clock=ClockTime(7, 0, "am"), part="morning", day=Day(days=1)),
    "at seven in the morning tomorrow": When(clock=ClockTime(7, 0, "am"), part="morning", day=Day(days=1)),
    "for tomorrow at seven": When(clock=ClockTime(7), day=Day(days=1)),
    "for seven tomorrow": When(clock=ClockTime(7), day=Day(days=1)),
    "seven tomorrow": When(clock=ClockTime(7), day=Day(days=1)),
    "12:30 tomorrow": When(clock=ClockTime(12, 30), day=Day(days=1)),
    "7 tonight": When(clock=ClockTime(7, 0, "pm"), part="night", day=Day(days=0)),
    "tonight at 12": When(clock=ClockTime(12, 0, "night"), part="night", day=Day(days=0)),
    "tonight at 1": When(clock=ClockTime(1, 0, "night"), part="night", day=Day(days=0)),
    "tonight at 2 am": When(clock=ClockTime(2, 0, "night"), part="night", day=Day(days=0)),
    "tonight at 0:30": When(clock=ClockTime(12, 30, "night"), part="night", day=Day(days=0)),
    "today at 7 a m": When(clock=ClockTime(7, 0, "am"), day=Day(days=0)),
    "this evening at 7": When(clock=ClockTime(7, 0, "pm"), part="evening", day=Day(days=0)),
    "the day after tomorrow at noon": When(clock=ClockTime(12, 0, "24"), day=Day(days=2)),
    "on monday at half past six": When(clock=ClockTime(6, 30), day=Day(weekday=0)),
    "monday morning at 8": When(clock=ClockTime(8, 0, "am"), part="morning", day=Day(weekday=0)),
    "this friday at 8 pm": When(clock=ClockTime(8, 0, "pm"), day=Day(weekday=4)),
    "the coming saturday at ten": When(clock=ClockTime(10), day=Day(weekday=5)),
    "at seven sharp": When(clock=ClockTime(7)),
    "later tonight": When(part="night", day=Day(days=0)),
    "next monday": When(day=Day(weekday=0, weeks=0)),
    "next week monday": When(day=Day(weekday=0, weeks=0)),
    "on monday next week at 9 am": When(clock=ClockTime(9, 0, "am"), day=Day(weekday=0, weeks=0)),
    "a week from monday": When(day=Day(weekday=0, weeks=1)),
    "monday week": When(day=Day(weekday=0, weeks=1)),
    "two weeks from friday": When(day=Day(weekday=4, weeks=2)),
    "in three days": When(day=Day(days=3)),
    "in a couple of days": When(day=Day(days=2)),
    "in a week at noon": When(clock=ClockTime(12, 0, "24"), day=Day(weeks=1)),
    "two weeks from today at 9": When(clock=ClockTime(9), day=Day(weeks=2)),
    "on the 25th": When(day=Day(day_of_month=25)),
    "on the first of the month": When(day=Day(day_of_month=1)),
    "at noon on december 1st": When(clock=ClockTime(12, 0, "24"), day=Day(month=12, day_of_month=1)),
    "on december 1st at 9": When(clock=ClockTime(9), day=Day(month=12, day_of_month=1)),
    "december twenty five": When(day=Day(month=12, day_of_month=25)),
    "on the twenty fifth of december": When(day=Day(month=12, day_of_month=25)),
    "25 december 2027": When(day=Day(month=12, day_of_month=25, year=2027)),
    "December 25th, 2027, 8 pm": When(
        clock=ClockTime(8, 0, "pm"), day=Day(month=12, day_of_month=25, year=2027)
    ),
    "december twenty fifth twenty twenty seven": When(day=Day(month=12, day_of_month=25, year=2027)),
    "friday the 13th": None,
    "on friday the 13th": When(day=Day(weekday=4, day_of_month=13)),
    "on christmas eve at 6 pm": When(clock=ClockTime(6, 0, "pm"), day=Day(month=12, day_of_month=24)),
    "new year's day": When(day=Day(month=1, day_of_month=1)),
    "in five minutes": When(duration_s=300),
    "in 10 minutes' time": When(duration_s=600),
    "five minutes from now": When(duration_s=300),
    "in an hour and a half": When(duration_s=5400),
    "in two days and three hours": When(duration_s=183_600),
    "in the morning": When(part="morning"),
    "at noon": When(clock=ClockTime(12, 0, "24")),
    "at midnight": When(clock=ClockTime(12, 0, "night")),
    "at seven": When(clock=ClockTime(7)),
    "for seven": When(clock=ClockTime(7)),
    "seven": None,
    "the second": None,
    "five minutes": None,
    "for five minutes": None,
    "someday": None,
    "later": None,
    "soon": None,
    "every blue moon": None,
    "every year": None,
    "every other day": None,
    "twice a day": None,
    "at seven percent": None,
    "": None,
}  # fmt: skip

REPEATS = {
    "every day at 8": When(clock=ClockTime(8), repeat=DAILY),
    "daily at eight": When(clock=ClockTime(8), repeat=DAILY),
    "daily": When(repeat=DAILY),
    "every morning at 7": When(clock=ClockTime(7, 0, "am"), part="morning", repeat=DAILY),
    "every night at 10": When(clock=ClockTime(10, 0, "pm"), part="night", repeat=DAILY),
    "every day at midnight": When(clock=ClockTime(12, 0, "night"), repeat=DAILY),
    "seven a m on weekdays": When(clock=ClockTime(7, 0, "am"), repeat=WEEKDAYS),
    "every weekday at 6:30": When(clock=ClockTime(6, 30), repeat=WEEKDAYS),
    "weekdays at 7": When(clock=ClockTime(7), repeat=WEEKDAYS),
    "on weekdays at six thirty": When(clock=ClockTime(6, 30), repeat=WEEKDAYS),
    "every weekday morning at 7": When(clock=ClockTime(7, 0, "am"), part="morning", repeat=WEEKDAYS),
    "weekday mornings at 7": When(clock=ClockTime(7, 0, "am"), part="morning", repeat=WEEKDAYS),
    "monday to friday at 7": When(clock=ClockTime(7), repeat=WEEKDAYS),
    "weekends at ten": When(clock=ClockTime(10), repeat=Repeat(weekdays=(5, 6))),
    "every tuesday at noon": When(clock=ClockTime(12, 0, "24"), repeat=Repeat(weekdays=(1,))),
    "on mondays 2 p.m.": When(clock=ClockTime(2, 0, "pm"), repeat=Repeat(weekdays=(0,))),
    "2 p.m. on Mondays": When(clock=ClockTime(2, 0, "pm"), repeat=Repeat(weekdays=(0,))),
    "mondays and thursdays at 9": When(clock=ClockTime(9), repeat=Repeat(weekdays=(0, 3))),
    "every monday, wednesday and friday": When(repeat=Repeat(weekdays=(0, 2, 4))),
    "sunday mornings at 9": When(clock=ClockTime(9, 0, "am"), part="morning", repeat=Repeat(weekdays=(6,))),
    "friday through monday at 9": When(clock=ClockTime(9), repeat=Repeat(weekdays=(0, 4, 5, 6))),
    "every friday night at one": When(
        clock=ClockTime(1, 0, "24"), part="night", repeat=Repeat(weekdays=(5,))
    ),
    "every other week on friday at 5 pm": When(
        clock=ClockTime(5, 0, "pm"), repeat=Repeat(weekdays=(4,), every_weeks=2)
    ),
    "every second tuesday": When(repeat=Repeat(weekdays=(1,), every_weeks=2)),
    "every three weeks on monday": When(repeat=Repeat(weekdays=(0,), every_weeks=3)),
    "weekly on sunday at 6 pm": When(clock=ClockTime(6, 0, "pm"), repeat=Repeat(weekdays=(6,))),
    "on the first of every month at nine": When(clock=ClockTime(9), repeat=Repeat(month_day=1)),
    "every month on the 1st": When(repeat=Repeat(month_day=1)),
    "on the last day of every month": When(repeat=Repeat(month_day=31)),
    "every hour": When(repeat=Repeat(interval_s=3600)),
    "hourly": When(repeat=Repeat(interval_s=3600)),
    "every two hours": When(repeat=Repeat(interval_s=7200)),
    "every half hour": When(repeat=Repeat(interval_s=1800)),
    "every 30 minutes": When(repeat=Repeat(interval_s=1800)),
    "every thirty seconds": None,
}  # fmt: skip

UNCLEAR = {
    "at half seven": "half_hour",
    "half seven tomorrow evening": "half_hour",
    "at 25 o'clock": "no_such_time",
    "at 7:75": "no_such_time",
    "at 13 p m": "no_such_time",
    "tomorrow morning at 7 pm": "no_such_time",
    "tomorrow morning at 12": "half_day",
    "tonight at 12 pm": "half_day",
    "tomorrow at midnight": "which_night",
    "every monday at midnight": "which_night",
    "on friday at two at night": "which_night",
    "on the weekend": "which_day",
    "next week": "which_day",
    "every week at 7": "which_day",
    "every two weeks": "which_day",
    "monthly at noon": "which_day",
}


@pytest.mark.parametrize(("text", "expected"), [*TIMES.items(), *REPEATS.items()])
def test_times(text: str, expected: When | None) -> None:
    said = words(text)
    found = read_when(said, 0)
    if expected is None:
        assert found is None or found[1] < len(said)
    else:
        assert found == (expected, len(said))


@pytest.mark.parametrize(("text", "reason"), UNCLEAR.items())
def test_times_that_are_not_clear_say_why(text: str, reason: str) -> None:
    said = words(text)
    found = read_when(said, 0)
    assert found is not None
    assert (found[0].unclear, found[1]) == (reason, len(said))


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("at seven to call mom", "to call mom"),
        ("at seven or eight", "or eight"),
        ("for two people", "people"),
        ("in two hours at nine", "at nine"),
        ("in two weeks on monday", "on monday"),
        ("on monday and thursday at 9", "and thursday at nine"),
        ("every day except sunday", "except sunday"),
        ("on the first of next month", "of next month"),
        ("tomorrow at seven on tuesday", "on tuesday"),
        ("at seven at eight", "at eight"),
        ("every year on december 25th", "every year on december twenty fifth"),
    ],
)
def test_what_does_not_belong_to_a_time_is_left_over(text: str, rest: str) -> None:
    said = words(text)
    found = read_when(said, 0)
    assert (found[1] if found else 0) == len(said) - len(rest.split())


MONTHS = [names[0] for names in ENGLISH.tables.calendar.months]
DATE_SPELLINGS = [
    lambda day, month: f"on the {ordinal_words(day)} of {month}",
    lambda day, month: f"on {month} {day}",
    lambda day, month: f"{month.title()} {day}th",
    lambda day, month: f"{day} {month}",
    lambda day, month: f"on {month} the {ordinal_words(day)}",
    lambda day, month: f"{month} {number_words(day)}",
]


@settings(max_examples=150)
@given(day=st.integers(1, 31), month=st.integers(1, 12), spelling=st.sampled_from(DATE_SPELLINGS))
@pytest.mark.parametrize("year", [None, 2027])
def test_a_date_survives_every_spelling(day: int, month: int, spelling, year: int | None) -> None:
    said = words(spelling(day, MONTHS[month - 1]) + (f" {year}" if year else ""))
    assert read_when(said, 0) == (When(day=Day(month=month, day_of_month=day, year=year)), len(said))


DAY_WORDS = {
    "today": Day(days=0),
    "tomorrow": Day(days=1),
    "on friday": Day(weekday=4),
    "in two weeks": Day(weeks=2),
    "on the 3rd": Day(day_of_month=3),
    "on march 3rd": Day(month=3, day_of_month=3),
}


@settings(max_examples=100)
@given(
    day=st.sampled_from(sorted(DAY_WORDS)),
    hour=st.integers(1, 12),
    half=st.sampled_from(["am", "pm"]),
    is_day_first=st.booleans(),
)
def test_the_parts_of_a_time_stand_in_any_order(day: str, hour: int, half: str, is_day_first: bool) -> None:
    clock = f"at {hour} {half}"
    said = words(f"{day} {clock}" if is_day_first else f"{clock} {day}")
    assert read_when(said, 0) == (When(clock=ClockTime(hour, 0, half), day=DAY_WORDS[day]), len(said))


ALL = [*TIMES, *REPEATS, *UNCLEAR]
VOCABULARY = sorted({*" ".join(ALL).split(), *ENGLISH.number_words, *ENGLISH.temporal_words, "half", "pizza"})


@settings(max_examples=300)
@given(st.lists(st.sampled_from(VOCABULARY), max_size=8) | st.lists(st.text(max_size=6), max_size=6))
def test_no_list_of_words_breaks_the_readers(said: list[str]) -> None:
    for start in range(len(said) + 2):
        for read in (read_number, read_ordinal, read_duration, read_clock, read_when):
            found = read(said, start)
            assert found is None or start < found[1] <= len(said)


@settings(max_examples=200)
@given(text=st.sampled_from([text for text in ALL if text]), data=st.data())
def test_a_dropped_word_does_not_turn_the_day_around(text: str, data) -> None:
    said = words(text)
    whole = read_when(said, 0)
    dropped = data.draw(st.integers(0, len(said) - 1))
    shorter = [*said[:dropped], *said[dropped + 1 :]]
    found = read_when(shorter, 0)
    if whole is None or found is None or found[1] != len(shorter) or whole[0].unclear or found[0].unclear:
        return
    halves = {clock.half for clock in (whole[0].clock, found[0].clock) if clock is not None}
    assert not {"am", "pm"} <= halves
