"""The configured wake words: which engines detect each, why one cannot be detected, and their counters."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from voxd.config.schema import WakeWord
from voxd.errors import InvalidRequest, ModelError, NotFound
from voxd.frames import samples_from_s
from voxd.listen import microwakeword, openwakeword
from voxd.listen.gate import WakeRule
from voxd.listen.microwakeword import MicroWakeWordEngine
from voxd.listen.openwakeword import OpenWakeWordEngine
from voxd.listen.openwakeword_onnx import OnnxWakeWordEngine
from voxd.listen.tflite import check_model
from voxd.listen.wake_detector import WakeEngines
from voxd.listen.wake_engine import WakeEngine
from voxd.reports import WakeEntry

MICRO = "microwakeword"
OPEN = "openwakeword"
OPEN_ONNX = "openwakeword (onnx)"


@dataclass(frozen=True, slots=True)
class WordEngines:
    """The engines of one word, as `voxctl wake` names them; ``first`` is "" without a first stage."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class WakeWordProblem:
    """A word that cannot be detected, and why."""

    word: str
    error: ModelError


def engines(word: WakeWord) -> WordEngines:
    """Return the engines ``word`` runs on. Raises `ModelError` when there is none."""
    if not word.model:
        # Every word needs a second stage: the first alone accepts too much that is not the word.
        openwakeword.builtin_model(word.name)
        return WordEngines(MICRO if word.name in microwakeword.builtin_words() else "", OPEN)
    file = Path(os.path.expanduser(word.model))
    match file.suffix:
        case ".tflite":
            check_model(file)
            return WordEngines("", OPEN)
        case ".onnx":
            return WordEngines("", OPEN_ONNX)
    raise ModelError(
        f"wake word model {word.model} is neither .tflite nor .onnx",
        hint="set `model` of that word to an openWakeWord file, or remove it",
    )


def rule(word: WakeWord) -> WakeRule:
    """Return the gate's rule for ``word``."""
    return WakeRule(word.first_threshold, word.threshold, samples_from_s(word.refractory_s), word.enabled)


def build(words: tuple[WakeWord, ...], models_dir: Path) -> tuple[WakeEngines, list[WakeWordProblem]]:
    """Load the engines of every enabled word; a word that fails is left out and reported.

    ``models_dir`` is where ONNX words find their front end.
    """
    problems: list[WakeWordProblem] = []
    first: list[str] = []
    open_alone: dict[str, str] = {}
    onnx_alone: dict[str, str] = {}
    for word in words:
        if not word.enabled:
            continue
        try:
            selected = engines(word)
            if selected.first:
                first.append(word.name)
            elif selected.second == OPEN_ONNX:
                onnx_alone[word.name] = os.path.expanduser(word.model)
            else:
                open_alone[word.name] = os.path.expanduser(word.model)
        except ModelError as error:
            problems.append(WakeWordProblem(word.name, error))
    if first:
        openwakeword.read_ahead(first)
    stages = WakeEngines(
        first=MicroWakeWordEngine(tuple(first)) if first else None,
        # One engine for all words of the first stage: they share the front end, which costs most.
        confirm=lambda: OpenWakeWordEngine(dict.fromkeys(first, "")),
        alone=(
            *_alone(open_alone, OpenWakeWordEngine, problems),
            *_alone(onnx_alone, lambda some: OnnxWakeWordEngine(some, models_dir), problems),
        ),
    )
    return stages, problems


def _alone(
    words: dict[str, str], make: Callable[[dict[str, str]], WakeEngine], problems: list[WakeWordProblem]
) -> tuple[WakeEngine, ...]:
    """Make one stage of ``words``; of those that cannot be loaded each is reported and left out."""
    try:
        return (make(words),) if words else ()
    except ModelError as error:
        if len(words) == 1:
            problems += [WakeWordProblem(word, error) for word in words]
            return ()
    # One broken file fails the engine of all words, so each is tried alone to find it.
    good: dict[str, str] = {}
    for word, path in words.items():
        stages = _alone({word: path}, make, problems)
        for stage in stages:
            stage.close()
            good[word] = path
    return _alone(good, make, problems)


class ActiveWakeWords:
    """The words in use and their counters.

    The event loop replaces ``words``, one immutable value; the listening thread reads it.
    """

    def __init__(self, words: tuple[WakeWord, ...]) -> None:
        self.words = words
        self.problems: tuple[WakeWordProblem, ...] = ()
        """Words that cannot be detected, and why."""
        self._detections: Counter[str] = Counter()
        self._rejections: Counter[str] = Counter()

    def agent_of(self, name: str) -> str:
        """Return the agent of the word ``name``."""
        return next((word.agent for word in self.words if word.name == name), "default")

    def count(self, name: str, *, accepted: bool) -> None:
        """Count a decision about ``name``."""
        (self._detections if accepted else self._rejections)[name] += 1

    def with_change(
        self,
        name: str,
        *,
        enabled: bool | None,
        threshold: float | None,
        first_threshold: float | None,
    ) -> tuple[WakeWord, ...]:
        """Return the words with ``name`` changed; None stays. Raises `NotFound`, `InvalidRequest`."""
        if name not in {word.name for word in self.words}:
            raise NotFound(f"unknown wake word {name}", hint="run `voxctl wake`")
        for value in (threshold, first_threshold):
            if value is not None and not 0 <= value <= 1:
                raise InvalidRequest(f"{value} is not a threshold", hint="use a number from 0 to 1")
        fields = {"enabled": enabled, "threshold": threshold, "first_threshold": first_threshold}
        changes = {key: value for key, value in fields.items() if value is not None}
        return tuple(
            msgspec.structs.replace(word, **changes) if word.name == name else word for word in self.words
        )

    def entries(self) -> list[WakeEntry]:
        """Return the words for `voxctl wake`."""
        failed = {problem.word for problem in self.problems}
        return [self._entry(word, is_loaded=word.name not in failed) for word in self.words]

    def _entry(self, word: WakeWord, *, is_loaded: bool) -> WakeEntry:
        try:
            selected = engines(word)
        except ModelError:
            selected = WordEngines("", "")
        return WakeEntry(
            name=word.name,
            enabled=word.enabled and is_loaded,
            agent=word.agent,
            first_stage=selected.first,
            second_stage=selected.second,
            first_threshold=word.first_threshold,
            threshold=word.threshold,
            detections=self._detections[word.name],
            rejections=self._rejections[word.name],
        )
