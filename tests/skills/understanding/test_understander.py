"""What a sentence is taken for: acted on, asked back, left to a model, or refused."""

from typing import Any

import pytest

from tests.shared import MODELS, needs_shared
from voxd.skills.contract import Match
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import ClockTime, words
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.temporal import Day, When
from voxd.skills.understanding.understander import Understander, Understanding, Verdict

Said = tuple[str, dict[str, Any]]

FIVE = {"duration": 300}
TEN = {"duration": 600}


def seven(half: str = "", days: int | None = None) -> When:
    return When(clock=ClockTime(7, half=half), day=Day(days=days) if days is not None else None)


def hear(understander: Understander, text: str) -> Understanding:
    return understander.understand(tuple(words(text)))


def asked(understanding: Understanding) -> list[Said]:
    return [(match.intent, match.slots) for match in understanding.matches]


@pytest.mark.parametrize(
    ("text", "intent", "slots"),
    [
        ("What time is it?", "time", {}),
        ("Could you tell me the time, please?", "time", {}),
        ("What's today's date?", "date", {}),
        ("Set a timer for five minutes.", "timer_set", FIVE),
        ("set a five minute pizza timer", "timer_set", {**FIVE, "name": "pizza"}),
        ("timer for 90 seconds", "timer_set", {"duration": 90}),
        ("set timer for an hour and a half", "timer_set", {"duration": 5400}),
        ("start a second timer for ten minutes", "timer_set", TEN),
        ("set a timer named green tea for four minutes", "timer_set",
         {"duration": 240, "label": "green tea"}),
        ("I want a ten minute timer", "timer_set", TEN),
        ("set a timer", "timer_ask", {}),
        ("How much time is left on the pizza timer?", "time_left", {"ref": "pizza"}),
        ("what timers do I have", "list", {"any_kind": "timer"}),
        ("I want to hear my reminders", "list", {"any_kind": "reminder"}),
        ("open all my reminders", "list", {"any_kind": "reminder"}),
        ("cancel the timer", "cancel", {"kind": "timer"}),
        ("cancel the ten minute timer", "cancel", {"kind": "timer", **TEN}),
        ("cancel the pizza timer", "cancel", {"kind": "timer", "ref": "pizza"}),
        ("cancel all timers", "cancel_all", {"any_kind": "timer"}),
        ("add five minutes to the timer", "extend", {**FIVE, "kind": "timer"}),
        ("take two minutes off the timer", "shorten", {"duration": 120, "kind": "timer"}),
        ("five more minutes", "extend", FIVE),
        ("resume the timer", "resume", {"kind": "timer"}),
        ("change my alarm to 7 pm", "change_time", {"kind": "alarm", "new_when": seven("pm")}),
        ("wake me up at seven tomorrow", "wake_set", {"when": seven(days=1)}),
        ("set an alarm for 6:30 a.m.", "alarm_set", {"when": When(clock=ClockTime(6, 30, "am"))}),
        ("Remind me to call mother at seven.", "reminder_set", {"text": "call mother", "when": seven()}),
        ("remind me in 10 minutes to check the oven", "reminder_set",
         {"text": "check the oven", "when": When(duration_s=600)}),
        ("remind me to feed the two cats at half past six", "reminder_set",
         {"text": "feed the two cats", "when": When(clock=ClockTime(6, 30))}),
        ("Remind me to take out the trash.", "reminder_when", {"text": "take out the trash"}),
        ("remind me tomorrow at seven", "reminder_what", {"when": seven(days=1)}),
        ("Set the volume to 50%.", "volume_set", {"number": 50}),
        ("turn it up by twenty percent", "volume_up_by", {"number": 20}),
        ("make it lower", "volume_down", {}),
        ("test the volume", "volume_get", {}),
        ("test the microphone", "mic_test", {}),
        ("unmute the microphone", "mic_on", {}),
        ("unmute yourself", "mic_on", {}),
        ("mute yourself", "mic_mute", {}),
        ("Mute.", "sound_off", {}),
        ("stop", "stop", {}),
        ("never mind", "never_mind", {}),
        ("say that again", "repeat", {}),
        ("what is two plus two", "sum", {"a": 2, "operator": "+", "b": 2}),
        ("Turn on the living room light.", "no_home", {"thing": "living room"}),
        # Polite words and hesitation.
        ("hey could you please um cancel the uh pizza timer for me thanks", "cancel",
         {"kind": "timer", "ref": "pizza"}),
        ("okay so I would like you to set a timer for like five minutes please", "timer_set", FIVE),
        ("would you be so kind as to turn it down please", "volume_down", {}),
        # Corrections in the same breath.
        ("set a timer for five minutes no sorry ten minutes", "timer_set", TEN),
        ("set a timer for five no ten minutes", "timer_set", TEN),
        ("set a timer for five minutes I mean ten", "timer_set", TEN),
        ("wake me at six no wait at seven", "wake_set", {"when": seven()}),
        ("set a pizza timer no a tea timer for five minutes", "timer_set", {**FIVE, "name": "tea"}),
        ("turn it up no sorry turn it down", "volume_down", {}),
        # What is taken back in the same breath is not done.
        ("set a timer for five minutes never mind", "never_mind", {}),
        ("cancel all timers no forget it", "never_mind", {}),
        ("delete my reminders no wait", "never_mind", {}),
    ],
)  # fmt: skip
def test_exact_sentences_act(
    understander: Understander, text: str, intent: str, slots: dict[str, Any]
) -> None:
    heard = hear(understander, text)
    assert (heard.verdict, heard.is_exact) == (Verdict.ACT, True)
    assert asked(heard) == [(intent, slots)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("set a timer for five minutes and turn the volume down",
         [("timer_set", FIVE), ("volume_down", {})]),
        ("what time is it and what day is it", [("time", {}), ("day", {})]),
        ("cancel the pizza timer and the tea timer",
         [("cancel", {"kind": "timer", "ref": "pizza"}), ("cancel", {"kind": "timer", "ref": "tea"})]),
        ("pause the pizza timer and the tea timer",
         [("pause", {"kind": "timer", "ref": "pizza"}), ("pause", {"kind": "timer", "ref": "tea"})]),
        ("list my timers and my alarms", [("list", {"any_kind": "timer"}), ("list", {"any_kind": "alarm"})]),
        ("a five minute timer and a ten minute timer", [("timer_set_many", {"d1": 300, "d2": 600})]),
    ],
)  # fmt: skip
def test_several_requests_of_a_sentence(understander: Understander, text: str, expected: list[Said]) -> None:
    heard = hear(understander, text)
    assert heard.verdict is Verdict.ACT
    assert asked(heard) == expected


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("said a timer for five minutes", "timer_set"),
        ("set a tamer for five minutes", "timer_set"),
        ("set set a timer for five minutes", "timer_set"),
        ("what lime is it", "time"),
        ("rewind me to call mom at five", "reminder_set"),
        ("paws the timer", "pause"),
        ("what's the vollume", "volume_get"),
    ],
)
def test_a_known_confusion_acts_where_it_can_be_undone(
    understander: Understander, text: str, intent: str
) -> None:
    heard = hear(understander, text)
    assert (heard.verdict, heard.is_exact) == (Verdict.ACT, False)
    assert [match.intent for match in heard.matches] == [intent]


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        # It deletes or mutes.
        ("council the pizza timer", "cancel the pizza timer"),
        ("cancel cancel the alarm", "cancel the alarm"),
        ("moot the microphone", "mute the microphone"),
        # Its number was changed.
        ("set a timer for fife minutes", "set a timer for five minutes"),
        ("set a timer for ate minutes", "set a timer for eight minutes"),
        # A word of the text may be a request of its own.
        ("remind me at seven to set the alarm", "remind me at seven to set the alarm"),
    ],
)
def test_below_certainty_it_asks_back(understander: Understander, text: str, understood: str) -> None:
    heard = hear(understander, text)
    assert (heard.verdict, heard.text) == (Verdict.CONFIRM, understood)


