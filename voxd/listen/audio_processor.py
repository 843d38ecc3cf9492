"""The work of the listening thread: wake words in all sound, and the capture of one utterance at a time."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from voxd.audio.ring import Ring, RingOverrun
from voxd.audio.sound import dbfs
from voxd.clock import Clock
from voxd.config.schema import Endpoint
from voxd.errors import DeviceError, VoxdError
from voxd.frames import BYTES_PER_SAMPLE, Frame, samples_from_ms
from voxd.listen.candidate_log import CLIP_SAMPLES, CandidateLog
from voxd.listen.capture import UtteranceCapture, Vad
from voxd.listen.endpoint import Signal
from voxd.listen.gate import WakeDecision, WakeGate, WakeRule
from voxd.listen.quality import Quality
from voxd.listen.utterance import Utterance
from voxd.listen.wake_detector import WakeDetector
from voxd.listen.wake_end import NEEDED_SAMPLES, wake_end
from voxd.listen.wake_words import ActiveWakeWords, build, rule
from voxd.turn.inputs import CaptureFailed, Input, UserSpeechEnded, WakeWordDetected

_log = logging.getLogger(__name__)

# The longest frame while catching up: a later decision would not know its sample well enough.
_STEP_SAMPLES = samples_from_ms(80)

# Below this a block holds no wake word spoken to the device, only the room.
_QUIET_DBFS = -50.0

Note = Callable[[str, dict[str, Any]], None]


class Post(Protocol):
    """Hands an input to the event loop, with the capture it belongs to."""

    def __call__(self, input: Input, utterance: Utterance | None = None, /) -> None:
        """Post ``input``."""


class AudioProcessor:
    """Turns the ring's blocks into inputs. After the first `step` only its thread may use it."""

    def __init__(
        self,
        ring: Ring,
        channel: int,
        *,
        active_words: ActiveWakeWords,
        candidates: CandidateLog,
        post: Post,
        note: Note,
        models_dir: Path,
        clock: Clock,
    ) -> None:
        """Load the models; words that cannot be detected go to ``active_words.problems``."""
        self.lost_samples = 0
        """Sound that was overwritten before it was processed."""
        self._ring = ring
        self._channel = channel
        self._active_words = active_words
        self._candidates = candidates
        self._post = post
        self._note = note
        self._models_dir = models_dir
        self._clock = clock
        self._gate = WakeGate()
        self._vad: Vad | None = None
        self._capture: UtteranceCapture | None = None
        self._utterance: Utterance | None = None
        # Old sound is not processed at the start: a wake word in it was spoken before the device listened.
        self._cursor = ring.head
        self._quiet = False
        self._detector = self._load()

    # --- sound ------------------------------------------------------------------------------------

    def step(self, wait_s: float) -> None:
        """Process what is new in the ring, or wait up to ``wait_s`` for it. Raises `RingOverrun`."""
        # Negative after `start_over`, which may name a sample still to come.
        behind = self._ring.head - self._cursor
        if behind <= 0 or self._may_wait(behind):
            self._ring.wait(wait_s)
            return
        try:
            frame = self._ring.read(self._cursor, min(behind, _STEP_SAMPLES), self._channel)
            self._cursor = frame.end
            self._quiet = dbfs(frame.pcm) < _QUIET_DBFS
            if self._capture:
                # Before the wake engines run: they take up to 20 ms, which the consumer would otherwise wait.
                self._capture.offer()
            opened, decisions = self._detector.feed(frame)
            for candidate in opened:
                self._note("wake.candidate", {"word": candidate.word, "score": candidate.first_score})
            for decision in decisions:
                self._report(decision)
            self._advance()
        except RingOverrun:
            # The caller starts over at the head: what lies between is lost.
            self.lost_samples += behind
            raise

    def _may_wait(self, behind: int) -> bool:
        """Whether the next block can be processed together with the one after it."""
        # Waking the thread costs more than running the engines, so a quiet room is processed in longer steps.
        # The first block of a word may then be late by one block, but its end is not.
        busy = self._capture or self._gate.open_words
        return self._quiet and not busy and behind < _STEP_SAMPLES

    def _report(self, decision: WakeDecision) -> None:
        candidate = decision.candidate
        scores = {"word": candidate.word, "score": candidate.score, "first_score": candidate.first_score}
        clip = self._history(decision.sample - CLIP_SAMPLES, CLIP_SAMPLES)
        self._candidates.add(
            decision, clip.pcm, monotonic_s=self._clock.monotonic(), wall_s=self._clock.wall()
        )
        self._active_words.count(candidate.word, accepted=decision.accepted)
        if decision.accepted:
            agent = self._active_words.agent_of(candidate.word)
            end = wake_end(decision, self._history(decision.sample - NEEDED_SAMPLES, NEEDED_SAMPLES))
            self._note("wake.detected", {**scores, "agent": agent, "end_sample": end})
            self._post(WakeWordDetected(candidate.word, agent, candidate.score, end))
        else:
            self._note("wake.rejected", {**scores, "reason": decision.reason})

    def _history(self, start: int, count: int) -> Frame:
        # Zeros stand for samples that are not, or no longer, in the ring, so the length is always `count`.
        missing = min(count, max(0, self._ring.tail - start))
        frame = self._ring.read(start + missing, count - missing, self._channel)
        return Frame(start, bytes(missing * BYTES_PER_SAMPLE) + frame.pcm)

    # --- one capture ------------------------------------------------------------------------------

    def begin(
        self, utterance: Utterance, endpoint: Endpoint, *, hold: bool, no_speech_s: float | None
    ) -> None:
        """Capture ``utterance``; it replaces the one before."""
        self.drop()
        self._utterance = utterance
        if self._vad is None:
            # Made with the first capture: an idle device does not pay for the network.
            self._vad = Vad()
        self._capture = UtteranceCapture(
            self._ring, self._channel, self._vad, utterance, endpoint, hold=hold, no_speech_s=no_speech_s
        )
        self._advance()

    def release(self, sample: int) -> None:
        """End the utterance at ``sample``, unless it has ended already."""
        if self._capture:
            signals = self._capture.advance()
            self._post_all([*signals, *self._capture.release(sample)])

    def drop(self) -> None:
        """Discard the utterance; nothing is posted."""
        if self._capture:
            self._capture.drop()
        self._capture = self._utterance = None

    def _advance(self) -> None:
        if self._capture:
            self._post_all(self._capture.advance())

    def _post_all(self, signals: list[Signal]) -> None:
        utterance, capture = self._utterance, self._capture
        if capture and capture.done:
            self._capture = self._utterance = None
        for signal in signals:
            self._post(signal, utterance)
        # Last, because nothing waits for it.
        if capture and any(isinstance(signal, UserSpeechEnded) for signal in signals):
            quality = capture.quality()
            if quality:
                self._report_quality(quality)

    def _report_quality(self, quality: Quality) -> None:
        self._note(
            "audio.quality",
            {
                "level_dbfs": round(quality.level_dbfs, 1),
                "peak_dbfs": round(quality.peak_dbfs, 1),
                "clipped_percent": round(quality.clipped_percent, 2),
                "snr_db": None if quality.snr_db is None else round(quality.snr_db, 1),
                "dropouts": quality.dropouts,
            },
        )

    # --- starting over ----------------------------------------------------------------------------

    def start_over(self, sample: int) -> None:
        """Reset the engines and go on at ``sample``."""
        self.drop()
        self._detector.reset()
        self._cursor = sample

    def set_rules(self, rules: dict[str, WakeRule]) -> None:
        """Use new thresholds."""
        self._gate.configure(rules)

    def reload(self) -> None:
        """Load the models of the words that are active now."""
        self._detector.close()
        self._detector = self._load()

    def fail(self, error: Exception) -> None:
        """Report ``error``, fail the utterance and go on with the sound from now on."""
        _log.error("listening failed and starts over", exc_info=error)
        code = error.code if isinstance(error, VoxdError) else VoxdError.code
        hint = error.hint if isinstance(error, VoxdError) else "run `voxctl doctor`"
        self._note("error", {"code": code, "message": f"listening failed: {error}", "hint": hint})
        utterance, self._utterance, self._capture = self._utterance, None, None
        if utterance:
            utterance.fail(DeviceError(f"listening failed: {error}", hint=hint))
            # The turn machine waits for an end of this capture; without one the turn would hang.
            self._post(CaptureFailed(DeviceError.code), utterance)
        self.start_over(self._ring.head)

    def close(self) -> None:
        """Free the models; idempotent."""
        self.drop()
        self._detector.close()

    def _load(self) -> WakeDetector:
        words = self._active_words.words
        stages, problems = build(words, self._models_dir)
        self._active_words.problems = tuple(problems)
        for problem in problems:
            _log.warning("wake word %s cannot be detected: %s", problem.word, problem.error)
        # Problem words stay in the gate: without scores they never open a candidate.
        self._gate.configure({word.name: rule(word) for word in words})
        self._gate.reset()
        return WakeDetector(stages, self._gate, self._history)
