"""Which engines hear which configured word, and why a word cannot be heard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voxd.config.schema import WakeWord
from voxd.errors import ModelError
from voxd.frames import samples_from_s
from voxd.listen import microwakeword, openwakeword
from voxd.listen.gate import WakeRule
from voxd.listen.microwakeword import MicroWakeWordEngine
from voxd.listen.openwakeword import OpenWakeWordEngine
from voxd.listen.openwakeword_onnx import OnnxWakeWordEngine
from voxd.listen.tflite import check_model
from voxd.listen.wake_detector import WakeEngines
from voxd.listen.wake_engine import WakeEngine

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
    """A word that cannot be heard, and why."""

    word: str
    error: ModelError


def engines(word: WakeWord) -> WordEngines:
    """Return the engines ``word`` runs on. Raises `ModelError` when there is none."""
    if not word.model:
        if word.name not in openwakeword.builtin_words():
            known = ", ".join(openwakeword.builtin_words())
            raise ModelError(
                f"{word.name} is not a built-in wake word",
                hint=f"set `model` of that word to a file, or use one of {known}",
            )
        return WordEngines(MICRO if word.name in microwakeword.builtin_words() else "", OPEN)
    match Path(word.model).suffix:
        case ".tflite":
            check_model(Path(word.model))
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
            chosen = engines(word)
            if chosen.first:
                first.append(word.name)
            elif chosen.second == OPEN_ONNX:
                onnx_alone[word.name] = word.model
            else:
                open_alone[word.name] = word.model
        except ModelError as error:
            problems.append(WakeWordProblem(word.name, error))
    if first:
        openwakeword.read_ahead(first)
    stages = WakeEngines(
        first=MicroWakeWordEngine(tuple(first)) if first else None,
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
    good: dict[str, str] = {}
    for word, path in words.items():
        stages = _alone({word: path}, make, problems)
        for stage in stages:
            stage.close()
            good[word] = path
    return _alone(good, make, problems)
