"""Runs sentences on a simulated device and judges what they did, by the state before and after."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from voxd.config import schema
from voxd.skills.contract import SkillReply
from voxd.skills.evaluation.confusions import Confusions, Mishearing
from voxd.skills.evaluation.effects import (
    Changes,
    DeviceState,
    Effect,
    effect_text,
    find_changes,
    volume_effect,
)
from voxd.skills.evaluation.phrase_file import Case, Expected, Given
from voxd.skills.evaluation.simulation import Simulator
from voxd.skills.understanding.templates import read_effects
from voxd.store.db import MEMORY, Database

_REFUSING = "no_"
"""What the intents that only refuse begin with."""

_DELETES = ("cancel", "silence", "sound off", "mic off")
_ALTERS = ("change", "rename", "pause", "resume", "snooze")


class CaseVerdict(IntEnum):
    """How a case ended, the best first."""

    RIGHT = 0
    REFUSED = 1
    ASKED = 2
    WRONG = 3
    DESTROYED = 4


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What came of the sentences: the changes, the effects that held before, and the last reply."""

    changes: Changes
    held: frozenset[Effect]
    asked: bool
    intent: str
    reply: str


@dataclass(frozen=True, slots=True)
class Result:
    """One case, or one ``variant`` of it, with what was ``got``, in the words of the file format."""

    case: Case
    variant: Mishearing | None
    verdict: CaseVerdict
    got: str
    intent: str
    reply: str

    @property
    def text(self) -> str:
        """What was said."""
        return self.case.text if self.variant is None else " // ".join(self.variant.sentences)


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """The results of the sentences as they stand, and of their variants."""

    exact: tuple[Result, ...]
    confused: tuple[Result, ...]


def count(results: Iterable[Result]) -> dict[CaseVerdict, int]:
    """Return how many results have each verdict."""
    counted = Counter(result.verdict for result in results)
    return {verdict: counted[verdict] for verdict in CaseVerdict}


async def evaluate(
    cases: Sequence[Case],
    config: schema.Skills,
    *,
    confuse: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluationReport:
    """Run every case; with the seed ``confuse``, also as a recogniser may mishear it.

    Commands of the owner are recognised, but not run. Raises `ConfigError`.
    """
    said: list[tuple[Case, Mishearing | None]] = [(case, None) for case in cases]
    if confuse is not None:
        confusions = Confusions.load()
        said += [
            (case, variant)
            for case in cases
            for variant in confusions.variants(case.sentences, confuse)
            if _is_judged(case, variant)
        ]
    results: list[Result] = []
    db = Database(Path(MEMORY))
    await db.open()
    try:
        simulator = Simulator(config, db)
        for case, variant in said:
            results.append(await _run(simulator, case, variant))
            progress(len(results), len(said))
    finally:
        await db.close()
    return EvaluationReport(tuple(results[: len(cases)]), tuple(results[len(cases) :]))


def _is_judged(case: Case, variant: Mishearing) -> bool:
    # Another number may make sense of a sentence that must be refused: what to expect then is not known.
    return not variant.changes_value or any(one.effects or one.intents for one in case.expected)


async def _run(simulator: Simulator, case: Case, variant: Mishearing | None) -> Result:
    reply = SkillReply("")
    async with simulator.simulate(case.given) as simulation:
        before = simulation.state()
        for index, sentence in enumerate(variant.sentences if variant else case.sentences):
            earlier = simulation.state()
            reply = await simulation.engine.answer(sentence)
            is_open = reply.expects_answer or _refuses(reply.intent)
            if variant and index == variant.index and is_open and simulation.state() == earlier:
                # After a question or a refusal the user says it again: the rest is not judged.
                changes = Changes(())
                break
        else:
            changes = find_changes(before, simulation.state(), simulation.labels, case.given.tz)
    outcome = CaseOutcome(changes, _held(before), reply.expects_answer, reply.intent, reply.text)
    verdict = min(judge(expected, outcome, variant) for expected in case.expected)
    return Result(case, variant, verdict, _got(outcome, case.given), reply.intent, reply.text)


def _held(before: DeviceState) -> frozenset[Effect]:
    """Return the effects on the device that change nothing, because it is so already."""
    sound = {Effect("sound on")} if before.volume else set()
    return frozenset({volume_effect(before.volume), *sound})


def _got(outcome: CaseOutcome, given: Given) -> str:
    """Return what happened in the words of the file format."""
    parts = [effect_text(effect, given.now) for effect in outcome.changes.effects]
    parts += ["ask"] * outcome.asked
    if parts:
        return "; ".join(parts)
    return "refuse" if not outcome.intent else f"say {outcome.intent}"


def judge(expected: Expected, outcome: CaseOutcome, variant: Mishearing | None = None) -> CaseVerdict:
    """Return how ``outcome`` meets ``expected``.

    A ``variant`` may also do what its own words say: see `Mishearing.allows`.
    """
    if not outcome.changes.effects:
        return _judge_unchanged(expected, outcome)
    got = _as_expected(expected, outcome)
    unexpected = Counter(got) - Counter(expected.effects)
    missing = Counter(expected.effects) - Counter(got)
    for effect in (*outcome.changes.implied, *outcome.held):
        missing.pop(effect, None)
    is_met = not unexpected and not missing
    if not is_met and variant is not None:
        is_met = _is_allowed(variant, expected.effects, got)
    if is_met:
        if outcome.asked and not expected.asks:
            return CaseVerdict.ASKED
        return _if(outcome.asked == expected.asks)
    destroys = any(_destroys(effect, expected) for effect in unexpected)
    return CaseVerdict.DESTROYED if destroys else CaseVerdict.WRONG


def _judge_unchanged(expected: Expected, outcome: CaseOutcome) -> CaseVerdict:
    is_refusal = _refuses(outcome.intent)
    if outcome.intent in expected.intents:
        return CaseVerdict.RIGHT
    if outcome.asked:
        return CaseVerdict.RIGHT if expected.asks and not expected.effects else CaseVerdict.ASKED
    if is_refusal and expected.refuses:
        return CaseVerdict.RIGHT
    # "Set the volume to 40" where it is at 40 already.
    if expected.effects and outcome.held.issuperset(expected.effects) and outcome.intent:
        return _if(not outcome.intent.startswith(_REFUSING) and not expected.asks)
    return CaseVerdict.REFUSED if is_refusal else CaseVerdict.WRONG


def _refuses(intent: str) -> bool:
    """Return whether a reply with ``intent`` is a refusal when nothing changed and no question was asked."""
    return not intent or read_effects().get(intent, "sets") != "tells"


def _if(right: bool) -> CaseVerdict:
    return CaseVerdict.RIGHT if right else CaseVerdict.WRONG


def _as_expected(expected: Expected, outcome: CaseOutcome) -> list[Effect]:
    """Return the effects of ``outcome``, any volume above zero taken for the sound on that was expected."""
    sound_on = Effect("sound on")
    if sound_on not in expected.effects or sound_on in outcome.held:
        return [*outcome.changes.effects]
    return [sound_on if effect.what == "volume" else effect for effect in outcome.changes.effects]


def _is_allowed(variant: Mishearing, expected: Sequence[Effect], got: Sequence[Effect]) -> bool:
    left = [*got]
    for effect in expected:
        match = next((other for other in left if variant.allows(effect, other)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _destroys(effect: Effect, expected: Expected) -> bool:
    """Whether the unexpected ``effect`` deletes, mutes, or alters what was not to be touched."""
    if effect.what in _DELETES:
        return True
    return effect.what in _ALTERS and all(effect.target != other.target for other in expected.effects)
