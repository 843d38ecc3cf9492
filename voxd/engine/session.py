"""One connection of an engine: the provider's session with its audio input and output."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voxd.bus.bus import Bus
from voxd.clock import Clock
from voxd.engine import audio, tuning
from voxd.engine.config import KEY_VARIABLES, VoiceEngineConfig
from voxd.engine.downlink import Downlink
from voxd.engine.input import AudioInput
from voxd.engine.log_level import watch_loggers
from voxd.engine.metadata import PIPELINE, engine_part
from voxd.engine.meter import EngineMeter
from voxd.engine.reply import Reply, ReplyCollector
from voxd.engine.vad import SpeechChange
from voxd.errors import (
    AudioError,
    AuthenticationError,
    DeadlineExceeded,
    DeviceError,
    NotConnected,
    StreamError,
    VoxdError,
)
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.providers.adapter import adapt
from voxd.providers.base import BaseProvider
from voxd.providers.events import (
    ErrorOccurred,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    TurnDetected,
)
from voxd.providers.realtime.session import Session
from voxd.providers.registry import is_replaced, provider_class
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.tasks import TaskScope

if TYPE_CHECKING:
    from voxd.engine.player import Player
    from voxd.engine.recording import SessionRecording

DEFAULT_SAVE_PATH = "recordings"

# Fields of a configuration that apply once, when a session is opened: a switch does not change them.
_FIXED_FIELDS = (
    "input_device",
    "output_device",
    "sample_rate",
    "save_audio",
    "audio_save_path",
    "audio_save_limit",
)


class EngineSession:
    """Created by `VoiceEngine.connect`; `close` closes everything it opened."""

    def __init__(
        self, config: VoiceEngineConfig, *, bus: Bus, tools: ToolBox, clock: Clock, meter: EngineMeter
    ) -> None:
        """Raises `NotFound`, `AuthenticationError`, `ProviderError` for an unusable provider."""
        self.config = config
        self._clock = clock
        self._emit = bus.emit
        cls = require_provider(config)
        self.down = Downlink(bus, rate_hz=config.sample_rate, on_audio=self._on_audio)
        self.down.watchers.append(self._watch)
        self.session = Session(
            _maker(cls, config, clock),
            name=config.provider,
            config=tuning.session_config(config, server_vad=cls.capabilities.server_vad),
            tools=tools if config.enable_functions else ToolBox(),
            on_event=self.down.publish,
            clock=clock,
        )
        self.input = AudioInput(
            config,
            send=self.session.send_audio,
            on_speech=self._on_speech,
            on_sent=self._on_sent,
            on_error=self._report_error,
            emit=bus.emit,
            clock=clock,
            meter=meter,
        )
        self._provider_class = cls
        # While the key of push-to-talk is held.
        self._is_held = False
        self.has_sent_recording = False
        self._update_target()
        self._player: Player | None = None
        self._recording: SessionRecording | None = None
        self._tasks = TaskScope("voice engine")
        # While True replies are not played, because `speak_text` returns their audio.
        self._is_muted = False

    async def open_devices(self) -> None:
        """Open the loudspeaker, if one is configured; the microphone waits for `AudioInput.start`.

        Raises `AudioError` when it cannot be opened.
        """
        config = self.config
        if config.save_audio:
            directory = Path(config.audio_save_path or DEFAULT_SAVE_PATH)
            self._recording = audio.make_recording(
                directory, rate_hz=config.sample_rate, keep_turns=config.audio_save_limit, clock=self._clock
            )
        if config.output_device is None:
            return
        try:
            self._player = await audio.make_player(
                config.output_device,
                jitter_ms=tuning.jitter_ms(config),
                clock=self._clock,
                emit=self._emit,
            )
            await self._player.open()
        except DeviceError as error:
            raise AudioError(str(error), hint=error.hint, code=error.code) from error

    async def open(self, retries: int) -> None:
        """Open the session. Raises `VoxdError`."""
        await self.session.connect(retries)

    async def close(self) -> None:
        """Close everything; idempotent."""
        # From the microphone down: nothing may be sent to a session that is closed.
        await self.input.stop()
        await self._tasks.close()
        await self.session.close()
        player, self._player = self._player, None
        if player is not None:
            await player.close()
        recording, self._recording = self._recording, None
        if recording is not None:
            await recording.close()

    async def switch(self, config: VoiceEngineConfig, *, reason: str = "requested") -> None:
        """Continue the conversation with another provider. Raises `VoxdError`.

        The audio settings do not change: the microphone and the loudspeaker are open.
        """
        config = dataclasses.replace(config, **{name: getattr(self.config, name) for name in _FIXED_FIELDS})
        cls = require_provider(config)
        # The rest of this reply would never come: its vendor is left.
        if self.session.is_connected and self._replying:
            await self.interrupt(None)
        await self.session.switch(
            _maker(cls, config, self._clock),
            config.provider,
            self._session_config(config, cls),
            reason=reason,
        )
        # After the switch: when it fails the present provider goes on with its own settings.
        self.config, self._provider_class = config, cls
        self._update_target()

    async def configure(self, session: SessionConfig) -> None:
        """Apply ``session``. Raises `ProviderError` and keeps the present settings."""
        config = dataclasses.replace(self.config, session=session)
        await self.session.configure(self._session_config(config, self._provider_class))
        self.config = config
        self._update_target()

    async def start_listening(self, *, push_to_talk: bool) -> None:
        """Open the microphone. With ``push_to_talk`` nothing detects turns. Raises `AudioError`."""
        if push_to_talk != self._is_held:
            self._is_held = push_to_talk
            wanted = self._session_config(self.config, self._provider_class)
            if wanted.turn_detection != self.session.config.turn_detection:
                await self.session.configure(wanted)
            self._update_target()
        if push_to_talk and self._replying:
            # The key is how the user interrupts; without a VAD nothing else does.
            await self.interrupt(None)
        await self.input.start()

    def _session_config(self, config: VoiceEngineConfig, cls: type[BaseProvider]) -> SessionConfig:
        if self._is_held:
            config = dataclasses.replace(config, vad_enabled=False)
        return tuning.session_config(config, server_vad=cls.capabilities.server_vad)

    def require(self) -> None:
        """Raise `NotConnected` when the session is not open."""
        if not self.session.is_connected:
            raise NotConnected("the engine is not connected", provider=self.config.provider)

    async def send_recording(self, recording: bytes, *, respond: bool) -> None:
        """Send a recording, with ``respond`` also request a reply. Raises `VoxdError`."""
        rate_hz = self.config.sample_rate
        clip = await asyncio.to_thread(audio.clip_of, recording, rate_hz)
        pcm = audio.converter(clip.rate_hz, rate_hz).feed(clip.pcm, last=True)
        if self._replying:
            await self.interrupt(None)
        # Audio that was sent before and not committed would become the beginning of this recording.
        await self.session.clear_audio()
        if self._recording is not None:
            self._recording.forget("user")
        await self.input.send_recording(pcm)
        self.has_sent_recording = True
        if self._server_vad:
            # The vendor ends the turn at a pause, so the recording ends with twice the silence that it needs.
            silence_ms = 2 * (self.session.config.vad_silence_ms or self.config.vad_speech_end_ms)
            await self.input.send_recording(bytes(silence_ms * rate_hz // 1000 * BYTES_PER_SAMPLE))
        elif respond:
            await self.commit()

    async def commit(self) -> None:
        """End the user's turn and request a reply. Raises `ProviderError`."""
        await self.input.finish()
        if self._recording is not None:
            self._recording.finish("user")
        # While the vendor thinks: starting the playback process takes longer than a frame.
        if self._player is not None:
            self._player.prepare()
        await self.session.commit()

    async def interrupt(self, played_ms: float | None) -> None:
        """Cut the reply; ``played_ms`` is how much the caller played of it, None for all."""
        # The engine's own player measures it, and so precedes the caller's figure.
        own_ms = await self._player.stop() if self._player is not None else None
        await self.session.interrupt(played_ms if own_ms is None else own_ms)

    async def ask(self, text: str, timeout_s: float) -> Reply:
        """Send ``text`` and return the whole reply, which is also played. Raises as `speak_text` does."""
        return await self._collect(self.session.send_text, text, timeout_s)

    async def speak_text(self, text: str, timeout_s: float) -> bytes:
        """Return ``text``, spoken word for word by the provider's voice; it is not played.

        Raises `ProviderError` (code ``cannot_speak_text``) where the provider cannot, `DeadlineExceeded`,
        `StreamError` when the reply was broken off or has no audio, and the cause of a failure as it is.
        """
        # Before the request: the first audio may come in the same step of the loop.
        self._is_muted = True
        try:
            reply = await self._collect(self.session.speak_text, text, timeout_s)
        finally:
            self._is_muted = False
        if not reply.audio:
            hint = "request audio in the session's modalities"
            raise StreamError("the reply has no audio", provider=self.config.provider, hint=hint)
        return reply.audio

    async def _collect(self, send: Callable[[str], Awaitable[None]], text: str, timeout_s: float) -> Reply:
        collector = ReplyCollector(self.config.provider)
        before = await self.session.usage()
        self.down.watchers.append(collector.take)
        try:
            async with asyncio.timeout(timeout_s):
                await send(text)
                pcm = await collector.audio()
        except TimeoutError as error:
            hint = "pass a longer timeout, or check the provider with `voxctl provider test`"
            raise DeadlineExceeded(f"no complete reply within {timeout_s:g} s", hint=hint) from error
        finally:
            self.down.watchers.remove(collector.take)
        used = await self.session.usage() - before
        return Reply(collector.text, pcm, self.config.sample_rate, used)

    @property
    def playback_latency_ms(self) -> float:
        """From the first piece of the last reply to its first sample at the device."""
        return self._player.latency_ms if self._player is not None else 0.0

    @property
    def _server_vad(self) -> bool:
        return self.session.config.turn_detection != "client"

    @property
    def _playing(self) -> bool:
        return self._player is not None and self._player.playing

    @property
    def _replying(self) -> bool:
        return self.session.is_responding or self._playing

    def _update_target(self) -> None:
        client_vad = self.config.vad_enabled and not self._server_vad and not self._is_held
        to_hz = self._provider_class.capabilities.input_rate_hz
        self.input.set_target(self.config, to_hz=to_hz, client_vad=client_vad)

    async def _on_speech(self, change: SpeechChange, at_ms: float) -> None:
        self.down.publish(TurnDetected(change is SpeechChange.STARTED, at_ms))
        if change is SpeechChange.ENDED:
            await self.commit()
        elif self._replying:
            await self.interrupt(None)

    def _on_audio(self, response_id: str, clip: Clip) -> None:
        if self._recording is not None:
            self._recording.add("reply", clip.pcm)
        if self._player is not None and not self._is_muted:
            self._player.feed(response_id, clip)

    def _on_sent(self, pcm: bytes) -> None:
        if self._recording is not None:
            self._recording.add("user", pcm)

    def _watch(self, event: ProviderEvent) -> None:
        match event:
            case TurnDetected() if self._server_vad:
                # A task: an event is published without waiting, and stopping the player takes a while.
                if event.speaking and self._playing:
                    self._tasks.start(self._interrupt(), name="interruption")
                elif not event.speaking and self._recording is not None:
                    self._recording.finish("user")
            case ResponseCompleted() | ResponseCancelled():
                # Not at `AudioOutputStopped`: a reply may have several items, each with audio of its own.
                if self._player is not None:
                    self._player.complete(event.response_id or "")
                if self._recording is not None:
                    self._recording.finish("reply")

    async def _interrupt(self) -> None:
        try:
            await self.interrupt(None)
        except VoxdError as error:
            self._report_error(error)

    def _report_error(self, error: VoxdError) -> None:
        """Publish an error that does not belong to a call of the application."""
        self.down.publish(ErrorOccurred(error=error))


