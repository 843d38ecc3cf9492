"""What is understood, what nearly is, and what must not be."""

from typing import Any

import pytest

from tests.shared import MODELS, needs_shared
from voxd.config.commands import Command, ReplyAction
from voxd.errors import ConfigError
from voxd.skills.grammar import Grammar
from voxd.skills.numbers import ClockTime

NOTHING = ReplyAction(text="Done.")


@pytest.fixture(scope="module")
def grammar() -> Grammar:
    return Grammar()


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("What time is it?", "time", {}),
        ("Could you tell me the time, please?", "time", {}),
        ("What's today's date?", "date", {}),
        ("Set a timer for five minutes.", "timer_set", {"duration": 300}),
        ("set a five minute pizza timer", "timer_set", {"duration": 300, "name": "pizza"}),
        ("timer for 90 seconds", "timer_set", {"duration": 90}),
        ("set timer for an hour and a half", "timer_set", {"duration": 5400}),
        ("start a second timer for ten minutes", "timer_set", {"duration": 600}),
        ("set a timer named green tea for four minutes", "timer_set", {"duration": 240, "name": "green tea"}),
        ("I want a ten minute timer", "timer_set", {"duration": 600}),
        ("set a timer", "timer_ask", {}),
        ("How much time is left on the pizza timer?", "time_left", {"name": "pizza"}),
        ("what timers do I have", "list", {"kind": "timer"}),
        ("cancel the timer", "cancel", {"kind": "timer"}),
        ("cancel the ten minute timer", "cancel", {"kind": "timer", "duration": 600}),
        ("cancel the pizza timer", "cancel", {"kind": "timer", "name": "pizza"}),
        ("cancel all timers", "cancel_all", {"kind": "timer"}),
        ("wake me up at seven tomorrow", "wake_set", {"hour": 7, "day": "1"}),
        ("set an alarm for 6:30 a.m.", "alarm_set", {"clock": ClockTime(6, 30, "am")}),
        ("set an alarm for quarter to nine on monday", "alarm_set",
         {"clock": ClockTime(8, 45), "day": "monday"}),
        ("Remind me to call mother at five.", "reminder_set", {"text": "call mother", "hour": 5}),
        ("remind me in 10 minutes to check the oven", "reminder_set",
         {"text": "check the oven", "duration": 600}),
        ("remind me to feed the two cats at half past six", "reminder_set",
         {"text": "feed the two cats", "clock": ClockTime(6, 30)}),
        ("Remind me to take out the trash.", "reminder_when", {"text": "take out the trash"}),
        ("remind me tomorrow at five", "reminder_what", {"day": "1", "hour": 5}),
        ("Set the volume to 50%.", "volume_set", {"number": 50}),
        ("turn it up by twenty percent", "volume_up", {"number": 20}),
        ("mute yourself", "mic_mute", {}),
        ("Mute.", "sound_off", {}),
        ("stop", "stop", {}),
        ("never mind", "never_mind", {}),
        ("say that again", "repeat", {}),
        ("what is two plus two", "sum", {"a": 2, "operator": "+", "b": 2}),
        ("Turn on the living room light.", "no_home", {"thing": "living room"}),
    ],
)  # fmt: skip
def test_sentences_are_understood(grammar: Grammar, text: str, intent: str, slots: dict[str, Any]) -> None:
    match = grammar.recognize(text)
    assert match is not None
    assert (match.intent, match.slots) == (intent, slots)


@needs_shared
def test_every_command_of_the_closed_set_is_understood(grammar: Grammar) -> None:
    lines = (MODELS / "whisper_closed_set" / "commands.txt").read_text().splitlines()
    assert len(lines) == 66
    assert [line for line in lines if grammar.recognize(line) is None] == []


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("said a timer for five minutes", "timer_set"),
        ("set a timer for fife minutes", "timer_set"),
        ("set a time for five minutes", "timer_set"),
        ("what lime is it", "time"),
        ("turn the volume cup", "volume_up"),
        ("cancel the time her", "cancel"),
        ("what can you doo", "help"),
        ("wad is the date today", "date"),
    ],
)
def test_near_misses_of_the_recogniser_are_understood(grammar: Grammar, text: str, intent: str) -> None:
    match = grammar.recognize(text)
    assert match is not None
    assert match.intent == intent


def test_a_near_miss_keeps_its_values(grammar: Grammar) -> None:
    match = grammar.recognize("said a timer for twenty fife minutes")
    assert match is not None
    assert match.slots == {"duration": 1500}


