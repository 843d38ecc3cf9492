"""Why a sentence is understood as it is: its words, the values in them, the candidates and what is done."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from voxd.clock import Clock
from voxd.config import schema
from voxd.skills.custom import format_slot
from voxd.skills.effects import effect_text, find_changes
from voxd.skills.numbers import words
from voxd.skills.phrase_file import Given
from voxd.skills.schedule import local_zone
from voxd.skills.simulation import Simulator
from voxd.skills.slots import find_spans
from voxd.store.db import MEMORY, Database

if TYPE_CHECKING:
    from voxd.skills.grammar import Grammar


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A duration, moment or number: its ``kind``, the words it was read from, and what it means."""

    kind: str
    words: str
    value: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An intent the sentence may have; ``reason`` says why it is ``taken``, or why not.

    ``certainty`` is 1 for an exact match and goes down to 0; ``slots`` are its values as text.
    """

    intent: str
    certainty: float
    taken: bool
    reason: str
    slots: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a sentence is understood; ``decision`` says what is done, or asked, or answered."""

    words: tuple[str, ...]
    values: tuple[FoundValue, ...]
    candidates: tuple[Candidate, ...]
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
            candidates = _candidates(await simulation.engine.prepare(), text)
            before = simulation.state()
            reply = await simulation.engine.answer(text)
            changes = find_changes(before, simulation.state(), simulation.labels, tz)
    finally:
        await db.close()
    done = [effect_text(effect, given.now) for effect in changes.effects]
    decision = [*done, *(["ask"] if reply.expects_answer else []), f'reply "{reply.text}"']
    return Explanation(tuple(said), _values(said), candidates, "; ".join(decision))


def _values(said: list[str]) -> tuple[FoundValue, ...]:
    return tuple(
        FoundValue(span.slot, " ".join(said[span.start : span.end]), format_slot(span.value))
        for span in find_spans(said)
    )


def _candidates(grammar: "Grammar", text: str) -> tuple[Candidate, ...]:
    match = grammar.recognize(text)
    if match is None:
        return ()
    slots = tuple((name, format_slot(value)) for name, value in match.slots.items())
    return (Candidate(match.intent, 1.0, True, "a sentence of the grammar, or nearest to one", slots),)
