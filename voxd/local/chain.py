"""Engines that stand in for one another: the first that can answers, and the house hears of every change."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from voxd.audio.resample import to_rate
from voxd.clock import Clock
from voxd.errors import EngineError, VoxdError
from voxd.events import Emit
from voxd.frames import Clip
from voxd.local.contract import LocalTranscript
from voxd.local.order import EngineOrder
from voxd.reports import EngineStatus
from voxd.text import sentences

_log = logging.getLogger(__name__)


class LocalEngine(Protocol):
    """What both kinds of engine have in common."""

    name: str

    @property
    def loaded(self) -> bool:
        """Whether it can answer without loading first."""
        ...

    def prepare(self) -> None:
        """Start loading in the background."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


class TranscribingEngine(LocalEngine, Protocol):
    """A `voxd.local.contract.Transcriber` that can tell whether it is loaded."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Return what was said."""
        ...


class SpeakingEngine(LocalEngine, Protocol):
    """A `voxd.local.contract.Synthesizer` that can tell whether it is loaded."""

    def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield the sound of one piece of text."""
        ...


class _Chain:
    """What both chains share: the order, the events, the status."""

    def __init__(self, kind: str, engines: Sequence[LocalEngine], emit: Emit, clock: Clock) -> None:
        self.name = "local"
        self._kind = kind
        self._all = {engine.name: engine for engine in engines}
        self._order = EngineOrder(tuple(self._all))
        self._emit = emit
        self._clock = clock

    def prepare(self) -> None:
        """Start loading the engine that would be asked now."""
        self._all[self._order.to_try(self._clock.monotonic())[0]].prepare()

    def status(self) -> EngineStatus:
        """Return which engine answers, and why it is not the configured one."""
        order = self._order
        return EngineStatus(
            self._kind, order.names[0], order.active, self._all[order.active].loaded, order.problem
        )

    def give_up_configured(self, error: VoxdError) -> None:
        """Note before the first request that the configured engine cannot answer, so that status says so."""
        names = self._order.names
        self._failed(names[0], error)
        if len(names) > 1:
            self._answered(names[1])

    async def close(self) -> None:
        """Free every engine; idempotent."""
        for engine in self._all.values():
            await engine.close()

    def _failed(self, name: str, error: VoxdError) -> None:
        reason = f"{error}; {error.hint}" if error.hint else str(error)
        if self._order.failed(name, reason, self._clock.monotonic()):
            _log.warning("%s failed: %s", name, reason)
            self._emit("engine.failed", engine=name, code=error.code, reason=reason)

    def _answered(self, name: str) -> None:
        changed, to_configured = self._order.answered(name)
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
        """Return what the first working engine heard in ``clip`` (16 kHz).

        Raises the last engine's `EngineError`, `ModelError` or `DeadlineExceeded` when all failed.
        """
        last: VoxdError = EngineError("no engine for speech recognition")
        for name in self._order.to_try(self._clock.monotonic()):
            try:
                heard = await self._engines[name].transcribe(clip)
            except VoxdError as error:
                self._failed(name, error)
                last = error
                continue
            self._answered(name)
            return heard
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
                    yield clip if clip.rate_hz == rate_hz else to_rate(clip, rate_hz)
            finally:
                await clips.aclose()

    async def _speak(self, piece: str) -> AsyncGenerator[Clip]:
        last: VoxdError = EngineError("no engine for speech")
        for name in self._order.to_try(self._clock.monotonic()):
            spoke = False
            clips = self._engines[name].synthesize(piece)
            try:
                async for clip in clips:
                    spoke = True
                    yield clip
            except VoxdError as error:
                self._failed(name, error)
                last = error
                if spoke:
                    return
                continue
            finally:
                if isinstance(clips, AsyncGenerator):
                    await clips.aclose()
            self._answered(name)
            return
        raise last