@pytest.mark.parametrize(
    "text",
    [
        "what time is dinner",
        "what time is the meeting tomorrow",
        "what is the date of the battle of hastings",
        "do not set a timer for five minutes",
        "I set a timer for five minutes yesterday and it burned",
        "the volume of the book was up for discussion",
        "turn the volume of the radio up when he comes",
        "what can you do about the rain in spain",
        "he stopped the car and got out",
        "she told me to stop",
        "cancel my subscription to the newspaper",
        "we should cancel the meeting",
        "how much money is left",
        "how are your parents",
        "who are they",
        "where are my keys",
        "the weather was nice last week",
        "I would like a cup of tea",
        "good morning everyone and welcome to the show",
        "he had a good night's sleep",
        "thank you for calling us today",
        "no way that is true",
        "yes but the other one is better",
        "is it going to be a long winter for the farmers",
        "repeat after me",
        "they never mind the cold",
        "the quick brown fox jumps over the lazy dog",
        "it was the best of times it was the worst of times",
        "make a cake",
        "start the car",
        "read me the letter",
        "call me in the morning",
        "the timer on the oven is broken",
        "she set the alarm off by mistake",
        "what time does the train leave",
        "five minutes",
        "seven",
        "",
        "uh",
    ],
)
def test_ordinary_speech_is_not_a_command(grammar: Grammar, text: str) -> None:
    assert grammar.recognize(text) is None


def test_a_threshold_of_one_accepts_no_near_miss() -> None:
    assert Grammar(near_miss=1.0).recognize("what lime is it") is None


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("five minutes", "duration", {"duration": 300}),
        ("for an hour", "duration", {"duration": 3600}),
        ("at seven tomorrow", "when", {"hour": 7, "day": "1"}),
        ("half past six", "when", {"clock": ClockTime(6, 30)}),
        ("all of them", "all", {}),
        ("the pizza one", "name", {"name": "pizza"}),
    ],
)
def test_answers_are_understood(grammar: Grammar, text: str, intent: str, slots: dict[str, Any]) -> None:
    match = grammar.answer(text)
    assert match is not None
    assert (match.intent, match.slots) == (intent, slots)


def test_commands_of_the_owner_come_first_and_have_their_own_values() -> None:
    lights = Command(
        name="lights",
        sentences=("(turn|switch) {state} [the] {room} light[s]", "Light {room}"),
        slots={"room": ("kitchen", "Room 5"), "state": ("on", "off")},
        action=NOTHING,
    )
    other = Command(name="room", sentences=("open {room}",), slots={"room": ("cellar",)}, action=NOTHING)
    note = Command(name="note", sentences=("take a note {what}",), action=NOTHING)
    grammar = Grammar((lights, other, note))

    def heard(text: str) -> tuple[str, dict[str, Any]] | None:
        match = grammar.recognize(text)
        return (match.intent, match.slots) if match else None

    assert heard("Turn on the kitchen light.") == ("command.lights", {"state": "on", "room": "kitchen"})
    assert heard("switch off room five lights") == ("command.lights", {"state": "off", "room": "Room 5"})
    assert heard("light room 5") == ("command.lights", {"room": "Room 5"})
    assert heard("open cellar") == ("command.room", {"room": "cellar"})
    assert heard("open kitchen") is None
    assert heard("take a note buy 2 apples") == ("command.note", {"what": "buy two apples"})


@pytest.mark.parametrize("template", ["turn on (the light", "turn <nowhere> on", "say {room"])
def test_a_template_that_cannot_be_read_is_a_config_error(template: str) -> None:
    with pytest.raises(ConfigError, match="broken"):
        Grammar((Command(name="broken", sentences=(template,), action=NOTHING),))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("living-room light", "Living-room light!"),
        ("living-room light", "living room light"),
        ("1st floor", "first floor"),
        ("call dr. who", "Call Dr. Who."),
        ("scene 7:30", "scene seven thirty"),
        ("(it's|it is) 50%", "it's 50%"),
        ("call (jürgen|zoë)", "Call Zoë"),
    ],
)
def test_own_sentences_are_written_as_what_is_said(template: str, said: str) -> None:
    command = Command(name="own", sentences=(template,), action=ReplyAction(text="yes"))
    match = Grammar([command]).recognize(said)
    assert match is not None
    assert match.intent == "command.own"