@pytest.mark.parametrize(
    "text",
    [
        "what time is dinner",
        "what is the date of the battle of hastings",
        "how much money is left",
        "how are your parents",
        "who are they",
        "where are my keys",
        "is it going to be a long winter for the farmers",
        "what time does the train leave",
        "what can you do about the rain in spain",
        "please tell me who invented the telephone",
    ],
)
def test_what_only_a_model_knows(understander: Understander, text: str) -> None:
    heard = hear(understander, text)
    assert (heard.verdict, heard.matches) == (Verdict.KNOWLEDGE, ())


@pytest.mark.parametrize(
    "text",
    [
        "do not set a timer for five minutes",
        "don't cancel the timer",
        "don't mute the microphone",
        "I set a timer for five minutes yesterday and it burned",
        "the volume of the book was up for discussion",
        "turn the volume of the radio up when he comes",
        "he stopped the car and got out",
        "she told me to stop",
        "we should cancel the meeting tomorrow at the office",
        "the weather was nice last week",
        "good morning everyone and welcome to the show",
        "he had a good night's sleep",
        "thank you for calling us today",
        "no way that is true",
        "yes but the other one is better",
        "repeat after me",
        "they never mind the cold",
        "the quick brown fox jumps over the lazy dog",
        "it was the best of times it was the worst of times",
        "make a cake",
        "start the car",
        "read me the letter",
        "the timer on the oven is broken",
        "she set the alarm off by mistake",
        "seven",
        "uh",
        "add five minutes to the timer with the purple hat",
        "remind me to call mom when I get home",
        # Likeness of letters is no meaning.
        "unmuted the microphone please do",
        "resume my alarm clock radio station",
        "cancell the pizza tymer",
        "deleet the alarm",
    ],
)
def test_ordinary_speech_is_refused(understander: Understander, text: str) -> None:
    heard = hear(understander, text)
    assert heard.verdict in (Verdict.REFUSE, Verdict.KNOWLEDGE)
    assert asked(heard) == []


