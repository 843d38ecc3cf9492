"""The event loop's side of the listening thread: commands go to the thread, inputs come back."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voxd.audio.ring import Ring
from voxd.clock import Clock, SystemClock
from voxd.config.schema import Endpoint, Wake, WakeWord
from voxd.frames import SAMPLE_RATE_HZ
from voxd.listen.audio_processor import AudioProcessor, Note
from voxd.listen.candidate_log import CandidateLog
from voxd.listen.utterance import Utterance
from voxd.listen.wake_words import ActiveWakeWords, WakeWordProblem, rule
from voxd.reports import WakeEntry
from voxd.turn.inputs import Input

_log = logging.getLogger(__name__)

# How often the thread shows progress while no sound comes.
_IDLE_WAIT_S = 0.5

_MAX_COMMANDS = 64
_ERROR_PAUSE_S = 0.2
_ERROR_PAUSE_MAX_S = 5.0

# An inference takes 20 ms, loading all models half a second: a thread that needs longer hangs.
_STOP_S = 1.0


class SpeechInput:
    """Detects wake words all the time, and the end of an utterance while one is captured.

    Made and called on the event loop, where ``post`` and ``note`` are called too. No method but `stop`
    waits: the thread executes their commands within one block.
    """

    def __init__(
        self,
        ring: Ring,
        *,
        channel: int,
        wake: Wake,
        endpoint: Endpoint,
        post: Callable[[Input], None],
        note: Note,
        models_dir: Path = Path("/var/lib/voxd/models"),
        clock: Clock | None = None,
    ) -> None:
        """Load the models. Words that cannot be detected are in `problems`; the others work."""
        self.candidates = CandidateLog(wake.keep_clips_s)
        self.dropped_orders = 0
        """Commands that a hung thread never took."""
        self.progress_ns = time.monotonic_ns()
        """CLOCK_MONOTONIC of the thread's last step; not updated while the thread hangs or after it ended."""
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._channel = channel
        self._endpoint = endpoint
        self._post = post
        self._clock = clock or SystemClock()
        self._captured: Utterance | None = None
        self._active_words = ActiveWakeWords(wake.words)
        self._processor = AudioProcessor(
            ring,
            channel,
            active_words=self._active_words,
            candidates=self.candidates,
            post=lambda input, utterance=None: self._on_loop(self._deliver, input, utterance),
            note=lambda type, data: self._on_loop(note, type, data),
            models_dir=models_dir,
            clock=self._clock,
        )
        self._commands: deque[Callable[[], None]] = deque(maxlen=_MAX_COMMANDS)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start listening, from the present on."""
        self._processor.start_over(self._ring.head)
        self._thread = threading.Thread(target=self._run, name="voxd-listen", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread for good and free the models; idempotent.

        Waits for one inference at most; a hung thread is abandoned with the memory it holds.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread:
            self._ring.wake()
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                _log.error("the listening thread hangs and is abandoned")
                return
        self._processor.close()

    # --- commands ---------------------------------------------------------------------------------

    def capture(
        self, from_sample: int | None, hold: bool = False, follow_up_s: float | None = None
    ) -> Utterance:
        """Capture from ``from_sample`` (None: now) to the end of speech; ends the capture before.

        ``hold`` ends only by `end_capture` or at the maximum length; ``follow_up_s`` replaces the time
        after which no more speech is expected. From now on nothing of an earlier capture is posted.
        """
        start = self._ring.head if from_sample is None else max(from_sample, self._ring.tail)
        utterance = self._captured = Utterance(self._ring, self._channel, start)
        endpoint = self._endpoint
        self._submit(lambda: self._processor.begin(utterance, endpoint, hold=hold, no_speech_s=follow_up_s))
        return utterance

    def end_capture(self, sample: int | None) -> None:
        """End the utterance at ``sample`` (None: now); posts `UserSpeechEnded` unless it has ended."""
        now = self._ring.head if sample is None else sample
        self._submit(lambda: self._processor.release(now))

    def drop_capture(self) -> None:
        """Discard the utterance; nothing of it is posted any more."""
        self._captured = None
        self._submit(self._processor.drop)

    def set_word(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        threshold: float | None = None,
        first_threshold: float | None = None,
    ) -> None:
        """Change one word until the next `configure`. Raises `NotFound`, `InvalidRequest`."""
        self._change(
            self._active_words.with_change(
                name, enabled=enabled, threshold=threshold, first_threshold=first_threshold
            )
        )

    def configure(self, wake: Wake, endpoint: Endpoint) -> None:
        """Put a new configuration in force; a running capture keeps its endpointer."""
        self._endpoint = endpoint
        self.candidates.keep_s = wake.keep_clips_s
        self._change(wake.words)

    def reset(self) -> None:
        """The microphone was replaced: reset the engines and go on with the sound from now on."""
        now = self._ring.head
        self._submit(lambda: self._processor.start_over(now))

    # --- state ------------------------------------------------------------------------------------

    def words(self) -> list[WakeEntry]:
        """Return the wake words as they run."""
        return self._active_words.entries()

    @property
    def problems(self) -> tuple[WakeWordProblem, ...]:
        """Words that cannot be detected, and why."""
        return self._active_words.problems

    @property
    def lost_samples(self) -> int:
        """Sound that was overwritten before it was processed."""
        return self._processor.lost_samples

    def time_of(self, sample: int) -> float:
        """Return the CLOCK_MONOTONIC second at which ``sample`` was captured."""
        behind = self._ring.head - sample
        return (self._ring.heartbeat_s or self._clock.monotonic()) - behind / SAMPLE_RATE_HZ

    # --- between the loop and the thread ----------------------------------------------------------

    def _change(self, words: tuple[WakeWord, ...]) -> None:
        before, self._active_words.words = self._active_words.words, words
        if [_loaded(word) for word in before] == [_loaded(word) for word in words]:
            self._submit(lambda: self._processor.set_rules({word.name: rule(word) for word in words}))
        else:
            self._submit(self._processor.reload)

    def _submit(self, command: Callable[[], None]) -> None:
        if self._thread is None:
            command()
            return
        if len(self._commands) == _MAX_COMMANDS:
            self.dropped_orders += 1
        self._commands.append(command)
        self._ring.wake()

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            return  # the loop is closed: the thread ends a moment later

    def _deliver(self, input: Input, utterance: Utterance | None) -> None:
        """Post ``input`` unless it belongs to a capture that was dropped meanwhile."""
        if utterance is None or utterance is self._captured:
            self._post(input)

    def _run(self) -> None:
        pause_s = _ERROR_PAUSE_S
        while not self._stopping.is_set():
            try:
                self.progress_ns = time.monotonic_ns()
                while self._commands:
                    self._commands.popleft()()
                self._processor.step(_IDLE_WAIT_S)
                pause_s = _ERROR_PAUSE_S
            except Exception as error:
                # A thread boundary: engines are third-party code; no error of theirs may end the thread.
                if self._stopping.is_set():
                    return  # `stop` has abandoned this thread and the ring is closed
                self._processor.fail(error)
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, _ERROR_PAUSE_MAX_S)


def _loaded(word: WakeWord) -> tuple[str, str, bool]:
    """Return the fields of ``word`` that decide which models are in memory."""
    return word.name, word.model, word.enabled