def require_provider(config: VoiceEngineConfig) -> type[BaseProvider]:
    """Return the class of the provider.

    Raises `NotFound`, `ProviderError` for a broken class, `AuthenticationError` without a key.
    """
    cls = provider_class(config.provider)
    # A program's own class for a vendor's name has rules of its own.
    variables = None if is_replaced(config.provider) else KEY_VARIABLES.get(config.provider)
    if variables and not config.api_key and config.metadata.get("auth_type") != "none":
        raise AuthenticationError(
            f"provider {config.provider} needs an API key",
            provider=config.provider,
            hint=(
                f"pass api_key, or set the environment variable {' or '.join(variables)}; "
                'provider="mock" needs no key'
            ),
        )
    return cls


def preload(config: VoiceEngineConfig) -> None:
    """Import what connecting needs, so that the loop does not wait for it; call it in a thread.

    Raises `NotFound`, `ProviderError` for an unusable provider.
    """
    cls = provider_class(config.provider)
    cls.preload(tuning.provider_settings(config))
    rates = {cls.capabilities.input_rate_hz, cls.capabilities.output_rate_hz, config.sample_rate}
    audio.preload(converts=len(rates) > 1, plays=config.output_device is not None)
    watch_loggers()


def _maker(cls: type[BaseProvider], config: VoiceEngineConfig, clock: Clock) -> Callable[[], BaseProvider]:
    chain = tuple(engine_part(config.metadata).middleware)
    if not chain or config.provider == PIPELINE:
        return lambda: cls(tuning.provider_settings(config))
    # Loads what only pipelines need otherwise.
    from voxd.providers.pipeline.filtered_session import FilteredSession

    return lambda: FilteredSession(adapt(cls(tuning.provider_settings(config))), chain, clock)
