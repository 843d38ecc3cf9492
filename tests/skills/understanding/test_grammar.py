"""Templates and own commands, word for word; what is nearly one is no match."""

from typing import Any

import pytest

from voxd.config.commands import Command, ReplyAction
from voxd.errors import ConfigError
from voxd.skills.contract import Match, Phrases
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import ClockTime, words
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.temporal import Day, When

NOTHING = ReplyAction(text="Done.")


def grammar_of(*commands: Command | Phrases) -> Grammar:
    return Grammar(commands, load_language(), load_speech())


def own(*sentences: str, name: str = "own") -> Command:
    return Command(name=name, sentences=sentences, action=NOTHING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set a timer for five minutes", Match("timer_set", {"duration": 300})),
        ("start a second timer for ten minutes", Match("timer_set", {"duration": 600})),
        ("cancel the second timer", Match("cancel", {"kind": "timer", "ordinal": 2})),
        ("cancel the alarm for seven",
         Match("cancel", {"kind": "alarm", "when": When(clock=ClockTime(7))})),
        ("wake me tomorrow at seven",
         Match("wake_set", {"when": When(clock=ClockTime(7), day=Day(days=1))})),
        # Of two templates that match, the one that leaves less to free words.
        ("remind me to call mom at seven",
         Match("reminder_set", {"text": "call mom", "when": When(clock=ClockTime(7))})),
        ("pause the music", Match("no_music", {})),
        ("paws the timer", None),
        ("please set a timer for five minutes", None),
        ("set a timer for five minutes purple", None),
        ("mute the microphon", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_match_is_exact(grammar: Grammar, text: str, expected: Match | None) -> None:
    assert grammar.match(text.split()) == expected


def test_doubtful_words_are_named(grammar: Grammar) -> None:
    match = grammar.match(["remind", "me", "at", "seven", "to", "set", "the", "alarm"])
    assert match is not None
    assert (match.intent, match.doubts) == ("reminder_set", ("text",))


@pytest.mark.parametrize(
    ("intent", "effect"),
    [
        ("cancel", "destroys"),
        ("cancel_all", "destroys"),
        ("sound_off", "destroys"),
        ("mic_mute", "destroys"),
        ("list", "tells"),
        ("mic_test", "tells"),
        ("no_home", "refuses"),
        ("timer_set", "sets"),
        ("command.lights", "runs"),
    ],
)
def test_every_intent_says_what_it_does(grammar: Grammar, intent: str, effect: str) -> None:
    assert grammar.effect(intent) == effect


def test_intents_that_ask_are_incomplete(grammar: Grammar) -> None:
    assert {"timer_ask", "alarm_ask", "reminder_when"} <= grammar.incomplete
    assert "timer_set" not in grammar.incomplete


def test_the_vocabulary_has_the_words_of_the_owner_too() -> None:
    vocabulary = grammar_of(own("beam me up scotty")).vocabulary()
    assert {"beam", "scotty", "timer", "cancel"} <= vocabulary
    assert "purple" not in vocabulary


def test_commands_of_the_owner_come_first_and_have_their_own_values() -> None:
    lights = Command(
        name="lights",
        sentences=("(turn|switch) {state} [the] {room} light[s]", "Light {room}"),
        slots={"room": ("kitchen", "Room 5"), "state": ("on", "off")},
        action=NOTHING,
    )
    other = Command(name="room", sentences=("open {room}",), slots={"room": ("cellar",)}, action=NOTHING)
    grammar = grammar_of(lights, other, own("take a note {what}", "glow for {duration}", name="note"))

    def heard(text: str) -> tuple[str, dict[str, Any]] | None:
        match = grammar.match(words(text))
        return (match.intent, match.slots) if match else None

    assert heard("Turn on the kitchen light.") == ("command.lights", {"state": "on", "room": "kitchen"})
    assert heard("switch off room five lights") == ("command.lights", {"state": "off", "room": "Room 5"})
    assert heard("light room 5") == ("command.lights", {"room": "Room 5"})
    assert heard("open cellar") == ("command.room", {"room": "cellar"})
    assert heard("open kitchen") is None
    assert heard("take a note buy 2 apples") == ("command.note", {"what": "buy two apples"})
    assert heard("glow for 5 min") == ("command.note", {"duration": 300})


def test_slots_that_only_the_language_has_take_any_words_of_the_owner() -> None:
    grammar = grammar_of(own("water the lawn {when} in the {ordinal} garden"))
    match = grammar.match(
        ["water", "the", "lawn", "tomorrow", "at", "seven", "in", "the", "second", "garden"]
    )
    assert match == Match("command.own", {"when": "tomorrow at seven", "ordinal": "second"})


def test_sentences_of_a_package_have_their_own_intent() -> None:
    grammar = grammar_of(Phrases("kettle_boil", ("boil {cups} cups",), {"cups": ("2", "3")}))
    assert grammar.match(["boil", "three", "cups"]) == Match("kettle_boil", {"cups": 3})


@pytest.mark.parametrize("template", ["turn on (the light", "turn <nowhere> on", "say {room"])
def test_a_template_that_cannot_be_read_is_a_config_error(template: str) -> None:
    with pytest.raises(ConfigError, match="broken"):
        grammar_of(own(template, name="broken"))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("living-room light", "Living-room light!"),
        ("living-room light", "living room light"),
        ("1st floor", "first floor"),
        ("1st floor", "1st floor"),
        ("call dr. who", "Call Dr. Who."),
        ("scene 7:30", "scene seven thirty"),
        ("scene 7:30", "scene 7:30"),
        ("(it's|it is) 50%", "it's 50%"),
        ("call (jürgen|zoë)", "Call Zoë"),
    ],
)
def test_own_sentences_are_written_as_what_is_said(template: str, said: str) -> None:
    match = grammar_of(own(template)).match(words(said))
    assert match is not None
    assert match.intent == "command.own"


def test_a_skill_gets_the_time_that_was_said() -> None:
    grammar = grammar_of(Phrases("kettle_boil", ("boil the water {when}",)))
    tomorrow = When(clock=ClockTime(7), day=Day(days=1))
    assert grammar.match(words("boil the water tomorrow at seven")) == Match(
        "kettle_boil", {"when": tomorrow}
    )
