"""Answers to the questions of the device, and what is no answer to them."""

from typing import Any

import pytest

from tests.skills.talk import FILLED, NOT_UNDERSTOOD, Talk
from voxd.skills.contract import Match, Question
from voxd.skills.dialogue import CANCELLED, read_answer
from voxd.skills.engine import QUESTION_OPEN_S
from voxd.skills.understanding.numbers import ClockTime, words
from voxd.skills.understanding.temporal import Day, When
from voxd.skills.understanding.understander import Understander

TEA, PIZZA, ALARM, REMINDER = FILLED
SEVEN = When(clock=ClockTime(7), day=Day(days=1))
MORNING, EVENING = ClockTime(7, half="am"), ClockTime(7, half="pm")
TIMER = {"kind": "timer"}
CANCEL = Question("cancel", "which", TIMER, (3, 4))
HOW_LONG = Question("timer_set", "duration", {"name": "pizza"})
AT_WHAT_TIME = Question("alarm_set", "when", {"when": When(day=Day(days=1))})
HALF = Question("alarm_set", "half", {"when": SEVEN}, (MORNING, EVENING))


def which(**more: Any) -> Match:
    return Match("cancel", {**TIMER, "options": (3, 4), **more})


def timer(seconds: float) -> Match:
    return Match("timer_set", {"name": "pizza", "duration": seconds})


def alarm(clock: ClockTime, part: str = "") -> Match:
    return Match("alarm_set", {"when": When(clock=clock, part=part, day=Day(days=1))})


@pytest.mark.parametrize(
    ("question", "said", "expected"),
    [
        (HOW_LONG, "five", timer(300)),
        (HOW_LONG, "five minutes please", timer(300)),
        (HOW_LONG, "um for an hour and a half", timer(5400)),
        (HOW_LONG, "let's say ten minutes", timer(600)),
        (HOW_LONG, "in ten minutes", timer(600)),
        (HOW_LONG, "never mind", CANCELLED),
        (HOW_LONG, "no thanks", CANCELLED),
        (HOW_LONG, "let me think", None),
        (HOW_LONG, "yes please", None),
        (AT_WHAT_TIME, "seven", alarm(ClockTime(7))),
        (AT_WHAT_TIME, "at seven p m", alarm(EVENING)),
        (AT_WHAT_TIME, "fifty", None),
        (AT_WHAT_TIME, "forget it", CANCELLED),
        (HALF, "in the morning", alarm(MORNING, "morning")),
        (HALF, "p m", alarm(EVENING)),
        (HALF, "the evening one", alarm(EVENING)),
        (HALF, "never mind", CANCELLED),
        (HALF, "the blue one", None),
        (CANCEL, "the first one", which(ordinal=1)),
        (CANCEL, "the second", which(ordinal=2)),
        (CANCEL, "the last one please", which(position=-1)),
        (CANCEL, "both", which(all=True)),
        (CANCEL, "all of them", which(all=True)),
        (CANCEL, "the pizza one", which(ref="pizza")),
        (CANCEL, "cancel the pizza timer", which(ref="pizza")),
        (CANCEL, "the ten minute one", which(duration=600)),
        (CANCEL, "number two", which(number=2)),
        (CANCEL, "neither", CANCELLED),
        (CANCEL, "all but the pizza one",
         Match("cancel_all_but", {**TIMER, "options": (3, 4), "ref": "pizza"})),
        (Question("cancel_all", "confirm", TIMER), "yes please", Match("cancel_all", TIMER)),
        (Question("cancel_all", "confirm", TIMER), "go ahead", Match("cancel_all", TIMER)),
        (Question("cancel_all", "confirm", TIMER), "no", CANCELLED),
        (Question("cancel_all", "confirm", TIMER), "what time is it", None),
        (Question("reminder_set", "text"), "to call mom", Match("reminder_set", {"text": "call mom"})),
        (Question("reminder_set", "text"), "milk", Match("reminder_set", {"text": "milk"})),
        (Question("reminder_set", "text"), "never mind", CANCELLED),
        (Question("reminder_set", "text"), "what time is it", None),
    ],
)  # fmt: skip
def test_answers(understander: Understander, question: Question, said: str, expected: Match | None) -> None:
    assert read_answer(question, tuple(words(said)), understander) == expected


