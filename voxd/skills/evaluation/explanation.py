"""Why a sentence is understood as it is: its words, the values in them, the candidates and what is done."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from voxd.clock import Clock
from voxd.config import schema
from voxd.skills.custom import format_slot
from voxd.skills.evaluation.effects import effect_text, find_changes
from voxd.skills.evaluation.phrase_file import Given
from voxd.skills.evaluation.simulation import Simulator
from voxd.skills.timing.schedule import local_zone
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.slots import find_spans
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.understander import Understanding, Verdict
from voxd.store.db import MEMORY, Database


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A duration, moment or number: its ``kind``, the words it was read from, and what it means."""

    kind: str
    words: str
    value: str


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """An intent the sentence may have; ``reason`` says why it is ``taken``, or why not.

    ``text`` is the sentence as it was understood; ``slots`` are its values as text.
    """

    intent: str
    text: str
    taken: bool
    reason: str
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a sentence is understood; ``decision`` says what is done, or asked, or answered."""

    words: tuple[str, ...]
    values: tuple[FoundValue, ...]
    candidates: tuple[CandidateRow, ...]
    decision: str


async def explain(text: str, config: schema.Skills, clock: Clock) -> Explanation:
    """Explain ``text`` as said now to a device on which nothing is set. Raises `ConfigError`."""
    tz = local_zone()
    given = Given(datetime.fromtimestamp(clock.wall(), tz), tz)
    db = Database(Path(MEMORY))
    await db.open()
    try:
        async with Simulator(config, db).simulate(given) as simulation:
            said = words(text)
            understanding = await simulation.engine.understand(said)
            before = simulation.state()
            reply = await simulation.engine.answer(text)
            changes = find_changes(before, simulation.state(), simulation.labels, tz)
    finally:
        await db.close()
    done = [effect_text(effect, given.now) for effect in changes.effects]
    decision = [*done, *(["ask"] if reply.expects_answer else []), f'reply "{reply.text}"']
    return Explanation(tuple(said), _values(said), _candidates(understanding), "; ".join(decision))


def _values(said: list[str]) -> tuple[FoundValue, ...]:
    return tuple(
        FoundValue(span.slot, " ".join(said[span.start : span.end]), format_slot(span.value))
        for span in find_spans(said, load_language(), load_speech())
    )


def _candidates(understanding: Understanding) -> tuple[CandidateRow, ...]:
    return tuple(
        CandidateRow(
            one.match.intent,
            one.text,
            understanding.verdict is Verdict.ACT and one.match in understanding.matches,
            one.why,
            tuple((name, format_slot(value)) for name, value in one.match.slots.items()),
        )
        for one in understanding.candidates
    )
