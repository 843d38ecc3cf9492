"""`VoiceEngine`, the public library class: a conversation with a speech-to-speech provider."""

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from enum import StrEnum
from typing import Any, Literal, Self

from voxd.bus.bus import Bus
from voxd.clock import Clock, SystemClock
from voxd.engine import config as settings
from voxd.engine import shared_events
from voxd.engine.audio import as_bytes, as_text
from voxd.engine.callbacks import Callbacks, Function
from voxd.engine.calls import engine_call
from voxd.engine.config import Mode, VoiceEngineConfig
from voxd.engine.connect import Connector
from voxd.engine.meter import EngineMeter, metrics
from voxd.engine.reply import Reply
from voxd.engine.session import EngineSession
from voxd.errors import InvalidRequest, NotConnected, third_party
from voxd.events import EventType
from voxd.providers.base import as_session_config
from voxd.providers.history import HistoryMessage
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox, tool
from voxd.providers.usage import Cost, Usage, add_costs

DEFAULT_ATTEMPTS = 3

_REPLIES = (EventType.AUDIO_OUTPUT_CHUNK, EventType.TEXT_OUTPUT)


class EngineState(StrEnum):
    """The state of an engine, see `VoiceEngine.get_state`."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    RESPONDING = "responding"


class VoiceEngine(Callbacks):
    """One conversation with one provider at a time: ``async with VoiceEngine(api_key=...) as engine``.

    Everything that happens is an event on `events`. Methods that need a session raise `NotConnected` without
    one; every error is a `voxd.EngineError`. Call all methods on one event loop; the engine itself may be
    created outside of it.
    """

    def __init__(
        self,
        api_key: str | VoiceEngineConfig | None = None,
        config: VoiceEngineConfig | None = None,
        mode: Mode = "fast",
        *,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        """``config``, also as the only argument, precedes ``api_key``, ``mode`` and ``options``.

        ``options`` are fields of `VoiceEngineConfig`. Without a key the vendor's environment variable is
        read (OPENAI_API_KEY). Raises `ConfigError`, which is a `TypeError` too for an unknown field, and
        `InvalidRequest` for an invalid tool.
        """
        if isinstance(api_key, VoiceEngineConfig):
            config, api_key = api_key, None
        if config is None:
            settings.check_fields(options, also=("tools", "clock"))
            config = VoiceEngineConfig(api_key=api_key or "", mode=mode, **options)
        self._config = settings.with_key(config, os.environ)
        self._clock = clock or SystemClock()
        self._bus = Bus(self._clock)
        self._bus.handle(shared_events.forward)
        self.callback_handlers: dict[str, tuple[Function, str]] = {}
        self._meter = EngineMeter(self._clock)
        self._tools: dict[str, Tool] = {}
        self._session: EngineSession | None = None
        self._others = settings.failovers(self._config, os.environ)
        self._connector: Connector | None = None
        # Held while the session is opened, switched or closed. A lock binds to a loop at its first use
        # (3.10).
        self._changing = asyncio.Lock()
        self._requesting = asyncio.Lock()
        self._connecting = False
        self._used = Usage()
        self._cost: Cost | None = None
        for each in tools:
            self.register_tool(each)
        self.log_level = settings.log_level(self._config)
        # From `connect` to `disconnect`: the tasks of a session log between the calls too.
        self._logging = ExitStack()

    @classmethod
    def create_simple(cls, api_key: str) -> Self:
        """Return an engine with the defaults of the fast mode."""
        return cls(api_key=api_key, mode="fast")

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    def __repr__(self) -> str:
        return f"<VoiceEngine {self.config.provider} {self.get_state()}>"

    # --- connection ----------------------------------------------------------------------------------

    @engine_call
    async def connect(self, retry_count: int = DEFAULT_ATTEMPTS) -> None:
        """Open a session in at most ``retry_count`` attempts (1 or more), unless one is open.

        Raises `AuthenticationError` at once for a refused key, `ConnectionFailed` (`voxd.ConnectionError`)
        and other errors after the last attempt. With ``enable_multi_provider`` the next provider is tried
        before that.
        """
        async with self._changing:
            # A second `connect` waits for the first, and then has nothing left to do.
            if self.is_connected:
                return
            if self._session is None or self._connector is None:
                await self._open(self._config, retry_count - 1)
                return
            # The session was lost, not closed: the same conversation continues.
            self._connecting = True
            try:
                await self._connector.reconnect(self._session, retry_count - 1)
            finally:
                self._connecting = False

    async def _open(self, config: VoiceEngineConfig, retries: int) -> None:
        self._connector = Connector(config, self._others, make=self._new_session, emit=self._bus.emit)
        self._connecting = True
        try:
            self._session = await self._connector.connect(retries)
        finally:
            self._connecting = False
        self._logging.enter_context(self.log_level.in_use())

    @engine_call
    async def disconnect(self) -> None:
        """Close the microphone, the loudspeaker and the session; idempotent."""
        # Before the lock, which a `connect` under way holds: this cancels its attempts.
        if self._connector is not None:
            await self._connector.close()
        async with self._changing:
            call, self._session = self._session, None
            if call is not None:
                await call.close()
                # Added once the session is closed: a vendor reports the last usage at the end.
                self._used = self._used + await call.session.usage()
                self._cost = add_costs(self._cost, await call.session.cost())
        # Last: closing publishes events too.
        await self._bus.close()
        self._logging.close()

    @engine_call
    async def switch_provider(
        self, name: str, config: VoiceEngineConfig | Mapping[str, Any] | None = None
    ) -> None:
        """Continue the conversation with provider ``name``; without a connection: connect to it.

        ``config`` is a whole configuration, the fields that differ, or None; the instructions and limits of
        the session go on unless it has its own. Without a key of its own the vendor's environment variable is
        read. Raises `VoxdError` when the provider is unavailable; everything then stays as it was.
        """
        if isinstance(config, VoiceEngineConfig):
            new = settings.continued(self.config, dataclasses.replace(config, provider=name))
            new = settings.with_key(new, os.environ)
        else:
            new = settings.other_provider(self.config, {**(config or {}), "provider": name}, os.environ)
        async with self._changing:
            if self._session is not None and self._connector is not None:
                await self._connector.switch(self._session, new)
            else:
                await self._open(new, DEFAULT_ATTEMPTS - 1)
            self._config = new

    @engine_call
    async def configure_session(self, session: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``session``, or its fields, from now on: instructions, voice, limits, tools.

        Raises `InvalidRequest` for a field of the wrong type, `ProviderError` when the provider refuses it.
        """
        with third_party(lambda error: InvalidRequest(f"the session is invalid: {error}")):
            session = as_session_config(session)
        async with self._changing:
            if self._session is not None:
                await self._session.configure(session)
            self._config = dataclasses.replace(self._config, session=session)

    def middleware(
        self,
        *,
        request: Iterable[Function] = (),
        message: Iterable[Function] = (),
        audio: Literal["", "unfiltered"] = "",
    ) -> None:
        """Pass requests and messages through functions, from the next `connect` on.

        `voxd.net.request_middleware` and `voxd.providers.pipeline.middleware` describe them. They are called
        in order and replace those of an earlier call. A pipeline passes them everything. A speech-to-speech
        provider hears and speaks sound, which they cannot change: they get its text only, and only with
        ``audio`` "unfiltered". Raises `ConfigError` without that.
        """
        chains = tuple(request), tuple(message)
        self._config = settings.with_middleware(self._config, *chains, audio)
        self._others = [settings.with_middleware(each, *chains, audio) for each in self._others]

    # --- audio and text ------------------------------------------------------------------------------

    @engine_call
    async def start_listening(self, push_to_talk: bool | None = None) -> None:
        """Open the microphone and send its audio.

        With ``push_to_talk`` a pause does not end the user's turn, whatever detects turns otherwise: release
        the key with `stop_listening`, then `commit`, or send a recording of your own by
        `send_recorded_audio`. None: so for a program that records the chunks itself, with a handler of
        ``AUDIO_INPUT_CHUNK``, and either has no use for a reply while it listens (no output device, no
        handler of its audio or text) or has sent such a recording before. Raises `NotConnected`,
        `AudioError`.
        """
        session = self._connected()
        records = self._bus.has_handler(EventType.AUDIO_INPUT_CHUNK)
        uses_replies = self.config.output_device is not None or self._bus.has_handler(*_REPLIES)
        if push_to_talk is None:
            push_to_talk = records and (session.has_sent_recording or not uses_replies)
        await session.start_listening(push_to_talk=push_to_talk)

    @engine_call
    async def stop_listening(self) -> None:
        """Close the microphone; idempotent. Call `commit` to have an unfinished turn answered."""
        if self._session is not None:
            await self._session.input.stop()

    @engine_call
    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at ``config.sample_rate``, as it is captured.

        The client VAD or the vendor detects turns in it; with neither, call `commit`.
        Raises `NotConnected`, `AudioError`, `ProviderError`.
        """
        await self._connected().input.push(as_bytes(audio_data))

    @engine_call
    async def commit(self) -> None:
        """End the turn and request a reply, without waiting for a pause. Raises `ProviderError`."""
        await self._connected().commit()

    @engine_call
    async def send_text(self, text: str) -> None:
        """Send a user's message and request a reply. Raises `NotConnected`, `ProviderError`."""
        await self._connected().session.send_text(as_text(text))

    @engine_call
    async def send_recorded_audio(self, audio_data: bytes, auto_respond: bool = True) -> None:
        """Send a whole recording: raw PCM at ``config.sample_rate``, or a WAV, MP3, FLAC, Ogg or AIFF file.

        The file may have any rate. It replaces audio that was sent before and not answered, and it ends a
        reply in progress. Without
        ``auto_respond`` the reply follows `commit`, or the next turn; a vendor that detects turns
        (``vad_type`` "server") decides itself when to reply. Raises `InvalidRequest` for a broken file,
        `AudioError`, `NotConnected`, `ProviderError`.
        """
        await self._connected().send_recording(as_bytes(audio_data), respond=auto_respond)

    @engine_call
    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cut the reply. The engine's own player is flushed and measures how much was played.

        A caller that plays the audio itself passes how much of it was played; None means all of it.
        Raises `NotConnected`, `ProviderError`.
        """
        await self._connected().interrupt(played_ms)

    @engine_call
    async def ask(self, text: str, timeout: float = 30.0) -> Reply:
        """Send a user's message and return the whole reply: ``text``, ``audio``, ``usage``.

        It is played as well where an output device is configured. Raises `DeadlineExceeded` after ``timeout``
        seconds, `StreamError` when the reply was broken off, `NotConnected`, `ProviderError`.
        """
        # One at a time: two replies could not be separated.
        async with self._requesting:
            return await self._connected().ask(as_text(text), timeout)

    @engine_call
    async def text_2_audio_response(self, text: str, timeout: float = 30.0) -> bytes:
        """Return ``text`` as speech, PCM at ``config.sample_rate``; nothing is played, and nothing answered.

        The provider says it word for word where it can: a pipeline, OpenAI, Azure, servers with OpenAI's
        protocol, the mock; a provider of your own gets it by ``send_text``. Raises `ProviderError` (code
        ``cannot_speak_text``) where it cannot: `ask` returns a spoken answer. Raises `DeadlineExceeded` after
        ``timeout`` seconds, `StreamError` when the reply was broken off or has no audio, `NotConnected`.
        """
        async with self._requesting:
            return await self._connected().speak_text(as_text(text), timeout)

    # --- tools ---------------------------------------------------------------------------------------

    def register_tool(self, function: Tool | Callable[..., Any]) -> Any:
        """Let the model call ``function``: a `Tool`, or any typed function; also a decorator.

        It is offered from the next `connect` on. Raises `InvalidRequest`, also while functions are off.
        """
        if not self.config.enable_functions:
            raise InvalidRequest("functions are disabled", hint='set enable_functions=True, or mode="big"')
        made = function if isinstance(function, Tool) else tool(function)
        if made.name in self._tools:
            raise InvalidRequest(f"two tools are named {made.name}")
        self._tools[made.name] = made
        return function

    @engine_call
    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a tool that was declared without a handler (``SessionConfig.tools``)."""
        await self._connected().session.send_tool_result(call_id, output)

    # --- state and measurements ----------------------------------------------------------------------

    @property
    def events(self) -> Bus:
        """The event bus: ``on``, ``once``, ``off``, history and metrics."""
        return self._bus

    @property
    def config(self) -> VoiceEngineConfig:
        """The configuration in force; that of the provider in use while there is a session."""
        return self._session.config if self._session is not None else self._config

    @property
    def is_connected(self) -> bool:
        """Whether a session is open."""
        return self._session is not None and self._session.session.is_connected

    @property
    def is_listening(self) -> bool:
        """Whether the microphone is open."""
        return self._session is not None and self._session.input.is_listening

    @property
    def history(self) -> tuple[HistoryMessage, ...]:
        """The messages of the conversation, of the replies what was played, the oldest first."""
        return self._session.session.history if self._session is not None else ()

    def get_state(self) -> EngineState:
        """Return the state; an engine that captures audio while a reply is in progress is RESPONDING."""
        if self._connecting:
            return EngineState.CONNECTING
        if self._session is None or not self.is_connected:
            return EngineState.DISCONNECTED
        # RESPONDING before LISTENING: the microphone is usually open all the time.
        if self._session.session.is_responding:
            return EngineState.RESPONDING
        return EngineState.LISTENING if self.is_listening else EngineState.CONNECTED

    def get_metrics(self) -> dict[str, dict[str, float]]:
        """Return rates and times, see `voxd.engine.meter.metrics`; zero where nothing was measured."""
        call = self._session
        return metrics(
            self._meter,
            call.session.metrics() if call is not None else None,
            playback_latency_ms=call.playback_latency_ms if call is not None else 0.0,
            buffer_health=call.input.buffer_health if call is not None else 1.0,
        )

    @engine_call
    async def get_usage(self) -> Usage:
        """Return what all sessions of this engine used, as the vendors reported it."""
        return self._used if self._session is None else self._used + await self._session.session.usage()

    @engine_call
    async def estimate_cost(self) -> Cost:
        """Return what that costs in US dollars; ``prices_of`` is "" when no price is known."""
        current = None if self._session is None else await self._session.session.cost()
        return add_costs(self._cost, current) or Cost()

    def _connected(self) -> EngineSession:
        if self._session is None:
            raise NotConnected("the engine is not connected", provider=self.config.provider)
        self._session.require()
        return self._session

    def _new_session(self, config: VoiceEngineConfig) -> EngineSession:
        tools = ToolBox(self._tools.values())
        return EngineSession(config, bus=self._bus, tools=tools, clock=self._clock, meter=self._meter)
