"""Setting timers, alarms and reminders: at once, several at once, and with questions."""

import pytest

from tests.skills.talk import Talk
from voxd.skills.replies import say


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("set a timer for five minutes", ["timer 5m"]),
        ("set a 45 second timer", ["timer 45s"]),
        ("10 min timer", ["timer 10m"]),
        ("set a timer for 2½ minutes", ["timer 2m30s"]),
        ("set a timer for 1,000 seconds", ["timer 16m40s"]),
        ("set a pizza timer for an hour and a half", ["pizza timer 1h30m"]),
        ("set a timer called Jürgen Müller for four minutes", ["jürgen müller timer 4m"]),
        ("set a timer for 20 minutes to check the oven", ["check the oven timer 20m"]),
        ("set a timer for six pm", ["timer 2h55m"]),
        ("a five minute timer and a ten minute timer", ["timer 5m", "timer 10m"]),
        ("set timers for three, five and eight minutes", ["timer 3m", "timer 5m", "timer 8m"]),
        ("set two timers, one for five minutes and one for an hour", ["timer 5m", "timer 1h"]),
        ("set two five minute timers", ["timer 5m", "timer 5m"]),
        ("set a timer for five minutes and an alarm for 8 pm", ["timer 5m", "alarm 20 20:00"]),
        ("set an alarm for 7", ["alarm 20 19:00"]),
        ("wake me at 7", ["alarm 21 07:00"]),
        ("alarm 836pm", ["alarm 20 20:36"]),
        ("set an alarm for 8.30 pm", ["alarm 20 20:30"]),
        ("set alarm for nine 05 p.m.", ["alarm 20 21:05"]),
        ("wake me tonight at 12", ["alarm 21 00:00"]),
        ("set an alarm for tonight at 1", ["alarm 21 01:00"]),
        ("set an alarm for tonight at at one", ["alarm 21 01:00"]),
        ("set alarms tonight for eleven and one", ["alarm 20 23:00", "alarm 21 01:00"]),
        ("set an alarm for two at night", ["alarm 21 02:00"]),
        ("set an alarm for tomorrow at 12", ["alarm 21 12:00"]),
        ("set an alarm for 12:30 tomorrow", ["alarm 21 12:30"]),
        ("daily alarm for seven", ["alarm 21 07:00 daily"]),
        ("set an alarm for 6:30 on weekdays", ["alarm 23 06:30 weekdays"]),
        ("set an alarm for 2 p.m. on Mondays", ["alarm 23 14:00 mon"]),
        ("set an alarm for seven every other friday", ["alarm 27 07:00 2w:fri"]),
        ("set alarms for six and seven tomorrow", ["alarm 21 06:00", "alarm 21 07:00"]),
        ("wake me at six and again at seven", ["alarm 21 06:00", "alarm 21 07:00"]),
        ("set an alarm called gym for 6 am", ["gym alarm 21 06:00"]),
        ("remind me to call my mother at five", ["call my mother reminder 20 17:00"]),
        ("remind me in 10 minutes to check the oven", ["check the oven reminder 20 15:15"]),
        ("remind me to take my pills every day at 8 am", ["take my pills reminder 21 08:00 daily"]),
        ("remind me about the rent on december 1st at 9 am", ["the rent reminder 01 09:00"]),
        ("remind me to call mom on the 25th of december at noon", ["call mom reminder 25 12:00"]),
        ("remind me to water the plants in a week at noon", ["water the plants reminder 27 12:00"]),
        ("remind me to stretch every two hours", ["stretch reminder 20 17:05 every:2h"]),
        ("remind me on the 1st of every month at nine am to pay", ["pay reminder 01 09:00 monthly:1"]),
    ],
)  # fmt: skip
async def test_what_is_said_is_set_and_undone(talk: Talk, text: str, state: list[str]) -> None:
    reply = await talk.ask(text)
    assert talk.state() == state, reply
    await talk.ask("undo that")
    assert talk.state() == []


@pytest.mark.parametrize(
    ("text", "question", "answer", "state"),
    [
        ("set a timer", "Set a timer for how long?", "five minutes", ["timer 5m"]),
        ("set a timer", "Set a timer for how long?", "ten", ["timer 10m"]),
        ("set a timer", "Set a timer for how long?", "until six pm", ["timer 2h55m"]),
        ("set a pizza timer", "Set a timer for how long?", "make it 12 minutes", ["pizza timer 12m"]),
        ("set a timer for five", "Set a timer for how long?", "five minutes", ["timer 5m"]),
        ("ten minutes", "Set a timer for ten minutes?", "yes please", ["timer 10m"]),
        ("ten minutes", "Set a timer for ten minutes?", "no", []),
        ("set an alarm", "Set an alarm for when?", "tomorrow at seven", ["alarm 21 07:00"]),
        ("set an alarm", "Set an alarm for when?", "in an hour", ["alarm 20 16:05"]),
        ("set an alarm for tomorrow", "At what time?", "half past eight", ["alarm 21 08:30"]),
        # The part of the day and the time come one after the other: it is never one in the afternoon.
        ("set an alarm for tonight", "At what time?", "at one", ["alarm 21 01:00"]),
        ("wake me tomorrow morning", "At what time?", "seven", ["alarm 21 07:00"]),
        ("wake me up", "Set an alarm for when?", "six", ["alarm 21 06:00"]),
        ("wake me at half seven", "Do you mean seven thirty or six thirty?", "six thirty",
         ["alarm 21 06:30"]),
        ("remind me to call mom", "When should I remind you?", "at five", ["call mom reminder 20 17:00"]),
        ("remind me to call mom", "When should I remind you?", "tomorrow // nine in the morning",
         ["call mom reminder 21 09:00"]),
        ("remind me in ten minutes", "What should I remind you of?", "to check the oven",
         ["check the oven reminder 20 15:15"]),
        ("set three timers", "Set a timer for how long?", "never mind", []),
    ],
)  # fmt: skip
async def test_what_is_missing_is_asked(
    talk: Talk, text: str, question: str, answer: str, state: list[str]
) -> None:
    reply = await talk.ask(text)
    assert (reply.text, reply.expects_answer) == (question, True)
    assert talk.state() == []
    reply = await talk.ask(answer)
    assert talk.state() == state, reply


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("set a timer for zero seconds", "timer_range"),
        ("set a timer for eight days", "timer_range"),
        ("set nine five minute timers", "too_many_at_once"),
        ("set an alarm for 25:00", "no_such_time"),
        ("set an alarm for 3 pm today", "past"),
        ("set an alarm for february 30th at nine", "no_such_date"),
        ("remind me to call mom on december 1st 2031 at nine am",
         "too_far"),
    ],
)  # fmt: skip
async def test_a_refusal_says_why(talk: Talk, text: str, reason: str) -> None:
    assert await talk.says(text) == say(reason)
    assert talk.state() == []


@pytest.mark.parametrize(
    "text",
    [
        "set a timer for a while",
        "set a timer called",
        "remind me to call mom when I get home",
        "set an alarm at seven for every full moon",
        "timer five minutes purple monkey dishwasher",
        "do not set a timer for five minutes",
    ],
)
async def test_what_is_left_over_in_a_sentence_is_refused(talk: Talk, text: str) -> None:
    await talk.ask(text)
    assert talk.state() == []
