"""Runs the wake words over recordings without a daemon, for `voxctl wake eval DIR`."""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from voxd.config.schema import WakeWord
from voxd.errors import NotFound
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms, samples_from_s
from voxd.listen.gate import WakeGate, WakeRule
from voxd.listen.recordings import RULE, LabelledRecording, UnreadableRecording, find, load
from voxd.listen.wake_detector import WakeDetector, WakeEngines
from voxd.listen.wake_engine import WakeEngine
from voxd.listen.wake_words import build, rule

# The daemon's default `audio.block_ms`: decisions fall at the same places.
_BLOCK_SAMPLES = samples_from_ms(40)

# Stands before and after every recording, as quiet does in a room.
_SILENCE = bytes(samples_from_s(1.0) * BYTES_PER_SAMPLE)

# openWakeWord's own default, for the comparison.
ALONE_THRESHOLD = 0.5


class EngineResult(msgspec.Struct, frozen=True):
    """The result of one way to detect a word. ``cpu_s`` was spent on ``heard_s`` of sound and silence."""

    engine: str
    recalled: int
    false_accepts: int
    cpu_s: float
    heard_s: float
    missed: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def cpu_percent(self) -> float:
        """CPU per second of audio, in percent of one core, without pauses between blocks."""
        return 100 * self.cpu_s / self.heard_s if self.heard_s else 0.0


class WordResult(msgspec.Struct, frozen=True):
    """One word: its recordings, and the result of every engine."""

    word: str
    positives: int
    negatives: int
    negative_minutes: float
    """Recorded sound only."""
    negative_minutes_heard: float
    """With the second of silence before and after each."""
    engines: tuple[EngineResult, ...]


class Report(msgspec.Struct, frozen=True):
    """The whole evaluation; ``rule`` says how recordings were sorted."""

    directory: str
    rule: str
    recordings: int
    unreadable: tuple[tuple[str, str], ...]
    words: tuple[WordResult, ...]


Progress = Callable[[int, int], None]
"""Called with the recordings done and the number of all."""


