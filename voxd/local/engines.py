"""The local engines by name, and the chains of them that the configuration selects."""

import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voxd.clock import Clock
from voxd.config.files.access import reason_not_readable
from voxd.config.files.piper_speaker import description_of, find_speaker
from voxd.config.rules import ENGINE_GROUPS
from voxd.config.schema import Piper, Stt, Tts
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.errors import LocalEngineError, ModelError, VoxdError, third_party
from voxd.events import Emit
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Clip
from voxd.local.adapters import WorkerSynthesizer, WorkerTranscriber
from voxd.local.chain import SynthesizerChain, TranscriberChain
from voxd.local.contract import LocalTranscript, Synthesizer
from voxd.local.programs import ProgramSynthesizer, espeak, flite
from voxd.local.worker import Load, Worker

CHILD_ENVIRONMENT = {
    # onnxruntime 1.29 and later report to their vendor unless this is set (measured).
    "ORT_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}

# The engine that maps all speech to one of the sentences of its grammar.
GRAMMAR_BOUND = "pocketsphinx"


@dataclass(frozen=True, slots=True)
class EngineResources:
    """What the builder of an engine may use beside its configuration."""

    models_dir: Path
    clock: Clock
    grammar: str = ""
    """JSGF with one public rule: the sentences the device understands. "" for synthesizers."""


def build_transcriber(
    stt: Stt, *, models_dir: Path, grammar: str, emit: Emit, clock: Clock
) -> TranscriberChain:
    """Return the engines of ``stt``, the configured one first, pocketsphinx last.

    Under "auto" Whisper is tried first only if its model is there when the chain is built.
    """
    resources = EngineResources(models_dir, clock, grammar)
    uses_whisper = stt.engine in ("auto", "whisper")
    missing = _missing(lambda: whisper_file(stt.whisper.model, models_dir)) if uses_whisper else None
    first: str = stt.engine
    if first == "auto":
        first, missing = (GRAMMAR_BOUND, None) if missing else ("whisper", None)
    engines, broken = _build_engines("stt", (first, GRAMMAR_BOUND), stt, resources)
    chain = TranscriberChain(engines, emit, clock)
    if reason := missing or broken:
        chain.skip_configured(reason)
    return chain


def build_synthesizer(tts: Tts, *, models_dir: Path, emit: Emit, clock: Clock) -> SynthesizerChain:
    """Return the engines of ``tts``, the configured one first, espeak-ng last.

    Under "auto" Piper is tried first only if its voice is there when the chain is built; flite speaks
    English only.
    """
    resources = EngineResources(models_dir, clock)
    english = tts.language.split("-")[0].split("_")[0] == "en"
    fallbacks = ["flite", "espeak"] if english else ["espeak"]
    uses_piper = tts.engine in ("auto", "piper")
    missing = _missing(lambda: piper_voice(tts.piper.voice, models_dir)) if uses_piper else None
    first: list[str] = [tts.engine]
    if tts.engine == "auto":
        first, missing = ([] if missing else ["piper"]), None
    if "piper" in first and missing is None:
        # A speaker that is not there is a mistake, also under "auto": it is said at the start.
        missing = _missing(lambda: piper_speaker(tts.piper, models_dir))
    engines, broken = _build_engines("tts", (*first, *fallbacks), tts, resources)
    chain = SynthesizerChain(engines, emit, clock)
    if reason := missing or broken:
        chain.skip_configured(reason)
    return chain


class UnavailableEngine:
    """Takes the place of an engine that cannot be built, so that status and events still name it."""

    loaded = False

    def __init__(self, name: str, error: VoxdError) -> None:
        self.name = name
        self._error = error

    def prepare(self) -> None:
        """Do nothing."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Raise the reason."""
        raise self._error

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        """Raise the reason."""
        if self._error:  # always: the `yield` below makes this the generator that the contract asks for
            raise self._error
        yield Clip(b"", SAMPLE_RATE_HZ)

    async def close(self) -> None:
        """Do nothing."""


def _build_engines(
    section: Literal["stt", "tts"], names: Iterable[str], config: Stt | Tts, resources: EngineResources
) -> tuple[list[Any], VoxdError | None]:
    """Return the engines by ``names``, and why the first of them cannot be built."""
    installed = find_entry_points(ENGINE_GROUPS[section])
    engines: list[Any] = []
    failure: VoxdError | None = None
    # Only these are imported: an engine that is installed but not configured costs no memory.
    for name in dict.fromkeys(names):
        try:
            engines.append(_build_engine(name, installed, config, resources))
        except VoxdError as error:
            # The package of an engine must not stop the start: the next engine of the chain serves.
            failure = failure if engines else error
            engines.append(UnavailableEngine(name, error))
    return engines, failure


def _build_engine(
    name: str, installed: Mapping[str, str], config: Stt | Tts, resources: EngineResources
) -> object:
    if name not in installed:
        raise LocalEngineError(f"no installed package has the engine {name}", hint="install its package")
    with third_party(
        lambda error: LocalEngineError(
            f"the engine {name} cannot be built: {error!r}", hint="update or remove its package"
        )
    ):
        return load_entry_point(installed[name])(config, resources)


def whisper_transcriber(stt: Stt, resources: EngineResources) -> WorkerTranscriber:
    """Return Whisper; its file is looked for at each start, so that it may arrive later."""

    def load() -> Load:
        return Load(
            {
                "model": str(whisper_file(stt.whisper.model, resources.models_dir)),
                "threads": stt.whisper.threads,
                "language": stt.whisper.language,
            }
        )

    return WorkerTranscriber(_worker("whisper", "voxd.local.whisper:WhisperEngine", load, stt, resources))


def sphinx_transcriber(stt: Stt, resources: EngineResources) -> WorkerTranscriber:
    """Return pocketsphinx with its own English model and the grammar of ``resources``."""
    load = Load({}, resources.grammar.encode())
    engine = "voxd.local.sphinx:SphinxEngine"
    return WorkerTranscriber(_worker(GRAMMAR_BOUND, engine, lambda: load, stt, resources))


def piper_synthesizer(tts: Tts, resources: EngineResources) -> WorkerSynthesizer:
    """Return Piper; its voice is looked for at each start, so that it may arrive later."""

    def load() -> Load:
        voice = piper_voice(tts.piper.voice, resources.models_dir)
        speaker = piper_speaker(tts.piper, resources.models_dir)
        settings = {"voice": str(voice), "length_scale": tts.piper.length_scale, "speaker_id": speaker}
        return Load(settings)

    return WorkerSynthesizer(_worker("piper", "voxd.local.piper:PiperEngine", load, tts, resources))


def flite_synthesizer(tts: Tts, resources: EngineResources) -> ProgramSynthesizer:
    """Return flite, which speaks English only."""
    return ProgramSynthesizer(flite(tts.flite_voice), timeout_s=tts.timeout_s)


def espeak_synthesizer(tts: Tts, resources: EngineResources) -> ProgramSynthesizer:
    """Return espeak-ng, which speaks nearly every language."""
    return ProgramSynthesizer(espeak(tts.language), timeout_s=tts.timeout_s)


def _worker(
    name: str, engine: str, load: Callable[[], Load], config: Stt | Tts, resources: EngineResources
) -> Worker:
    times = {"timeout_s": config.timeout_s, "idle_unload_s": config.idle_unload_s}
    return make_worker(name, engine, load, resources.clock, **times)


def make_worker(
    name: str, engine: str, load: Callable[[], Load], clock: Clock, *, timeout_s: float, idle_unload_s: float
) -> Worker:
    """Return a worker that serves ``engine``, the "module:Class" of a `voxd.local.serve.WorkerEngine`."""
    return Worker(
        name,
        (sys.executable, "-P", "-m", "voxd.local.serve", engine),
        load,
        clock,
        timeout_s=timeout_s,
        idle_unload_s=idle_unload_s,
        environment=CHILD_ENVIRONMENT,
    )


def _missing(find: Callable[[], object]) -> ModelError | None:
    """Return why a model file cannot be found, None when it is there."""
    try:
        find()
    except ModelError as error:
        return error
    return None


def whisper_file(model: str, models_dir: Path) -> Path:
    """Return the ggml file of ``model``, a path or a name of the catalogue. Raises `ModelError`."""
    return _find_file(model, models_dir, f"ggml-{model}.bin", "stt.whisper.model")


def piper_voice(voice: str, models_dir: Path) -> Path:
    """Return the .onnx file of ``voice``; its .onnx.json lies beside it. Raises `ModelError`."""
    path = _find_file(voice, models_dir, f"{voice}.onnx", "tts.piper.voice")
    config = path.with_name(path.name + ".json")
    if reason := reason_not_readable(config):
        raise ModelError(f"{config} {reason}", hint=f"put {config.name} beside {path.name}")
    return path


def piper_speaker(piper: Piper, models_dir: Path) -> int | None:
    """Return the number of the configured speaker, None without one. Raises `ModelError`."""
    if piper.speaker == "":
        return None
    return find_speaker(piper.speaker, description_of(piper_voice(piper.voice, models_dir)))


def _find_file(name: str, models_dir: Path, file_name: str, key: str) -> Path:
    # A value with a slash or a known suffix is a path; anything else is a name of the catalogue.
    named = Path(name).expanduser()
    is_path = "/" in name or named.suffix in (".bin", ".onnx")
    path = (named if "/" in name else models_dir / named) if is_path else models_dir / file_name
    reason = reason_not_readable(path)
    if not reason:
        return path
    hint = f"correct {key}" if is_path else f"run `voxctl models pull {name}`"
    raise ModelError(f"{path} {reason}", hint=hint)


_DEMONSTRATION_PAUSE_S = 0.3
_DEMONSTRATION_QUESTION = "what time is it"


async def render_demonstration(synthesizer: Synthesizer, wake_word: str) -> Clip:
    """Return ``wake_word``, a short pause and a question as one clip, for the virtual microphone.

    Silence when synthesis fails: the device starts all the same, and its status shows the fault.
    """
    rate_hz, spoken = SAMPLE_RATE_HZ, []
    try:
        for text in (wake_word, _DEMONSTRATION_QUESTION):
            clips = [clip async for clip in synthesizer.synthesize(text)]
            rate_hz = clips[0].rate_hz if clips else rate_hz
            spoken.append(b"".join(clip.pcm for clip in clips))
    except VoxdError:
        return Clip(b"", SAMPLE_RATE_HZ)
    pause = bytes(round(_DEMONSTRATION_PAUSE_S * rate_hz) * BYTES_PER_SAMPLE)
    return Clip(pause.join(spoken), rate_hz)
