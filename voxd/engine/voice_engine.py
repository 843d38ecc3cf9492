"""`VoiceEngine`, the public library class: a conversation with a speech-to-speech provider in a few lines."""

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from voxd.bus.bus import Bus
from voxd.clock import Clock, SystemClock
from voxd.engine import config as settings
from voxd.engine.callbacks import Callbacks, Function
from voxd.engine.config import Mode, VoiceEngineConfig
from voxd.engine.connect import Connector
from voxd.engine.meter import EngineMeter, metrics
from voxd.engine.response import ask_for_sound
from voxd.engine.session import EngineSession
from voxd.engine.sound import as_bytes
from voxd.engine.state import EngineState, state_of
from voxd.errors import InvalidRequest, NotConnected
from voxd.providers.history import HistoryMessage
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox, tool
from voxd.providers.usage import Cost, Usage, add_costs


class VoiceEngine(Callbacks):
    """One conversation with one provider at a time: ``async with VoiceEngine(api_key=...) as engine``.

    Everything that happens is an event on `events`. Methods that need a session raise `NotConnected` without
    one; every error is a `voxd.EngineError`. All methods belong to one event loop; the engine itself may be
    made outside of it.
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
        """``config``, also as the only argument, goes before ``api_key``, ``mode`` and ``options``.

        ``options`` are fields of `VoiceEngineConfig`. Without a key the vendor's environment variable is
        read (OPENAI_API_KEY). Raises `ConfigError`, and `InvalidRequest` for a tool that is none.
        """
        if isinstance(api_key, VoiceEngineConfig):
            config, api_key = api_key, None
        if config is None:
            config = VoiceEngineConfig(api_key=api_key or "", mode=mode, **options)
        self._config = settings.with_key(config, os.environ)
        self._clock = clock or SystemClock()
        self._bus = Bus(self._clock)
        self.callback_handlers: dict[str, tuple[Function, str]] = {}
        self._meter = EngineMeter(self._clock)
        self._tools: dict[str, Tool] = {}
        self._session: EngineSession | None = None
        self._others = settings.failovers(self._config, os.environ)
        self._connector: Connector | None = None
        self._changing = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._connecting = False
        self._used = Usage()
        self._cost: Cost | None = None
        for each in tools:
            self.register_tool(each)
        settings.set_log_level(self._config)

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

    async def connect(self, retry_count: int = 3) -> None:
        """Open a session in at most ``retry_count`` attempts (1 or more), unless one is open.

        Raises `AuthenticationError` at once for a refused key, `ConnectionFailed` (`voxd.ConnectionError`)
        and other errors after the last attempt. With ``enable_multi_provider`` the next provider is tried
        before that.
        """
        async with self._changing:
            if self.is_connected:
                return
            self._connecting = True
            try:
                if self._session is not None and self._connector is not None:
                    # It was lost, not ended: the conversation goes on.
                    await self._connector.reconnect(self._session, retry_count - 1)
                    return
                self._connector = Connector(
                    self._config, self._others, make=self._new_session, emit=self._bus.emit
                )
                self._session = await self._connector.connect(retry_count - 1)
            finally:
                self._connecting = False

    async def disconnect(self) -> None:
        """Stop listening and playing and close the session; idempotent."""
        if self._connector is not None:
            await self._connector.close()
        async with self._changing:
            await self._end_session()
        await self._bus.close()

    async def switch_provider(
        self, name: str, config: VoiceEngineConfig | Mapping[str, Any] | None = None
    ) -> None:
        """Go on with provider ``name`` in the same conversation; before `connect`: begin with it.

        ``config`` is a whole configuration, the fields that differ, or None. Without a key of its own the
        vendor's environment variable is read. When the provider cannot be had the conversation goes on as it
        was, and this raises `VoxdError`.
        """
        if isinstance(config, VoiceEngineConfig):
            new = settings.with_key(dataclasses.replace(config, provider=name), os.environ)
        else:
            new = settings.other_provider(self.config, {**(config or {}), "provider": name}, os.environ)
        async with self._changing:
            if self._session is not None and self._connector is not None:
                await self._connector.switch(self._session, new)
            self._config = new

    async def configure_session(self, session: SessionConfig) -> None:
        """Use ``session`` from now on: instructions, voice, limits, tools without a handler."""
        async with self._changing:
            if self._session is not None:
                await self._session.configure(session)
            self._config = dataclasses.replace(self._config, session=session)

    def middleware(self, *, request: Iterable[Function] = (), message: Iterable[Function] = ()) -> None:
        """Pass the requests and messages of a pipeline through functions, from the next `connect` on.

        As `voxd.net.request_middleware` and `voxd.providers.pipeline.middleware` describe them, in order;
        they replace those of the call before.
        """
        self._config = settings.with_middleware(self._config, tuple(request), tuple(message))

    # --- sound and text ------------------------------------------------------------------------------

    async def start_listening(self) -> None:
        """Open the microphone and send what it hears. Raises `NotConnected`, `AudioError`."""
        await self._connected().input.start()

    async def stop_listening(self) -> None:
        """Close the microphone; idempotent. What was not answered yet is answered by `commit`."""
        if self._session is not None:
            await self._session.input.stop()

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at ``config.sample_rate``, as it is captured.

        The client VAD or the vendor detects turns in it; with neither, call `commit`.
        Raises `NotConnected`, `AudioError`, `ProviderError`.
        """
        await self._connected().input.push(as_bytes(audio_data))

    async def commit(self) -> None:
        """Have the sound sent so far answered, without waiting for a pause. Raises `ProviderError`."""
        await self._connected().commit()

    async def send_text(self, text: str) -> None:
        """Send a user's message and have it answered. Raises `NotConnected`, `ProviderError`."""
        await self._connected().session.send_text(text)

    async def send_recorded_audio(self, audio_data: bytes, auto_respond: bool = True) -> None:
        """Send a whole recording: raw PCM at ``config.sample_rate``, or a WAV file at any rate.

        It takes the place of sound that was sent before and not answered, and it ends a reply under way.
        Without ``auto_respond`` it is answered by `commit`, or with what follows; a vendor who detects turns
        (``vad_type`` "server") decides itself when to reply. Raises `InvalidRequest` for a broken WAV file,
        `AudioError`, `NotConnected`, `ProviderError`.
        """
        await self._connected().send_whole(as_bytes(audio_data), answer=auto_respond)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cut the reply. What the engine plays itself is flushed, and how much was heard is known.

        A caller that plays the audio itself passes how much of it was played; None means all of it.
        Raises `NotConnected`, `ProviderError`.
        """
        await self._connected().interrupt(played_ms)

    async def text_2_audio_response(self, text: str, timeout: float = 30.0) -> bytes:
        """Send ``text`` and return the whole sound of the reply, PCM at ``config.sample_rate``; not played.

        Raises `DeadlineExceeded` after ``timeout`` seconds, `StreamError` when the reply was broken off or
        had no sound, `NotConnected`, `ProviderError`.
        """
        async with self._asking:
            return await ask_for_sound(self._connected(), text, timeout)

    # --- tools ---------------------------------------------------------------------------------------

    def register_tool(self, function: Tool | Callable[..., Any]) -> Any:
        """Let the model call ``function``: a `Tool`, or any typed function; also a decorator.

        It is offered from the next `connect` on. Raises `InvalidRequest`, also while functions are off.
        """
        if not self.config.enable_functions:
            raise InvalidRequest(
                "this engine calls no functions", hint='set enable_functions=True, or mode="big"'
            )
        made = function if isinstance(function, Tool) else tool(function)
        if made.name in self._tools:
            raise InvalidRequest(f"there are two tools called {made.name}")
        self._tools[made.name] = made
        return function

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Answer a call of a tool that was declared without a handler (``SessionConfig.tools``)."""
        await self._connected().session.send_tool_result(call_id, output)

    # --- what it is and what it did ------------------------------------------------------------------

    @property
    def events(self) -> Bus:
        """The events: ``on``, ``once``, ``off``, history and metrics."""
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
        """What was said, and of the replies what was heard, the oldest first."""
        return self._session.session.history if self._session is not None else ()

    def get_state(self) -> EngineState:
        """Return what the engine does at this moment."""
        return state_of(
            connecting=self._connecting,
            connected=self.is_connected,
            responding=self._session is not None and self._session.session.is_responding,
            listening=self.is_listening,
        )

    def get_metrics(self) -> dict[str, dict[str, float]]:
        """Return rates and times, see `voxd.engine.meter.metrics`; zeros where nothing was measured."""
        call = self._session
        return metrics(
            self._meter,
            call.session.metrics() if call is not None else None,
            playback_latency_ms=call.playback_latency_ms if call is not None else 0.0,
            buffer_health=call.input.buffer_health if call is not None else 1.0,
        )

    async def get_usage(self) -> Usage:
        """Return what all sessions of this engine used, as the vendors reported it."""
        return self._used if self._session is None else self._used + await self._session.session.usage()

    async def estimate_cost(self) -> Cost:
        """Return what that costs in US dollars; ``prices_of`` is "" when no price is known."""
        current = None if self._session is None else await self._session.session.cost()
        return add_costs(self._cost, current) or Cost()

    # --- within --------------------------------------------------------------------------------------

    def _connected(self) -> EngineSession:
        if self._session is None:
            raise NotConnected("the engine is not connected", provider=self.config.provider)
        self._session.require()
        return self._session

    def _new_session(self, config: VoiceEngineConfig) -> EngineSession:
        tools = ToolBox(self._tools.values())
        return EngineSession(config, bus=self._bus, tools=tools, clock=self._clock, meter=self._meter)

    async def _end_session(self) -> None:
        call, self._session = self._session, None
        if call is not None:
            await call.close()
            self._used = self._used + await call.session.usage()
            self._cost = add_costs(self._cost, await call.session.cost())
