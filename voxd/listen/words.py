"""Which engines hear which configured word, and why a word cannot be heard."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from voxd.config.schema import WakeWord
from voxd.errors import ModelError
from voxd.frames import samples_from_s
from voxd.listen import micro, openww
from voxd.listen.detector import Stages
from voxd.listen.gate import Rule
from voxd.listen.micro import MicroStage
from voxd.listen.onnxww import OnnxStage
from voxd.listen.openww import OpenStage
from voxd.listen.stage import Stage
from voxd.listen.tflite import check_model

MICRO = "microwakeword"
OPEN = "openwakeword"
OPEN_ONNX = "openwakeword (onnx)"


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one word, as `voxctl wake` names them; ``first`` is "" without a first stage."""

    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A word that cannot be heard, and why."""

    word: str
    error: ModelError


def engines(word: WakeWord) -> Engines:
    """Return the engines ``word`` runs on. Raises `ModelError` when there is none."""
    if not word.model:
        if word.name not in openww.builtin_words():
            raise ModelError(
                f"{word.name} is not a built-in wake word",
                hint=f"set `model` of that word to a file, or use one of {', '.join(openww.builtin_words())}",
            )
        return Engines(MICRO if word.name in micro.builtin_words() else "", OPEN)
    match Path(word.model).suffix:
        case ".tflite":
            check_model(Path(word.model))
            return Engines("", OPEN)
        case ".onnx":
            return Engines("", OPEN_ONNX)
    raise ModelError(
        f"wake word model {word.model} is neither .tflite nor .onnx",
        hint="set `model` of that word to an openWakeWord file, or remove it",
    )


def rule(word: WakeWord) -> Rule:
    """Return the gate's rule for ``word``."""
    return Rule(word.first_threshold, word.threshold, samples_from_s(word.refractory_s), word.enabled)


def build(words: tuple[WakeWord, ...], models_dir: Path) -> tuple[Stages, list[Problem]]:
    """Load the engines of every enabled word; a word that fails is left out and reported.

    ``models_dir`` is where ONNX words find their front end.
    """
    problems: list[Problem] = []
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
            problems.append(Problem(word.name, error))
    if first:
        openww.read_ahead(first)
    stages = Stages(
        first=MicroStage(tuple(first)) if first else None,
        confirm=lambda: OpenStage(dict.fromkeys(first, "")),
        alone=(
            *_alone(open_alone, OpenStage, problems),
            *_alone(onnx_alone, lambda some: OnnxStage(some, models_dir), problems),
        ),
    )
    return stages, problems


def _alone(
    words: dict[str, str], make: Callable[[dict[str, str]], Stage], problems: list[Problem]
) -> tuple[Stage, ...]:
    """Make one stage of ``words``; of those that cannot be loaded each is reported and left out."""
    try:
        return (make(words),) if words else ()
    except ModelError as error:
        if len(words) == 1:
            problems += [Problem(word, error) for word in words]
            return ()
    good: dict[str, str] = {}
    for word, path in words.items():
        stages = _alone({word: path}, make, problems)
        for stage in stages:
            stage.close()
            good[word] = path
    return _alone(good, make, problems)
