"""One conversation with a provider: it survives reconnects, replacements and changes of the vendor."""

import random
from collections.abc import Callable, Mapping

import msgspec

from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.events import (
    AudioOutputChunk,
    ConversationEnded,
    ConversationStarted,
    OnEvent,
    OtherEvent,
    ProviderEvent,
    ReplyInterrupted,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextInput,
    TextOutput,
    ToolCallInvoked,
    TurnDetected,
    UsageUpdated,
)
from voxd.providers.facts import facts
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import ProviderTarget, translate_errors
from voxd.providers.realtime.meter import SessionMetrics
from voxd.providers.realtime.reconnect import DEFAULT_RETRIES, ProviderConnection
from voxd.providers.realtime.response_tracker import SESSION_EVENTS, ResponseTracker
from voxd.providers.realtime.tool_calls import ToolCalls
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.providers.usage import Cost, Usage

LONGEST_ANSWER_S = 30.0
"""A reply that has not begun by then is not expected any more: the session may be replaced."""


class Session:
    """One conversation. It reconnects, replaces and switches the provider and keeps the history.

    ``make`` returns a new, unconnected provider; ``name`` is its name in the configuration and ``kind`` its
    vendor (``name`` when ""). Every event goes to ``on_event``, once and complete. ``idle_close_s`` closes an
    unused session; the next `connect` continues the conversation. A lost session is reopened with
    ``retries``. ``jitter`` returns random numbers in 0..1.
    """

    def __init__(
        self,
        make: Callable[[], BaseProvider],
        *,
        name: str,
        config: SessionConfig,
        tools: ToolBox,
        on_event: OnEvent,
        clock: Clock,
        kind: str = "",
        idle_close_s: float | None = None,
        retries: int = DEFAULT_RETRIES,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._tools = tools
        self._publish = on_event
        self._clock = clock
        self._tracker = ResponseTracker()
        self._calls = ToolCalls(
            tools,
            on_event,
            current=lambda: self._connection.provider,
            responding=lambda: self._tracker.responding,
            is_external=self._is_external,
            on_request=self._await_reply,
        )
        # A voice of another vendor is replaced by the one most like it.
        target = ProviderTarget(make, name, kind or name, _with_voice_of(config, kind or name))
        self._connection = ProviderConnection(
            target,
            self,
            publish=on_event,
            clock=clock,
            idle_close_s=idle_close_s,
            retries=retries,
            jitter=jitter,
        )
        # While we interrupt, the vendor's own report of it is not published a second time.
        self._interrupting = False
        # From the first question to `close`: for the events of a conversation.
        self._conversing = False
        # A reply was requested and has not begun; 0 when none is due.
        self._awaited_until_s = 0.0

    @property
    def name(self) -> str:
        """The provider's name in the configuration."""
        return self._connection.target.name

    @property
    def config(self) -> SessionConfig:
        """The configuration of the session, without the tools of the tool box."""
        return self._connection.target.config

    @property
    def provider(self) -> BaseProvider | None:
        """The open provider, or None."""
        return self._connection.provider

    @property
    def is_connected(self) -> bool:
        """Whether input is accepted now."""
        return self._connection.is_open

    @property
    def is_responding(self) -> bool:
        """Whether a reply is expected or in progress."""
        return self._tracker.responding or self._awaiting

    @property
    def is_quiet(self) -> bool:
        """Whether the user is silent, no reply is due or in progress, and no tool runs."""
        return not (self.is_responding or self._tracker.speaking or self._calls.pending)

    @property
    def history(self) -> tuple[HistoryMessage, ...]:
        """The messages so far, of the replies what was played, the oldest first."""
        return self._tracker.history.messages

    async def connect(self, retry_count: int = DEFAULT_RETRIES) -> None:
        """Open a session with the history, unless one is open; waits longer before each retry.

        Raises `VoxdError`: a permanent error, such as `AuthenticationError`, at once, a temporary one after
        ``retry_count`` retries, and the last one again until the end of a wait that the vendor requested.
        """
        await self._connection.connect(retry_count)

    async def close(self) -> None:
        """End the conversation and close the session; idempotent. The history is kept."""
        await self._calls.close()
        await self._connection.close()
        if self._conversing:
            self._conversing = False
            self._publish(ConversationEnded(self._tracker.turns))

    async def switch(
        self,
        make: Callable[[], BaseProvider],
        name: str,
        config: SessionConfig | None = None,
        *,
        kind: str = "",
        reason: str = "requested",
    ) -> None:
        """Continue with another provider, the same history, and the voice most like the present one.

        A reply in progress is cut: call `interrupt` before, to keep only what was played of it. Raises
        `ProviderError` when the other cannot be opened; the present one then stays.
        """
        kind = kind or name
        if config is None:
            config = msgspec.structs.replace(self.config, voice=facts().voice_for(self.config.voice, kind))
        target = ProviderTarget(make, name, kind, _with_voice_of(config, kind))
        await self._connection.switch(target, reason)

    async def configure(self, config: SessionConfig) -> None:
        """Apply ``config`` now and to every later session. Raises `ProviderError`.

        ``settings.changed`` names the fields that differ from before.
        """
        before = self.config
        await self._connection.configure(_with_voice_of(config, self._connection.target.kind))
        names = config.__struct_fields__
        changed = tuple(name for name in names if getattr(before, name) != getattr(self.config, name))
        if changed:
            self._publish(OtherEvent(E.SETTINGS_CHANGED, {"changed": changed}))

    async def send_audio(self, pcm: bytes) -> None:
        """Send mono s16le at the provider's ``input_rate_hz``. Raises `NotConnected`, `ProviderError`."""
        # An open microphone sends all the time: with server VAD that is not use, or no session would be idle.
        provider = self._connection.use(counts=self.config.turn_detection == "client")
        self._connection.meter.sent(pcm, provider.capabilities.input_rate_hz)
        with translate_errors(self.name):
            await provider.send_audio(pcm)

    async def send_text(self, text: str) -> None:
        """Send a user's message and request a response. Raises `NotConnected`, `ProviderError`."""
        provider = self._connection.use()
        self._tracker.begin_turn(text)
        self._begin_question()
        self._publish(TextInput(text))
        with translate_errors(self.name):
            await provider.send_text(text)

    async def commit(self) -> None:
        """End the user's turn and request a response. Nothing to do where the provider detects turns.

        Raises `NotConnected`, `ProviderError`, and `AudioError` when too little audio was sent.
        """
        provider = self._connection.use()
        if self.config.turn_detection != "client":
            return
        self._tracker.begin_turn()
        self._begin_question()
        try:
            with translate_errors(self.name):
                await provider.commit()
        except VoxdError:
            # The question was refused, as too short for instance: it never took place.
            self._tracker.withdraw_turn()
            self._awaited_until_s = 0.0
            raise

    async def clear_audio(self) -> None:
        """Discard audio that was sent and not committed. Raises `NotConnected`, `ProviderError`."""
        provider = self._connection.use()
        with translate_errors(self.name):
            await provider.clear_audio()

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cut the reply; ``played_ms`` of the last one's audio were played (None: all that has arrived).

        ``conversation.interrupted`` is published before the provider is interrupted, also for a reply that
        has not begun; its ``response_id`` is then None. Raises `NotConnected`, `ProviderError`.
        """
        provider = self._connection.use()
        self._calls.forget_request()
        # A reply that has not begun is interrupted too, and has no id yet.
        awaited, self._awaited_until_s = self._awaiting, 0.0
        if self._tracker.interrupt(played_ms) or awaited:
            response_id = None if awaited else self._tracker.response_id
            self._publish(ReplyInterrupted(played_ms, response_id))
        self._interrupting = True
        try:
            with translate_errors(self.name):
                await provider.interrupt(played_ms)
        finally:
            self._interrupting = False

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a tool that is not in the tool box. Raises `NotConnected`, `ProviderError`."""
        self._connection.use()
        with translate_errors(self.name):
            await self._calls.deliver(call_id, output)

    def forget(self) -> None:
        """Drop the history; an open session of the provider still holds it."""
        self._tracker.history.clear()

    async def usage(self) -> Usage:
        """Return what all sessions together used."""
        return await self._connection.meter.usage(self._connection.providers)

    async def cost(self) -> Cost | None:
        """Return what that costs, None when no price is known."""
        return await self._connection.meter.cost(self._connection.providers)

    def metrics(self) -> SessionMetrics:
        """Return times and counters."""
        return self._connection.meter.metrics(
            self._clock.monotonic(), is_open=self.is_connected, late_events=self._tracker.late_events
        )

    def fit_config(self, provider: BaseProvider, config: SessionConfig) -> SessionConfig:
        """Return ``config`` with our tools, or without any for a provider that cannot call them."""
        if not provider.capabilities.tools:
            return msgspec.structs.replace(config, tools=())
        # The application's tool of the same name wins: vendors refuse two of one name.
        declared = {each.name for each in config.tools}
        ours = [each for each in self._tools.specs() if each.name not in declared]
        return msgspec.structs.replace(config, tools=(*config.tools, *ours))

    def receive(self, event: ProviderEvent) -> None:
        """Take an event of the open provider and publish it, unless it is late or the session's own."""
        provider, meter = self._connection.provider, self._connection.meter
        is_own = event.type in SESSION_EVENTS or (self._interrupting and isinstance(event, ReplyInterrupted))
        if is_own or provider is None or not self._tracker.take(event):
            return
        if isinstance(event, ResponseStarted | TextOutput | AudioOutputChunk):
            self._awaited_until_s = 0.0
        match event:
            case AudioOutputChunk():
                meter.reply_arrived(self._clock.monotonic())
                meter.received(event.audio_data, event.duration_ms)
            case TextOutput():
                meter.reply_arrived(self._clock.monotonic())
            case TurnDetected(speaking=False):
                self._begin_question()
            case UsageUpdated():
                # The vendor counts one session, we count the conversation.
                event = UsageUpdated(meter.total(event.usage), self.name)
        self._publish(_with_object(event) if isinstance(event, ToolCallInvoked) else event)
        match event:
            case ToolCallInvoked():
                # After the event was published, so that its subscribers see the call before its result.
                self._calls.start(provider, event)
            case ResponseCompleted():
                self._calls.response_over()
            case ResponseCancelled():
                self._calls.forget_request()

    def provider_gone(self, provider: BaseProvider, reason: str) -> None:
        """Drop the calls of ``provider``, which is gone, and a reply in progress: it will not come."""
        self._calls.provider_gone(provider)
        self._awaited_until_s = 0.0
        response_id = self._tracker.response_id
        if self._tracker.provider_gone():
            self._publish(ResponseCancelled(response_id, reason))

    def _is_external(self, name: str) -> bool:
        return name not in self._tools and any(each.name == name for each in self.config.tools)

    @property
    def _awaiting(self) -> bool:
        return self._clock.monotonic() < self._awaited_until_s

    def _await_reply(self) -> None:
        self._awaited_until_s = self._clock.monotonic() + LONGEST_ANSWER_S

    def _begin_question(self) -> None:
        self._await_reply()
        self._connection.meter.question_ended(self._clock.monotonic())
        if not self._conversing:
            self._conversing = True
            self._publish(ConversationStarted())


def _with_voice_of(config: SessionConfig, kind: str) -> SessionConfig:
    """Return ``config`` with the voice of ``kind`` most like its own, or its own where none is known."""
    voice = facts().voice_for(config.voice, kind) or config.voice
    return msgspec.structs.replace(config, voice=voice)


def _with_object(call: ToolCallInvoked) -> ToolCallInvoked:
    """Return ``call`` as it is published: malformed arguments go to the tool box only, which reports them."""
    is_object = isinstance(call.arguments, Mapping)
    return call if is_object else msgspec.structs.replace(call, arguments={})
