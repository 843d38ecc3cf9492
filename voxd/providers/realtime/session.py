"""A conversation with a provider, over as many sessions and vendors as it takes."""

import random
from collections.abc import Callable, Mapping

import msgspec

from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider, ProviderEvent
from voxd.providers.facts import facts
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import ProviderTarget, translate_errors
from voxd.providers.realtime.meter import SessionMetrics
from voxd.providers.realtime.reconnect import DEFAULT_RETRIES, ProviderConnection
from voxd.providers.realtime.response_tracker import REPLY_STARTS, SESSION_EVENTS, ResponseTracker, sound_ms
from voxd.providers.realtime.tool_calls import ToolCalls
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.providers.usage import Cost, Usage

LONGEST_ANSWER_S = 30.0
"""A reply that has not begun by then is not waited for any more: the session may be replaced."""


class Session:
    """One conversation. It reconnects, rotates and switches the provider without forgetting what was said.

    ``make`` returns a new, unconnected provider; ``name`` is its name in the configuration and ``kind`` its
    vendor (``name`` when ""). Everything that happens is told by ``emit``, with the data of `EVENT_TYPES`.
    ``idle_close_s`` closes a session nobody uses; the next `connect` goes on with the conversation. One
    that is lost is opened again with ``retries``. ``jitter`` returns random numbers in 0..1.
    """

    def __init__(
        self,
        make: Callable[[], BaseProvider],
        *,
        name: str,
        config: SessionConfig,
        tools: ToolBox,
        emit: Emit,
        clock: Clock,
        kind: str = "",
        idle_close_s: float | None = None,
        retries: int = DEFAULT_RETRIES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tools = tools
        self._emit = emit
        self._clock = clock
        self._exchange = ResponseTracker()
        self._calls = ToolCalls(
            tools,
            emit,
            current=lambda: self._link.provider,
            responding=lambda: self._exchange.responding,
            is_callers=self._is_callers,
            on_request=self._await_reply,
        )
        target = ProviderTarget(make, name, kind or name, _with_voice_of(config, kind or name))
        self._link = ProviderConnection(
            target, self, emit=emit, clock=clock, idle_close_s=idle_close_s, retries=retries, jitter=jitter
        )
        self._interrupting = False
        self._conversing = False
        self._awaited_until_s = 0.0

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self._link.target.name

    @property
    def config(self) -> SessionConfig:
        """What the session was told, without the tools of the tool box."""
        return self._link.target.config

    @property
    def provider(self) -> BaseProvider | None:
        """The open provider, None when there is none."""
        return self._link.provider

    @property
    def is_connected(self) -> bool:
        """Whether input is accepted now."""
        return self._link.is_open

    @property
    def is_responding(self) -> bool:
        """Whether a reply is awaited or on its way."""
        return self._exchange.responding or self._awaiting

    @property
    def is_quiet(self) -> bool:
        """Whether nobody speaks, no reply is on its way, and no tool runs."""
        return not (self.is_responding or self._exchange.speaking or self._calls.pending)

    @property
    def history(self) -> tuple[HistoryMessage, ...]:
        """What was said, and of the replies what was heard, the oldest first."""
        return self._exchange.history.lines

    async def connect(self, retry_count: int = DEFAULT_RETRIES) -> None:
        """Open a session that knows the history, unless one is open; waits longer before each retry.

        Raises faults of our own, such as `AuthenticationError`, at once, any that may pass after
        ``retry_count`` retries; again, without asking, while a vendor wants us to stay away.
        """
        await self._link.connect(retry_count)

    async def close(self) -> None:
        """End the conversation and close the session; idempotent. The history is kept."""
        await self._calls.close()
        await self._link.close()
        if self._conversing:
            self._conversing = False
            self._emit(E.CONVERSATION_ENDED, turns=self._exchange.turns)

    async def switch(
        self,
        make: Callable[[], BaseProvider],
        name: str,
        config: SessionConfig | None = None,
        *,
        kind: str = "",
        reason: str = "requested",
    ) -> None:
        """Go on with another provider, the same history, and the voice most like the one so far.

        A reply under way is cut: call `interrupt` before, to remember only what was heard of it. Raises
        `ProviderError` when the other cannot be had; this one then goes on.
        """
        kind = kind or name
        if config is None:
            config = msgspec.structs.replace(self.config, voice=facts().voice_for(self.config.voice, kind))
        target = ProviderTarget(make, name, kind, _with_voice_of(config, kind))
        await self._link.switch(target, reason)

    async def configure(self, config: SessionConfig) -> None:
        """Apply ``config`` now and to every later session. Raises `ProviderError`.

        ``settings.changed`` names the fields that differ from before.
        """
        before = self.config
        await self._link.configure(_with_voice_of(config, self._link.target.kind))
        names = config.__struct_fields__
        changed = tuple(name for name in names if getattr(before, name) != getattr(self.config, name))
        if changed:
            self._emit(E.SETTINGS_CHANGED, changed=changed)

    async def send_audio(self, pcm: bytes) -> None:
        """Send mono s16le at the provider's ``input_rate_hz``. Raises `NotConnected`, `ProviderError`."""
        # A microphone that is always open says nothing by that; a session must still find a quiet moment.
        provider = self._link.use(asking=self.config.turn_detection == "client")
        self._link.meter.sent(pcm, provider.capabilities.input_rate_hz)
        with translate_errors(self.name):
            await provider.send_audio(pcm)

    async def send_text(self, text: str) -> None:
        """Send a user's message and ask for a response. Raises `NotConnected`, `ProviderError`."""
        provider = self._link.use()
        self._exchange.asked(text)
        self._ask()
        self._emit(E.TEXT_INPUT, text=text)
        with translate_errors(self.name):
            await provider.send_text(text)

    async def commit(self) -> None:
        """The user has finished speaking: ask for the answer. Nothing to do where the provider finds turns.

        Raises `NotConnected`, `ProviderError`, and `AudioError` when too little was said.
        """
        provider = self._link.use()
        if self.config.turn_detection != "client":
            return
        self._exchange.asked()
        self._ask()
        try:
            with translate_errors(self.name):
                await provider.commit()
        except VoxdError:
            self._exchange.not_asked()
            self._awaited_until_s = 0.0
            raise

    async def clear_audio(self) -> None:
        """Forget sound that was sent and not committed. Raises `NotConnected`, `ProviderError`."""
        provider = self._link.use()
        with translate_errors(self.name):
            await provider.clear_audio()

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cut the reply; of the last one's sound ``played_ms`` were heard (None: all that has come).

        ``conversation.interrupted`` is emitted at once, before the provider is told, also for a reply that
        has not begun; its ``response_id`` is then None. Raises `NotConnected`, `ProviderError`.
        """
        provider = self._link.use()
        self._calls.forget_request()
        awaited, self._awaited_until_s = self._awaiting, 0.0
        if self._exchange.interrupt(played_ms) or awaited:
            response_id = None if awaited else self._exchange.response_id
            self._emit(E.CONVERSATION_INTERRUPTED, played_ms=played_ms, response_id=response_id)
        self._interrupting = True
        try:
            with translate_errors(self.name):
                await provider.interrupt(played_ms)
        finally:
            self._interrupting = False

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Answer a call of a tool that is not in the tool box. Raises `NotConnected`, `ProviderError`."""
        self._link.use()
        with translate_errors(self.name):
            await self._calls.answer(call_id, output)

    def forget(self) -> None:
        """Forget what was said; an open session of the provider still knows it."""
        self._exchange.history.clear()

    async def usage(self) -> Usage:
        """Return what all sessions together used."""
        return await self._link.meter.usage(self._link.providers)

    async def cost(self) -> Cost | None:
        """Return what that costs, None when no price is known."""
        return await self._link.meter.cost(self._link.providers)

    def metrics(self) -> SessionMetrics:
        """Return times and counters."""
        return self._link.meter.metrics(
            self._clock.monotonic(), is_open=self.is_connected, late_events=self._exchange.late_events
        )

    def fitted(self, provider: BaseProvider, config: SessionConfig) -> SessionConfig:
        """Return ``config`` with our tools, or without any for a provider that cannot call them."""
        if not provider.capabilities.tools:
            return msgspec.structs.replace(config, tools=())
        declared = {each.name for each in config.tools}
        ours = [each for each in self._tools.specs() if each.name not in declared]
        return msgspec.structs.replace(config, tools=(*config.tools, *ours))

    def hear(self, event: ProviderEvent) -> None:
        """Take an event of the open provider and pass it on, unless it is late or ours to tell."""
        own = event.type in SESSION_EVENTS or (
            self._interrupting and event.type is E.CONVERSATION_INTERRUPTED
        )
        provider = self._link.provider
        if own or provider is None or not self._exchange.take(event):
            return
        data, meter = event.data, self._link.meter
        if event.type in REPLY_STARTS:
            self._awaited_until_s = 0.0
        match event.type:
            case E.AUDIO_OUTPUT_CHUNK:
                meter.answered(self._clock.monotonic())
                meter.received(data["audio_data"], sound_ms(event))
            case E.TEXT_OUTPUT:
                meter.answered(self._clock.monotonic())
            case E.CONVERSATION_TURN_DETECTED if not data.get("speaking"):
                self._ask()
            case E.USAGE_UPDATED:
                data = {**data, "provider": self.name, "usage": meter.total(data["usage"])}
            case E.FUNCTION_CALL_INVOKED if not isinstance(data["arguments"], Mapping):
                # Text that is no JSON object: the tool box tells the model, everybody else sees none.
                data = {**data, "arguments": {}}
        self._emit(event.type, **data)
        match event.type:
            case E.FUNCTION_CALL_INVOKED:
                self._calls.start(provider, event.data)
            case E.RESPONSE_COMPLETED:
                self._calls.response_over()
            case E.RESPONSE_CANCELLED:
                self._calls.forget_request()

    def cut(self, provider: BaseProvider, reason: str) -> None:
        """``provider`` is gone: its calls are nobody's, and a reply that was on its way will not come."""
        self._calls.dropped(provider)
        self._awaited_until_s = 0.0
        response_id = self._exchange.response_id
        if self._exchange.broken():
            self._emit(E.RESPONSE_CANCELLED, response_id=response_id, reason=reason)

    def _is_callers(self, name: str) -> bool:
        return name not in self._tools and any(each.name == name for each in self.config.tools)

    @property
    def _awaiting(self) -> bool:
        return self._clock.monotonic() < self._awaited_until_s

    def _await_reply(self) -> None:
        self._awaited_until_s = self._clock.monotonic() + LONGEST_ANSWER_S

    def _ask(self) -> None:
        self._await_reply()
        self._link.meter.asked(self._clock.monotonic())
        if not self._conversing:
            self._conversing = True
            self._emit(E.CONVERSATION_STARTED)


def _with_voice_of(config: SessionConfig, kind: str) -> SessionConfig:
    """Return ``config`` with the voice of ``kind`` most like its own, or its own where none is known."""
    voice = facts().voice_for(config.voice, kind) or config.voice
    return msgspec.structs.replace(config, voice=voice)
