"""Audio input of an engine: a microphone, or audio of the caller, on its way to the provider."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from voxd.clock import Clock
from voxd.engine import sound, tuning
from voxd.engine.config import VoiceEngineConfig
from voxd.engine.meter import EngineMeter
from voxd.engine.uplink import OnSpeech, Send, Uplink
from voxd.engine.vad import EnergyVad
from voxd.errors import AudioError, NotConnected, VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE

if TYPE_CHECKING:
    from voxd.engine.microphone import MicrophoneStream

PIECE_S = 1.0
"""A recording is sent in pieces of this length: a vendor takes at most 15 MiB at once."""


class AudioInput:
    """The microphone and the uplink of one call. ``on_sent`` gets all sound that went to the provider."""

    def __init__(
        self,
        config: VoiceEngineConfig,
        *,
        send: Send,
        on_speech: OnSpeech,
        on_sent: Callable[[bytes], None],
        emit: Emit,
        clock: Clock,
        meter: EngineMeter,
    ) -> None:
        self._config = config
        self._send = send
        self._on_speech = on_speech
        self._on_sent = on_sent
        self._emit = emit
        self._clock = clock
        self._meter = meter
        self._listener: MicrophoneStream | None = None
        self._changing = asyncio.Lock()
        self._uplink: Uplink | None = None
        self._to_hz = config.sample_rate
        self._own_vad = False

    @property
    def is_listening(self) -> bool:
        """Whether the microphone is open."""
        return self._listener is not None

    @property
    def buffer_health(self) -> float:
        """The free share of the capture buffer, 1.0 without one."""
        return max(0.0, self._listener.room) if self._listener is not None else 1.0

    def target(self, config: VoiceEngineConfig, *, to_hz: int, own_vad: bool) -> None:
        """Send to a provider at ``to_hz`` from now on; ``own_vad``: only the client detects turns."""
        self._config, self._to_hz, self._own_vad = config, to_hz, own_vad
        self._uplink = None

    async def start(self) -> None:
        """Open the microphone, unless it is open. Raises `AudioError`."""
        async with self._changing:
            if self._listener is None:
                await self._start()

    async def stop(self) -> None:
        """Close the microphone; what it heard until now still goes its way. Idempotent."""
        # A key that is only tapped asks for the end while the microphone is still being opened.
        async with self._changing:
            listener, self._listener = self._listener, None
            if listener is not None:
                await listener.stop()
                self._emit(E.AUDIO_INPUT_STOPPED)

    async def _start(self) -> None:
        config = self._config
        listener = sound.make_listener(
            config.input_device,
            rate_hz=config.sample_rate,
            chunk_ms=tuning.chunk_ms(config),
            clock=self._clock,
            emit=self._emit,
        )
        await listener.start(self._on_chunk)
        self._listener = listener
        self._emit(E.AUDIO_INPUT_STARTED, sample_rate=config.sample_rate)
        if listener.stands_in:
            problem = "this machine has no microphone: a virtual one stands in"
            self._emit(E.ERROR_GENERAL, error=AudioError(problem, hint="set input_device", code="no_device"))

    async def push(self, pcm: bytes) -> None:
        """Take sound that the caller captured. Raises `AudioError`, `ProviderError`."""
        await self._up().push(pcm, hold_back=False)

    async def send_whole(self, pcm: bytes) -> None:
        """Send a recording, unheard by the VAD. Raises `AudioError`, `ProviderError`."""
        piece_bytes = round(PIECE_S * self._config.sample_rate) * BYTES_PER_SAMPLE
        await self._up().send_whole(pcm, piece_bytes=piece_bytes)

    async def finish(self) -> None:
        """Send what is still on its way: the user has finished."""
        await self._up().finish()

    def _up(self) -> Uplink:
        if self._uplink is None:
            config = self._config
            vad = EnergyVad(
                config.sample_rate,
                threshold=config.vad_threshold,
                start_ms=config.vad_speech_start_ms,
                end_ms=tuning.silence_ms(config),
            )
            self._uplink = Uplink(
                self._send,
                self._on_speech,
                self._on_sent,
                from_hz=config.sample_rate,
                to_hz=self._to_hz,
                vad=vad if self._own_vad else None,
                start_ms=config.vad_speech_start_ms,
                meter=self._meter,
                clock=self._clock,
            )
        return self._uplink

    async def _on_chunk(self, pcm: bytes, captured_s: float) -> None:
        self._meter.captured()
        duration_ms = len(pcm) / BYTES_PER_SAMPLE / self._config.sample_rate * 1000
        self._emit(E.AUDIO_INPUT_CHUNK, audio_data=pcm, duration_ms=duration_ms)
        try:
            await self._up().push(pcm, hold_back=True)
        except NotConnected:
            # The session is being opened again, and says so itself; the microphone goes on.
            return
        except VoxdError as error:
            self._emit(E.ERROR_GENERAL, error=error)
            return
        self._meter.timed(self._meter.sent_ms, captured_s)