def evaluate(
    directory: Path,
    words: tuple[WakeWord, ...],
    *,
    models_dir: Path,
    positives: Mapping[str, tuple[str, ...]] | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Run every word and engine over the recordings under ``directory``.

    Raises `NotFound` when there are none, `ModelError` when a word cannot be loaded.
    """
    names = tuple(word.name for word in words)
    recordings = list(find(directory, names, positives or {}))
    if not recordings:
        raise NotFound(f"no recordings under {directory}", hint="name a folder with .wav or .flac files")
    unreadable = []
    with contextlib.ExitStack() as stack:
        tallies = [_Tally(word, models_dir, stack) for word in words]
        for done, recording in enumerate(recordings, start=1):
            try:
                pcm = load(recording.path)
            except UnreadableRecording as error:
                unreadable.append((str(recording.path.relative_to(directory)), str(error.__cause__)))
                continue
            for tally in tallies:
                tally.run(recording, str(recording.path.relative_to(directory)), pcm)
            progress(done, len(recordings))
    return Report(
        directory=str(directory),
        rule=RULE,
        recordings=len(recordings),
        unreadable=tuple(unreadable),
        words=tuple(tally.result() for tally in tallies),
    )


class _Run:
    """One way to detect a word, over all recordings; ``stack`` frees its models."""

    def __init__(
        self, engine: str, stages: WakeEngines, how: WakeRule, word: str, stack: contextlib.ExitStack
    ) -> None:
        self._engine = engine
        self._gate = WakeGate()
        self._gate.configure({word: how})
        self._pcm = b""
        self._detector = WakeDetector(stages, self._gate, self._history)
        stack.callback(self._detector.close)
        self._recalled = self._false_accepts = self._heard_samples = 0
        self._cpu_s = 0.0
        self._missed: list[str] = []
        self._wrong: list[str] = []

    def run(self, name: str, pcm: bytes, *, positive: bool) -> None:
        """Run over one recording, from a fresh start."""
        self._pcm = pcm
        self._detector.reset()
        samples = len(pcm) // BYTES_PER_SAMPLE
        accepted = 0
        # CPU time of the process: wall time would measure the other load of the machine.
        began_s = time.process_time()
        for start in range(0, samples, _BLOCK_SAMPLES):
            frame = self._history(start, min(_BLOCK_SAMPLES, samples - start))
            accepted += sum(decision.accepted for decision in self._detector.feed(frame)[1])
        self._cpu_s += time.process_time() - began_s
        self._heard_samples += samples
        if positive:
            self._recalled += bool(accepted)
            self._missed += [] if accepted else [name]
        else:
            self._false_accepts += accepted
            self._wrong += [name] if accepted else []

    def _history(self, start: int, count: int) -> Frame:
        missing = min(count, max(0, -start))
        begin, end = (start + missing) * BYTES_PER_SAMPLE, (start + count) * BYTES_PER_SAMPLE
        return Frame(start, bytes(missing * BYTES_PER_SAMPLE) + self._pcm[begin:end])

    def result(self) -> EngineResult:
        """Return the sums."""
        return EngineResult(
            engine=self._engine,
            recalled=self._recalled,
            false_accepts=self._false_accepts,
            cpu_s=self._cpu_s,
            heard_s=self._heard_samples / SAMPLE_RATE_HZ,
            missed=tuple(self._missed),
            wrong=tuple(self._wrong),
        )


class _Tally:
    """One word, with every engine it can run on."""

    def __init__(self, word: WakeWord, models_dir: Path, stack: contextlib.ExitStack) -> None:
        self._word = word.name
        self._positives = self._negatives = self._negative_samples = 0
        self._runs = [_Run(*how, word.name, stack) for how in _ways(word, models_dir)]

    def run(self, recording: LabelledRecording, name: str, pcm: bytes) -> None:
        """Run every engine over one recording that is a positive or a negative of the word."""
        if self._word in recording.positive:
            self._positives += 1
        elif self._word in recording.negative:
            self._negatives += 1
            self._negative_samples += len(pcm) // BYTES_PER_SAMPLE
        else:
            return
        for run in self._runs:
            run.run(name, _SILENCE + pcm + _SILENCE, positive=self._word in recording.positive)

    def result(self) -> WordResult:
        """Return the sums of all engines."""
        recorded_s = self._negative_samples / SAMPLE_RATE_HZ
        padded_s = recorded_s + self._negatives * 2 * len(_SILENCE) / BYTES_PER_SAMPLE / SAMPLE_RATE_HZ
        return WordResult(
            word=self._word,
            positives=self._positives,
            negatives=self._negatives,
            negative_minutes=recorded_s / 60,
            negative_minutes_heard=padded_s / 60,
            engines=tuple(run.result() for run in self._runs),
        )


def _ways(word: WakeWord, models_dir: Path) -> list[tuple[str, WakeEngines, WakeRule]]:
    """Return each way to detect ``word``: every engine alone, then as in the daemon. Raises `ModelError`."""

    def stages() -> WakeEngines:
        built, problems = build((msgspec.structs.replace(word, enabled=True),), models_dir)
        if problems:
            raise problems[0].error
        return built

    # Engines are stateful, so the ways must not share them.
    ours, one = stages(), stages()
    # A word that is switched off is evaluated too: to decide whether to switch it on.
    real = msgspec.structs.replace(word, enabled=True)
    single = msgspec.structs.replace(real, first_threshold=ALONE_THRESHOLD, threshold=ALONE_THRESHOLD)
    ways = [
        (f"second stage alone at {ALONE_THRESHOLD:g}", _only(one.alone or (one.confirm(),)), rule(single))
    ]
    if one.first:
        bare = msgspec.structs.replace(real, threshold=word.first_threshold)
        ways.insert(0, (f"first stage alone at {word.first_threshold:g}", _only((one.first,)), rule(bare)))
        label = f"two stages at {word.first_threshold:g}/{word.threshold:g}"
    else:
        label = f"second stage alone at {word.threshold:g}"
    return [*ways, (label, ours, rule(real))]


def _only(stages: tuple[WakeEngine, ...]) -> WakeEngines:
    return WakeEngines(first=None, confirm=lambda: stages[0], alone=stages)
