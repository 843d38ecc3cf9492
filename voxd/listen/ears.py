"""The ears: one thread from the ring to inputs of the turn machine."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from voxd.api import WakeEntry
from voxd.audio.ring import Ring, RingOverrun
from voxd.clock import Clock, SystemClock
from voxd.config.schema import Endpoint, Wake, WakeWord
from voxd.errors import DeviceError, InvalidRequest, ModelError, NotFound, VoxdError
from voxd.frames import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Frame, samples_from_ms
from voxd.listen.candidates import CLIP_SAMPLES, Candidates
from voxd.listen.capture import Capture
from voxd.listen.detector import Detector
from voxd.listen.gate import Gate, Verdict
from voxd.listen.utterance import Utterance
from voxd.listen.vad import Vad
from voxd.listen.wake_end import NEEDED_SAMPLES, wake_end
from voxd.listen.words import Engines, Problem, build, engines, rule
from voxd.signals import Input, Woken

_log = logging.getLogger(__name__)

_STEP_SAMPLES = samples_from_ms(80)
"""The most that is heard at once while catching up, so that a late verdict still knows its sample."""

_IDLE_WAIT_S = 0.5
"""How often the thread shows that it lives while no sound comes."""

_MAX_COMMANDS = 64
_ERROR_PAUSE_S = 0.2
_ERROR_PAUSE_MAX_S = 5.0


@dataclass(slots=True)
class Counters:
    """What the ears did since they were made."""

    heard_samples: int = 0
    lost_samples: int = 0
    candidates: int = 0
    confirmations: int = 0
    detections: int = 0
    rejections: int = 0
    errors: int = 0
    dropped_orders: int = 0
    """Orders of the loop that a hung thread never took."""


class Ears:
    """Hears wake words all the time, and the end of an utterance while one is captured.

    Methods are called on the event loop and never wait; what they order is done by the thread within one
    block. ``post`` and ``note`` are called on the thread.
    """

    def __init__(
        self,
        ring: Ring,
        *,
        channel: int,
        wake: Wake,
        endpoint: Endpoint,
        post: Callable[[Input], None],
        note: Callable[[str, dict[str, Any]], None],
        models_dir: Path = Path("/var/lib/voxd/models"),
        clock: Clock | None = None,
    ) -> None:
        """Load the models. Words that cannot be heard are in `problems`; the others work."""
        self.candidates = Candidates(wake.keep_clips_s)
        self.counters = Counters()
        self.problems: tuple[Problem, ...] = ()
        self.progress_ns = time.monotonic_ns()
        """CLOCK_MONOTONIC of the thread's last step: it stands still when the thread hangs or died."""
        self._ring = ring
        self._channel = channel
        self._words = wake.words
        self._endpoint = endpoint
        self._post = post
        self._note = note
        self._models_dir = models_dir
        self._clock = clock or SystemClock()
        self._detections = dict.fromkeys((word.name for word in wake.words), 0)
        self._rejections = dict.fromkeys((word.name for word in wake.words), 0)
        self._commands: deque[Callable[[], None]] = deque(maxlen=_MAX_COMMANDS)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        # From here on only the thread's own, once it runs.
        self._gate = Gate()
        self._vad: Vad | None = None
        self._capture: Capture | None = None
        self._cursor = ring.head
        self._detector = self._load()

    # --- called on the event loop ------------------------------------------------------------------

    def start(self) -> None:
        """Begin to hear, from the present on."""
        if self._thread is None:
            if self._stopping.is_set():
                self._detector = self._load()
                self._stopping.clear()
            self._cursor = self._ring.head
            self._thread = threading.Thread(target=self._run, name="voxd-ears", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and free the models; idempotent. At most one inference long."""
        if self._thread is not None:
            self._stopping.set()
            self._ring.wake()
            self._thread.join()
            self._thread = None
        if self._capture:
            self._capture.drop()
            self._capture = None
        self._detector.close()

    def capture(
        self, from_sample: int | None, hold: bool = False, follow_up_s: float | None = None
    ) -> Utterance:
        """Capture from ``from_sample`` (None: now) to the end of speech; ends the capture before.

        ``hold`` ends only by `end_capture` or at the maximum length; ``follow_up_s`` replaces the time
        after which nobody is expected to speak any more.
        """
        start = self._ring.head if from_sample is None else max(from_sample, self._ring.tail)
        utterance = Utterance(self._ring, self._channel, start)
        self._order(lambda: self._begin_capture(utterance, hold=hold, no_speech_s=follow_up_s))
        return utterance

    def end_capture(self, sample: int | None) -> None:
        """End the utterance at ``sample`` (None: now); posts `SpeechEnded` unless it has ended already."""
        now = self._ring.head if sample is None else sample
        self._order(lambda: self._release_capture(now))

    def drop_capture(self) -> None:
        """Forget the utterance; nothing is posted."""
        self._order(self._drop_capture)

    def set_word(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        threshold: float | None = None,
        first_threshold: float | None = None,
    ) -> None:
        """Change one word until the next `configure`. Raises `NotFound`, `InvalidRequest`."""
        if name not in {word.name for word in self._words}:
            raise NotFound(f"there is no wake word {name}", hint="run `voxctl wake`")
        for value in (threshold, first_threshold):
            if value is not None and not 0 <= value <= 1:
                raise InvalidRequest(f"{value} is not a threshold", hint="use a number from 0 to 1")
        given = {"enabled": enabled, "threshold": threshold, "first_threshold": first_threshold}
        changes = {key: value for key, value in given.items() if value is not None}
        self._change(
            tuple(
                msgspec.structs.replace(word, **changes) if word.name == name else word
                for word in self._words
            )
        )

    def configure(self, wake: Wake, endpoint: Endpoint) -> None:
        """Put a new configuration in force; a running capture keeps its endpointer."""
        self._endpoint = endpoint
        self.candidates.keep_s = wake.keep_clips_s
        self._change(wake.words)

    def reset(self) -> None:
        """The microphone was replaced: forget what was heard and go on with what comes now."""
        now = self._ring.head
        self._order(lambda: self._start_over(now))

    def words(self) -> list[WakeEntry]:
        """Return the wake words as they run."""
        return [self._entry(word) for word in self._words]

    def time_of(self, sample: int) -> float:
        """Return the CLOCK_MONOTONIC second at which ``sample`` was captured."""
        behind = self._ring.head - sample
        return (self._ring.heartbeat_s or self._clock.monotonic()) - behind / SAMPLE_RATE_HZ

    def _entry(self, word: WakeWord) -> WakeEntry:
        try:
            chosen = engines(word)
        except ModelError:
            chosen = Engines("", "")
        return WakeEntry(
            name=word.name,
            enabled=word.enabled and word.name not in {problem.word for problem in self.problems},
            agent=word.agent,
            first_stage=chosen.first,
            second_stage=chosen.second,
            first_threshold=word.first_threshold,
            threshold=word.threshold,
            detections=self._detections.get(word.name, 0),
            rejections=self._rejections.get(word.name, 0),
        )

    def _change(self, words: tuple[WakeWord, ...]) -> None:
        before, self._words = self._words, words
        if [_loaded(word) for word in before] == [_loaded(word) for word in words]:
            self._order(lambda: self._gate.configure({word.name: rule(word) for word in words}))
        else:
            self._order(self._reload)

    def _order(self, command: Callable[[], None]) -> None:
        if self._thread is None:
            command()
            return
        if len(self._commands) == _MAX_COMMANDS:
            self.counters.dropped_orders += 1
        self._commands.append(command)
        self._ring.wake()

    # --- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = _ERROR_PAUSE_S
        while not self._stopping.is_set():
            try:
                self._step()
                pause_s = _ERROR_PAUSE_S
            except Exception as error:
                self._fail(error)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, _ERROR_PAUSE_MAX_S)

    def _step(self) -> None:
        self.progress_ns = time.monotonic_ns()
        while self._commands:
            self._commands.popleft()()
        behind = self._ring.head - self._cursor
        if behind <= 0:
            self._ring.wait(_IDLE_WAIT_S)
            return
        try:
            frame = self._ring.read(self._cursor, min(behind, _STEP_SAMPLES), self._channel)
            self._cursor = frame.end
            self.counters.heard_samples += frame.samples
            if self._capture:
                self._capture.offer()
            self._hear(frame)
            self._advance_capture()
        except RingOverrun:
            self.counters.lost_samples += behind
            raise

    def _hear(self, frame: Frame) -> None:
        opened, verdicts = self._detector.feed(frame)
        self.counters.confirmations = self._detector.confirmations
        for candidate in opened:
            self.counters.candidates += 1
            self._note("wake.candidate", {"word": candidate.word, "score": candidate.first_score})
        for verdict in verdicts:
            self._conclude(verdict)

    def _conclude(self, verdict: Verdict) -> None:
        candidate = verdict.candidate
        scores = {"word": candidate.word, "score": candidate.score, "first_score": candidate.first_score}
        clip = self._history(verdict.sample - CLIP_SAMPLES, CLIP_SAMPLES)
        self.candidates.add(verdict, clip.pcm, monotonic_s=self._clock.monotonic(), wall_s=self._clock.wall())
        if verdict.accepted:
            self.counters.detections += 1
            self._detections[candidate.word] = self._detections.get(candidate.word, 0) + 1
            agent = next((word.agent for word in self._words if word.name == candidate.word), "default")
            end = wake_end(verdict, self._history(verdict.sample - NEEDED_SAMPLES, NEEDED_SAMPLES))
            self._note("wake.detected", {**scores, "agent": agent, "end_sample": end})
            self._post(Woken(candidate.word, agent, candidate.score, end))
        else:
            self.counters.rejections += 1
            self._rejections[candidate.word] = self._rejections.get(candidate.word, 0) + 1
            self._note("wake.rejected", {**scores, "reason": verdict.reason})

    def _history(self, start: int, count: int) -> Frame:
        missing = min(count, max(0, self._ring.tail - start))
        frame = self._ring.read(start + missing, count - missing, self._channel)
        return Frame(start, bytes(missing * BYTES_PER_SAMPLE) + frame.pcm)

    def _begin_capture(self, utterance: Utterance, *, hold: bool, no_speech_s: float | None) -> None:
        self._drop_capture()
        if self._vad is None:
            self._vad = Vad()
        self._capture = Capture(
            self._ring,
            self._channel,
            self._vad,
            utterance,
            self._endpoint,
            hold=hold,
            no_speech_s=no_speech_s,
        )
        self._advance_capture()

    def _advance_capture(self) -> None:
        if self._capture:
            signals = self._capture.advance()
            if self._capture.done:
                self._capture = None
            for signal in signals:
                self._post(signal)

    def _release_capture(self, sample: int) -> None:
        if self._capture:
            capture, self._capture = self._capture, None
            for signal in capture.advance() + capture.release(sample):
                self._post(signal)

    def _drop_capture(self) -> None:
        if self._capture:
            self._capture.drop()
            self._capture = None

    def _start_over(self, sample: int) -> None:
        self._drop_capture()
        self._detector.reset()
        self._cursor = sample

    def _reload(self) -> None:
        self._detector.close()
        self._detector = self._load()

    def _load(self) -> Detector:
        words = self._words
        stages, problems = build(words, self._models_dir)
        self.problems = tuple(problems)
        for problem in problems:
            _log.warning("wake word %s cannot be heard: %s", problem.word, problem.error)
        self._gate.configure({word.name: rule(word) for word in words})
        self._gate.reset()
        return Detector(stages, self._gate, self._history)

    def _fail(self, error: Exception) -> None:
        """Report ``error`` and go on with what is heard from now on."""
        self.counters.errors += 1
        _log.error("the ears failed and start over", exc_info=error)
        code = error.code if isinstance(error, VoxdError) else VoxdError.code
        hint = error.hint if isinstance(error, VoxdError) else "run `voxctl doctor`"
        self._note("error", {"code": code, "message": f"the ears failed: {error}", "hint": hint})
        if self._capture:
            capture, self._capture = self._capture, None
            capture.fail(DeviceError(f"the ears failed: {error}", hint=hint))
        self._start_over(self._ring.head)


def _loaded(word: WakeWord) -> tuple[str, str, bool]:
    """What of ``word`` decides which models are in memory."""
    return word.name, word.model, word.enabled
