"""What no sequence of words may do: delete, mute, take a verb for its opposite, or raise."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.properties import examples
from tests.skills.talk import FILLED, Talk
from voxd.config.commands import Command, ReplyAction
from voxd.skills.evaluation.phrase_file import read_phrases
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.templates import compile_intents, expand, load_templates, slot_lists
from voxd.skills.understanding.understander import Understander, Understanding, Verdict
from voxd.store.db import MEMORY, Database

READ_ONLY = ("list my reminders", "how much time is left", "is the microphone muted")
VALUES = {
    "duration": "five minutes",
    "when": "tomorrow at seven",
    "clock": "half past six",
    "ordinal": "third",
    "number": "twenty",
}
"""What stands for the values of a template."""

FILL = "pizza"
"""What stands for the free words of a template."""

ABSOLUTE = {"volume_set", "volume_half"}
"""Intents that say where to go: "turn it up to forty" and "down to forty" are the same."""


@cache
def shared() -> tuple[Grammar, Understander]:
    grammar = Grammar((), load_language(), load_speech())
    return grammar, Understander(grammar, load_language(), load_speech(), near_miss=0.8)


@cache
def vocabulary() -> tuple[str, ...]:
    return tuple(sorted(shared()[0].vocabulary() | {"purple", "thirteen", "ringe", "mewt", "cancell"}))


@cache
def said_by_people() -> tuple[str, ...]:
    """The single sentences of the phrase files."""
    files = sorted((Path(__file__).parents[1] / "phrases").glob("*.tsv"))
    cases = [case for file in files for case in read_phrases(file.read_text(encoding="utf-8"), file.name)]
    return tuple(sorted({case.sentences[0] for case in cases if len(case.sentences) == 1}))


def understand(text: str) -> Understanding:
    return shared()[1].understand(tuple(words(text)))


def on_a_device(work: Callable[[Talk], Awaitable[None]]) -> None:
    """Do ``work`` with a device on which two timers, an alarm and a reminder are set."""

    async def run() -> None:
        db = Database(Path(MEMORY))
        await db.open()
        talk = Talk(db, understander=shared()[1])
        await talk.timers.start()
        try:
            await talk.fill()
            await work(talk)
        finally:
            await talk.timers.close()
            await db.close()

    asyncio.run(run())


def say(text: str) -> tuple[int, int, list[str]]:
    """Say ``text``; returns how much is set then, the volume, and what was done to the device."""
    after: list[tuple[int, int, list[str]]] = []

    async def work(talk: Talk) -> None:
        await talk.ask(text)
        after.append((len(talk.state()), *talk.device_state()))

    on_a_device(work)
    return after[0]


@st.composite
def misheard(
    draw: st.DrawFn, sentences: tuple[str, ...] = (), changes: tuple[str, ...] = ("drop", "replace", "add")
) -> str:
    """A sentence in which one word is different."""
    said = words(draw(st.sampled_from(sentences or said_by_people())))
    at = draw(st.integers(0, len(said)))
    word = draw(st.sampled_from(vocabulary()))
    change = draw(st.sampled_from(changes))
    kept = said[at:] if change == "add" else said[at + 1 :]
    return " ".join([*said[:at], *([word] if change != "drop" else []), *kept])


SEQUENCES = st.lists(st.sampled_from(vocabulary()), min_size=1, max_size=9).map(" ".join)


@examples(150, deadline=None)
@given(st.one_of(SEQUENCES, misheard()))
@example("delte all my timers")
@example("council everything")
@example("don't cancel the alarm")
@example("unmuted the sound")
def test_only_an_exact_request_deletes_or_mutes(text: str) -> None:
    heard = understand(text)
    effects = {shared()[0].effect(match.intent) for match in heard.matches}
    is_zero = any(match.slots.get("number") == 0 for match in heard.matches)
    assume(not (heard.verdict is Verdict.ACT and heard.is_exact and ("destroys" in effects or is_zero)))
    count, level, done = say(text)
    assert count >= len(FILLED)
    assert level > 0
    assert "mute" not in done


@examples(100, deadline=None)
@given(misheard(READ_ONLY, ("drop", "add")))
@example("list my cancel reminders")
@example("cancel list my reminders")
@example("is the microphone mute")
@example("the microphone muted")
@example("how much time is left stop")
def test_a_question_that_is_misheard_deletes_and_mutes_nothing(text: str) -> None:
    count, level, done = say(text)
    assert count >= len(FILLED)
    assert level > 0
    assert "mute" not in done


@cache
def templates() -> list[list[str]]:
    """Return some sentences of each template that acts, with values in them."""
    loaded = load_templates()
    intents = compile_intents(loaded, loaded.intents)
    acting = [
        (data, template)
        for name, intent in intents.intents.items()
        if shared()[0].effect(name) not in ("tells", "refuses")
        for data in intent.data
        for template in data.sentences
    ]
    return [
        [*islice(expand(template.expression, intents, slot_lists(intents, data)), 400)]
        for data, template in acting
    ]


def with_values(text: str) -> list[str]:
    filled = [VALUES.get(part[1:-1], FILL) if part.startswith("{") else part for part in text.split()]
    return " ".join(filled).split()


@pytest.mark.parametrize("pair", load_language().tables.meaning.opposites)
def test_opposite_verbs_never_meet(pair: tuple[str, str]) -> None:
    met: list[str] = []
    for one, other in (pair, pair[::-1]):
        for sentences in templates():
            said = next((with_values(text) for text in sentences if one in text.split()), None)
            if said is None:
                continue
            first = shared()[0].match(said)
            second = shared()[0].match([other if word == one else word for word in said])
            if first is not None and first == second and first.intent not in ABSOLUTE:
                met.append(" ".join(said))
    assert met == []


@examples(100, deadline=None)
@given(st.sampled_from(said_by_people()))
def test_undo_restores_what_a_sentence_changed(text: str) -> None:
    intents = {match.intent for match in understand(text).matches}
    # What silences for now is not undone, and no sentence opens the microphone.
    assume(not intents & {"mic_mute", "stop", "silence"})

    async def work(talk: Talk) -> None:
        before = [(entry, talk.device.level) for entry in talk.timers.list()]
        await talk.ask(text)
        if [(entry, talk.device.level) for entry in talk.timers.list()] != before:
            await talk.ask("undo that")
        assert [(entry, talk.device.level) for entry in talk.timers.list()] == before

    on_a_device(work)


ODD_WORDS = (*words("of every at zero twelve half no week noon a set alarm"), "40th", "2½", "13:70")
ODD_TIMES = st.lists(st.sampled_from(ODD_WORDS), max_size=8).map(" ".join)


@examples(120, deadline=None)
@given(st.one_of(st.text(max_size=60), SEQUENCES, ODD_TIMES))
@example("remind me on the 40th of every month at noon to pay")
@example("set an alarm for seven every zero weeks")
def test_understanding_never_raises(text: str) -> None:
    heard = understand(text)
    assert heard.verdict is not Verdict.ACT or heard.matches


OWN = st.text("abzäéñ019 .-:'%½,", min_size=1, max_size=16).filter(lambda text: bool(words(text)))


@examples(6, deadline=None)
@given(st.lists(OWN, min_size=20, max_size=30, unique_by=lambda text: tuple(words(text))))
@example(["living-room light", "1st floor", "dr. who", "scene 7:30", "2½ cups", "50%", "zoë's lamp 1,000"])
def test_own_commands_are_matched_verbatim(texts: list[str]) -> None:
    commands = [
        Command(name=f"own{at}", sentences=(text,), action=ReplyAction(text="Done."))
        for at, text in enumerate(texts)
    ]
    grammar = Grammar(commands, load_language(), load_speech())
    heard = [grammar.match(words(text)) for text in texts]
    assert [match and match.intent for match in heard] == [f"command.own{at}" for at in range(len(texts))]