@pytest.mark.parametrize(
    ("text", "answer", "left"),
    [
        ("cancel the timer", "the first one", [PIZZA, ALARM, REMINDER]),
        ("cancel the timer", "the second one", [TEA, ALARM, REMINDER]),
        ("cancel the timer", "pizza", [TEA, ALARM, REMINDER]),
        ("cancel the timer", "the one for five minutes", [PIZZA, ALARM, REMINDER]),
        ("cancel the timer", "both", [ALARM, REMINDER]),
        ("cancel the timer", "the egg timer", FILLED),
        ("cancel the timer", "the third one", FILLED),
        ("cancel the timer", "never mind", FILLED),
        ("cancel the timer", "neither", FILLED),
        ("cancel my timers", "yes please", [ALARM, REMINDER]),
        ("cancel my timers", "no", FILLED),
        ("cancel my timers", "no don't", FILLED),
        ("cancel everything", "yes please", []),
        ("cancel everything", "no", FILLED),
        ("cancel it", "the alarm", [TEA, PIZZA, REMINDER]),
        ("pause the timer", "the last one", [TEA, "pizza timer 10m paused", ALARM, REMINDER]),
        ("add a minute to the timer", "both", ["tea timer 6m", "pizza timer 11m", ALARM, REMINDER]),
        ("extend the tea timer", "two minutes", ["tea timer 7m", PIZZA, ALARM, REMINDER]),
        ("extend the tea timer", "five", ["tea timer 10m", PIZZA, ALARM, REMINDER]),
        ("change the alarm", "eight in the morning", [TEA, PIZZA, "alarm 21 08:00", REMINDER]),
        ("change the alarm to half seven", "half past six", [TEA, PIZZA, "alarm 21 06:30", REMINDER]),
        ("change the tea timer", "seven minutes", ["tea timer 7m", PIZZA, ALARM, REMINDER]),
    ],
)
async def test_an_answer_completes_the_request(full: Talk, text: str, answer: str, left: list[str]) -> None:
    assert (await full.ask(text)).expects_answer
    reply = await full.ask(answer)
    assert {*full.state()} == {*left}, reply


async def test_a_question_stays_open_while_its_answer_is_thought_about(talk: Talk) -> None:
    await talk.ask("set a pizza timer")
    reply = await talk.ask("let me think")
    assert reply.intent == ""
    assert await talk.says("ten minutes") == "Pizza timer set for ten minutes."


async def test_another_request_takes_the_place_of_the_question(talk: Talk) -> None:
    await talk.ask("set a pizza timer")
    assert await talk.says("what time is it") == "It is three oh five p m."
    assert await talk.says("ten minutes") == "Set a timer for ten minutes?"
    assert talk.state() == []


async def test_a_question_is_forgotten_after_a_while(full: Talk) -> None:
    await full.ask("cancel my timers")
    await full.clock.advance(QUESTION_OPEN_S + 1)
    await full.ask("yes")
    assert len(full.state()) == 4


async def test_a_misheard_deletion_is_confirmed(full: Talk) -> None:
    reply = await full.ask("council the pizza timer")
    assert (reply.text, reply.expects_answer) == ("Did you mean: cancel the pizza timer?", True)
    assert full.state() == FILLED
    assert await full.says("yes") == "Pizza timer cancelled."
    assert full.state() == [TEA, ALARM, REMINDER]
    await full.ask("undo")
    await full.ask("council the pizza timer // no")
    assert full.state() == FILLED


async def test_yes_without_a_question_does_nothing(full: Talk) -> None:
    assert await full.says("yes") == "Okay."
    assert await full.says("the first one") == NOT_UNDERSTOOD
    assert full.state() == FILLED


def test_the_question_of_another_skill_may_miss_any_slot(understander: Understander) -> None:
    question = Question("kettle_boil", "cups", {"kind": "tea"})
    assert read_answer(question, ("four",), understander) == Match(
        "kettle_boil", {"kind": "tea", "number": 4}
    )
    assert read_answer(question, ("never", "mind"), understander) == CANCELLED
    assert read_answer(question, ("who", "was", "einstein"), understander) is None