def test_a_refusal_names_the_words_that_no_sentence_holds(understander: Understander) -> None:
    assert hear(understander, "set a purple monkeys of gold").unknown == ("purple", "monkeys", "gold")
    assert hear(understander, "the the five at monday seven").unknown == ()


def test_candidates_say_why(understander: Understander) -> None:
    whys = {
        text: [candidate.why for candidate in hear(understander, text).candidates]
        for text in ("stop", "council the alarm", "what time is it and what day is it", "purple")
    }
    assert whys == {
        "stop": ["every word matches"],
        "council the alarm": ["near ('council' as 'cancel'), so it is asked back"],
        "what time is it and what day is it": ["one of several requests"] * 2,
        "purple": [],
    }


@pytest.mark.parametrize(
    ("earlier", "said", "expected"),
    [
        ("set a timer for five minutes", "no ten minutes", ("timer_set", TEN)),
        ("set a timer for five minutes", "no sorry ten", ("timer_set", TEN)),
        ("set a timer for five minutes", "ten not five", ("timer_set", TEN)),
        ("wake me at six", "actually make it seven", ("wake_set", {"when": seven()})),
        ("set a timer for five minutes", "no", None),
        ("set a timer for five minutes", "ten minutes", None),
        ("set a timer for five minutes", "no purple", None),
        ("what time is it", "no ten minutes", None),
    ],
)
def test_the_last_request_is_corrected(
    understander: Understander, earlier: str, said: str, expected: Said | None
) -> None:
    corrected = understander.correct(tuple(words(earlier)), tuple(words(said)))
    assert (corrected and (corrected[1].intent, corrected[1].slots)) == expected


def test_a_threshold_of_one_accepts_no_correction(grammar: Grammar) -> None:
    strict = Understander(grammar, load_language(), load_speech(), near_miss=1.0)
    assert hear(strict, "what lime is it").verdict is Verdict.KNOWLEDGE
    assert hear(strict, "what time is it").verdict is Verdict.ACT


@needs_shared
def test_every_command_of_the_closed_set_is_understood(understander: Understander) -> None:
    lines = (MODELS / "whisper_closed_set" / "commands.txt").read_text().splitlines()
    assert len(lines) == 66
    assert [line for line in lines if hear(understander, line).verdict is not Verdict.ACT] == []


@pytest.mark.parametrize(
    ("text", "kinds", "expected"),
    [
        ("five minutes", ("duration",), Match("duration", FIVE)),
        ("um for five minutes please", ("duration",), Match("duration", FIVE)),
        ("at seven tomorrow", ("duration", "when"), Match("when", {"when": seven(days=1)})),
        ("all of them", ("all", "name"), Match("all")),
        ("the pizza one", ("all", "name"), Match("name", {"ref": "pizza"})),
        ("what time is it", ("duration", "when", "yes", "no"), None),
    ],
)
def test_answers_are_understood(
    understander: Understander, text: str, kinds: tuple[str, ...], expected: Match | None
) -> None:
    assert understander.match_answer(tuple(words(text)), kinds) == expected
