"""One connection of an engine: the provider's session with its audio input and output."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxd.bus.bus import Bus
from voxd.clock import Clock
from voxd.engine import sound, tuning
from voxd.engine.config import KEY_VARIABLES, VoiceEngineConfig
from voxd.engine.downlink import Downlink
from voxd.engine.input import AudioInput
from voxd.engine.meter import EngineMeter
from voxd.engine.vad import SpeechChange
from voxd.errors import AudioError, AuthenticationError, DeviceError, NotConnected, VoxdError
from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.providers.base import BaseProvider
from voxd.providers.events import publish_to
from voxd.providers.realtime.session import Session
from voxd.providers.registry import provider_class
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.tasks import TaskScope

if TYPE_CHECKING:
    from voxd.engine.player import Player
    from voxd.engine.recording import SessionRecording

DEFAULT_SAVE_PATH = "recordings"

_OPENED = (
    "input_device",
    "output_device",
    "sample_rate",
    "save_audio",
    "audio_save_path",
    "audio_save_limit",
)
"""Fields of a configuration that are obeyed once, when a call is opened."""


class EngineSession:
    """Created by `VoiceEngine.connect`; `close` closes everything it opened."""

    def __init__(
        self, config: VoiceEngineConfig, *, bus: Bus, tools: ToolBox, clock: Clock, meter: EngineMeter
    ) -> None:
        """Raises `NotFound`, `AuthenticationError`, `ProviderError` for a provider that cannot be used."""
        self.config = config
        self._clock = clock
        cls = require_provider(config)
        self.down = Downlink(bus, rate_hz=config.sample_rate, on_sound=self._on_sound)
        self.down.watchers.append(self._watch)
        self.session = Session(
            _maker(cls, config),
            name=config.provider,
            config=tuning.session_config(config, server_vad=cls.capabilities.server_vad),
            tools=tools if config.enable_functions else ToolBox(),
            on_event=publish_to(self.down),
            clock=clock,
        )
        self.input = AudioInput(
            config,
            send=self.session.send_audio,
            on_speech=self._on_speech,
            on_sent=self._on_sent,
            emit=self.down,
            clock=clock,
            meter=meter,
        )
        self._provider_class = cls
        self._target()
        self._player: Player | None = None
        self._recording: SessionRecording | None = None
        self._tasks = TaskScope("voice engine")
        self.muted = False
        """While True replies are not played, because `ask_for_sound` returns their sound."""

    async def open(self, retries: int) -> None:
        """Open the session, and the loudspeaker when one was asked for. Raises `VoxdError`."""
        await self.session.connect(retries)
        config = self.config
        if config.save_audio:
            directory = Path(config.audio_save_path or DEFAULT_SAVE_PATH)
            self._recording = sound.make_recording(
                directory, rate_hz=config.sample_rate, keep_turns=config.audio_save_limit, clock=self._clock
            )
        if config.output_device is not None:
            try:
                self._player = await sound.open_player(
                    config.output_device,
                    jitter_ms=tuning.jitter_ms(config),
                    clock=self._clock,
                    emit=self.down,
                )
            except DeviceError as error:
                raise AudioError(str(error), hint=error.hint, code=error.code) from error

    async def close(self) -> None:
        """Close everything; idempotent."""
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
        """Go on with another provider; the conversation is carried over. Raises `VoxdError`.

        What concerns sound stays as it was: the microphone and the loudspeaker are open.
        """
        config = dataclasses.replace(config, **{name: getattr(self.config, name) for name in _OPENED})
        cls = require_provider(config)
        if self.session.is_connected and self._replying:
            await self.interrupt(None)
        await self.session.switch(
            _maker(cls, config),
            config.provider,
            tuning.session_config(config, server_vad=cls.capabilities.server_vad),
            reason=reason,
        )
        self.config, self._provider_class = config, cls
        self._target()

    async def configure(self, session: SessionConfig) -> None:
        """Apply ``session``. Raises `ProviderError`, and the session is as it was."""
        config = dataclasses.replace(self.config, session=session)
        server_vad = self._provider_class.capabilities.server_vad
        await self.session.configure(tuning.session_config(config, server_vad=server_vad))
        self.config = config
        self._target()

    def require(self) -> None:
        """Raise `NotConnected` when there is no open session."""
        if not self.session.is_connected:
            raise NotConnected("the engine is not connected", provider=self.config.provider)

    async def send_whole(self, audio: bytes, *, answer: bool) -> None:
        """Send a recording and request a reply. Raises `VoxdError`."""
        rate_hz = self.config.sample_rate
        clip = sound.whole_clip(audio, rate_hz)
        pcm = sound.converter(clip.rate_hz, rate_hz).feed(clip.pcm, last=True)
        if self._replying:
            await self.interrupt(None)
        await self.session.clear_audio()
        if self._recording is not None:
            self._recording.forget("user")
        await self.input.send_whole(pcm)
        if self._detects_itself:
            # The vendor ends the turn at a pause, so the recording must end with one.
            await self.input.send_whole(self._silence())
        elif answer:
            await self.commit()

    async def commit(self) -> None:
        """End the user's turn and request a reply. Raises `ProviderError`."""
        await self.input.finish()
        if self._recording is not None:
            self._recording.finish("user")
        if self._player is not None:
            self._player.prepare()
        await self.session.commit()

    async def interrupt(self, played_ms: float | None) -> None:
        """Silence the reply; ``played_ms`` of it was heard, as far as the caller knows."""
        heard_ms = await self._player.stop() if self._player is not None else None
        await self.session.interrupt(played_ms if heard_ms is None else heard_ms)

    @property
    def playback_latency_ms(self) -> float:
        """From the first piece of the last reply to its first sample at the device."""
        return self._player.latency_ms if self._player is not None else 0.0

    @property
    def _detects_itself(self) -> bool:
        return self.session.config.turn_detection != "client"

    @property
    def _playing(self) -> bool:
        return self._player is not None and self._player.playing

    @property
    def _replying(self) -> bool:
        return self.session.is_responding or self._playing

    def _target(self) -> None:
        own_vad = self.config.vad_enabled and not self._detects_itself
        to_hz = self._provider_class.capabilities.input_rate_hz
        self.input.target(self.config, to_hz=to_hz, own_vad=own_vad)

    def _silence(self) -> bytes:
        silence_ms = self.session.config.vad_silence_ms or self.config.vad_speech_end_ms
        return bytes(2 * silence_ms * self.config.sample_rate // 1000 * BYTES_PER_SAMPLE)

    async def _on_speech(self, speech: SpeechChange, at_ms: float) -> None:
        self.down(E.CONVERSATION_TURN_DETECTED, speaking=speech is SpeechChange.STARTED, at_ms=at_ms)
        if speech is SpeechChange.ENDED:
            await self.commit()
        elif self._replying:
            await self.interrupt(None)

    def _on_sound(self, response_id: str, clip: Clip) -> None:
        if self._recording is not None:
            self._recording.add("reply", clip.pcm)
        if self._player is not None and not self.muted:
            self._player.feed(response_id, clip)

    def _on_sent(self, pcm: bytes) -> None:
        if self._recording is not None:
            self._recording.add("user", pcm)

    def _watch(self, type: str, data: dict[str, Any]) -> None:
        match type:
            case E.CONVERSATION_TURN_DETECTED if self._detects_itself:
                if data.get("speaking") and self._playing:
                    self._tasks.start(self._interrupt_late(), name="interruption")
                elif not data.get("speaking") and self._recording is not None:
                    self._recording.finish("user")
            case E.RESPONSE_COMPLETED | E.RESPONSE_CANCELLED:
                # Not at the end of its sound: a reply may have several items, each with sound of its own.
                if self._player is not None:
                    self._player.complete(str(data.get("response_id") or ""))
                if self._recording is not None:
                    self._recording.finish("reply")

    async def _interrupt_late(self) -> None:
        """Interrupt because of an event. There is no caller for an error, so it becomes an event."""
        try:
            await self.interrupt(None)
        except VoxdError as error:
            self.down(E.ERROR_GENERAL, error=error)


def require_provider(config: VoiceEngineConfig) -> type[BaseProvider]:
    """Return the class of the provider.

    Raises `NotFound`, `ProviderError` for a broken one, and `AuthenticationError` without a key.
    """
    cls = provider_class(config.provider)
    variables = KEY_VARIABLES.get(config.provider)
    if variables and not config.api_key and config.metadata.get("auth_type") != "none":
        raise AuthenticationError(
            f"there is no API key for {config.provider}",
            provider=config.provider,
            hint=f"pass api_key, or set {' or '.join(variables)}",
        )
    return cls


def _maker(cls: type[BaseProvider], config: VoiceEngineConfig) -> Callable[[], BaseProvider]:
    return lambda: cls(tuning.provider_settings(config))
