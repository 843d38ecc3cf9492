"""Fallback between local engines: the first available one serves a request, and every change is an event."""

import logging
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from voxd.audio.sound import to_rate
from voxd.clock import Clock
from voxd.errors import LocalEngineError, VoxdError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.local.contract import ChainedEngine, LocalTranscript, SpeakingEngine, TranscribingEngine
from voxd.preference import order_candidates
from voxd.reports import EngineStatus
from voxd.text import sentences

_log = logging.getLogger(__name__)


# How long an engine is not tried first after its first, second, ... failure in a row.
# The engine is not excluded meanwhile: it comes last, so that it is still tried when all others fail.
RETRY_S = (30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(slots=True)
class EngineOrder:
    """The engines in order of preference, and when each may be tried again."""

    names: tuple[str, ...]
    active: str = ""
    problem: str = ""
    _failures: dict[str, int] = field(default_factory=dict)
    _retry_at_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active = self.active or self.names[0]

    def to_try(self, now_s: float) -> list[str]:
        """Return the engines to try, in order; those in cooldown after a failure come last."""
        return list(
            order_candidates(
                self.names,
                is_healthy=lambda name: self._retry_at_s.get(name, 0.0) <= now_s,
                can_try=lambda _: True,
                is_last_resort=False,
            )
        )

    def note_failure(self, name: str, reason: str, now_s: float) -> bool:
        """Note a failure; return whether to report it."""
        count = self._failures.get(name, 0)
        self._failures[name] = count + 1
        self._retry_at_s[name] = now_s + RETRY_S[min(count, len(RETRY_S) - 1)]
        # The first of a row, or another reason of the configured engine: an outage is one event, not one per
        # turn.
        is_new = count == 0 or (name == self.names[0] and reason != self.problem)
        if name == self.names[0]:
            self.problem = reason
        return is_new

    def note_success(self, name: str) -> tuple[bool, bool]:
        """Note a success; return whether the active engine changed, and whether to the configured one."""
        changed = name != self.active
        self.active = name
        self._failures.pop(name, None)
        self._retry_at_s.pop(name, None)
        if name == self.names[0]:
            self.problem = ""
        return changed, name == self.names[0]


class _Chain:
    """What both chains share: the order of engines, the events, the status."""

    def __init__(self, kind: str, engines: Sequence[ChainedEngine], emit: Emit, clock: Clock) -> None:
        self.name = "local"
        self._kind = kind
        self._all = {engine.name: engine for engine in engines}
        self._order = EngineOrder(tuple(self._all))
        self._emit = emit
        self._clock = clock

    def prepare(self) -> None:
        """Start loading the engine that would be tried now."""
        self._all[self._order.to_try(self._clock.monotonic())[0]].prepare()

    def status(self) -> EngineStatus:
        """Return the active engine, and why it is not the configured one."""
        order = self._order
        return EngineStatus(
            self._kind, order.names[0], order.active, self._all[order.active].loaded, order.problem
        )

    def skip_configured(self, error: VoxdError) -> None:
        """Note before the first request that the configured engine is unavailable: status shows it."""
        names = self._order.names
        self._report_failure(names[0], error)
        if len(names) > 1:
            self._report_success(names[1])

    async def close(self) -> None:
        """Free every engine; idempotent."""
        for engine in self._all.values():
            await engine.close()

    def _report_failure(self, name: str, error: VoxdError) -> None:
        reason = f"{error}; {error.hint}" if error.hint else str(error)
        if self._order.note_failure(name, reason, self._clock.monotonic()):
            _log.warning("%s failed: %s", name, reason)
            self._emit("engine.failed", engine=name, code=error.code, reason=reason)

    def _report_success(self, name: str) -> None:
        changed, to_configured = self._order.note_success(name)
        if not changed:
            return
        if to_configured:
            self._emit("engine.restored", kind=self._kind, engine=name)
        else:
            self._emit("engine.changed", kind=self._kind, engine=name, reason=self._order.problem)


class TranscriberChain(_Chain):
    """A `Transcriber` made of several."""

    def __init__(self, engines: Sequence[TranscribingEngine], emit: Emit, clock: Clock) -> None:
        super().__init__("stt", engines, emit, clock)
        self._engines = {engine.name: engine for engine in engines}

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return the transcript of the first working engine for ``clip`` (16 kHz).

        Raises the last engine's `LocalEngineError`, `ModelError` or `DeadlineExceeded` when all failed.
        """
        last: VoxdError = LocalEngineError("no engine for speech recognition")
        for name in self._order.to_try(self._clock.monotonic()):
            try:
                transcript = await self._engines[name].transcribe(clip)
            except VoxdError as error:
                self._report_failure(name, error)
                last = error
                continue
            self._report_success(name)
            return transcript
        raise last


class SynthesizerChain(_Chain):
    """A `Synthesizer` made of several; each piece of a reply goes to the first that can speak it."""

    def __init__(self, engines: Sequence[SpeakingEngine], emit: Emit, clock: Clock) -> None:
        super().__init__("tts", engines, emit, clock)
        self._engines = {engine.name: engine for engine in engines}

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        """Yield the sound of ``text``, piece by piece, all at the rate of the first clip.

        When an engine fails, the next goes on at the sentence that failed, unless part of that was
        already yielded: then at the one after. Raises the last engine's error when all failed.
        """
        rate_hz = 0
        for piece in sentences(text):
            clips = self._speak(piece)
            try:
                async for clip in clips:
                    rate_hz = rate_hz or clip.rate_hz
                    # One reply has one rate: the contract of TTS allows no change in the middle.
                    yield clip if clip.rate_hz == rate_hz else to_rate(clip, rate_hz)
            finally:
                await clips.aclose()

    async def _speak(self, piece: str) -> AsyncGenerator[Clip]:
        last: VoxdError = LocalEngineError("no engine for speech")
        for name in self._order.to_try(self._clock.monotonic()):
            spoke = False
            clips = self._engines[name].synthesize(piece)
            try:
                async for clip in clips:
                    spoke = True
                    yield clip
            except VoxdError as error:
                self._report_failure(name, error)
                last = error
                # Part of the sentence was heard: another engine would repeat it. The next sentence goes to
                # that engine.
                if spoke:
                    return
                continue
            finally:
                # The contract asks only for an iterator; what has no `aclose` has nothing to free.
                if isinstance(clips, AsyncGenerator):
                    await clips.aclose()
            self._report_success(name)
            return
        raise last
