"""One conversation with a provider: it survives reconnects, replacements and changes of the vendor."""

import asyncio
import logging
import math
import random
from collections.abc import Callable

import msgspec

from voxd.clock import Clock
from voxd.errors import NoAnswer, ProviderError, VoxdError, isolate
from voxd.events import EventType as E
from voxd.providers.arguments import read_arguments, resolve_name
from voxd.providers.base import BaseProvider
from voxd.providers.events import (
    AudioOutputChunk,
    ConversationEnded,
    ConversationStarted,
    ErrorOccurred,
    OnEvent,
    OtherEvent,
    ProviderEvent,
    ReplyInterrupted,
    ResponseCancelled,
    ResponseCompleted,
    TextInput,
    TextOutput,
    ToolCallInvoked,
    TurnDetected,
    UsageUpdated,
)
from voxd.providers.facts import facts
from voxd.providers.history import HistoryMessage
from voxd.providers.realtime.connect import ProviderTarget, translate_errors, with_voice_of
from voxd.providers.realtime.meter import SessionMetrics
from voxd.providers.realtime.reconnect import DEFAULT_RETRIES, ProviderConnection
from voxd.providers.realtime.response_guard import STALL_LIMIT_S, ResponseGuard
from voxd.providers.realtime.response_tracker import SESSION_EVENTS, ResponseTracker
from voxd.providers.realtime.sound_check import SoundCheck
from voxd.providers.realtime.tool_calls import ToolCalls
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import MAX_TOOL_ROUNDS, NextRound, ToolBox
from voxd.providers.usage import Cost, Usage
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

_TOOL_LOOP = "tool_loop"


class Session:
    """One conversation. It reconnects, replaces and switches the provider and keeps the history.

    ``make`` returns a new, unconnected provider; ``name`` is its name in the configuration and ``kind`` its
    vendor (``name`` when ""). Every event goes to ``on_event``, once and complete; every response ends as
    `ResponseGuard` says. ``idle_close_s`` closes an unused session; the next `connect` continues the
    conversation. A lost session is reopened with ``retries``. ``jitter`` returns random numbers in 0..1.
    ``max_tool_rounds`` is how many responses of one turn may call tools.
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
        max_tool_rounds: int = MAX_TOOL_ROUNDS,
    ) -> None:
        self._tools = tools
        self._publish = on_event
        self._clock = clock
        self._tracker = ResponseTracker()
        self._guard = ResponseGuard()
        self._sound = SoundCheck()
        self._tasks = TaskScope(f"responses of {name}")
        self._watch: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._watched_s = math.inf
        self._calls = ToolCalls(
            tools,
            on_event,
            clock,
            current=lambda: self._connection.provider,
            responding=lambda: self._tracker.responding,
            is_external=self._is_external,
            on_results=lambda: self._guard.results_sent(self._clock.monotonic()),
            on_request=lambda: self._await_reply(owed=True),
            on_stop=self._stop_tools,
            name=lambda: self.name,
            max_rounds=max_tool_rounds,
        )
        # A voice of another vendor is replaced by the one most like it.
        target = ProviderTarget(make, name, kind or name, with_voice_of(config, kind or name))
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
    def is_answer_whole(self) -> bool:
        """Whether the response in progress lacks nothing but its end, for which the session waits itself."""
        return self._guard.is_whole

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
        await self._tasks.close()
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
        target = ProviderTarget(make, name, kind, with_voice_of(config, kind))
        await self._connection.switch(target, reason)

    async def configure(self, config: SessionConfig) -> None:
        """Apply ``config`` now and to every later session. Raises `ProviderError`.

        ``settings.changed`` names the fields that differ from before.
        """
        before = self.config
        await self._connection.configure(with_voice_of(config, self._connection.target.kind))
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
        await self._stopped()
        provider = self._connection.use()
        self._tracker.begin_turn(text)
        self._begin_question(owed=True)
        self._publish(TextInput(text))
        try:
            with translate_errors(self.name):
                await provider.send_text(text)
        except VoxdError:
            # The request was refused: no response to it will begin.
            self._guard.withdraw()
            raise

    async def speak_text(self, text: str) -> None:
        """Have ``text`` said word for word, as a response without a question.

        A provider that does not declare whether it can gets it as a message.
        Raises `ProviderError` (code ``cannot_speak_text``) where the provider cannot, `NotConnected`.
        """
        provider = self._connection.use()
        if provider.capabilities.speaks_text is False:
            raise ProviderError(
                f"{self.name} cannot say a given text, it only answers",
                provider=self.name,
                code="cannot_speak_text",
                hint="use ask() for a spoken answer, or a provider with text to speech, such as a pipeline",
            )
        if provider.capabilities.speaks_text is None:
            await self.send_text(text)
            return
        self._tracker.begin_reply()
        self._await_reply(owed=True)
        with translate_errors(self.name):
            await provider.speak_text(text)

    async def commit(self) -> None:
        """End the user's turn and request a response. Nothing to do where the provider detects turns.

        Raises `NotConnected`, `ProviderError`, and `AudioError` when too little audio was sent.
        """
        await self._stopped()
        provider = self._connection.use()
        if self.config.turn_detection != "client":
            return
        self._tracker.begin_turn()
        self._begin_question(owed=True)
        try:
            with translate_errors(self.name):
                await provider.commit()
        except VoxdError:
            # The question was refused, as too short for instance: it never took place.
            self._tracker.withdraw_turn()
            self._guard.withdraw()
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
        awaited = self._awaiting
        self._guard.interrupt(self._clock.monotonic())
        if self._tracker.interrupt(played_ms) or awaited:
            response_id = None if awaited else self._tracker.response_id
            self._publish(ReplyInterrupted(played_ms, response_id))
        self._interrupting = True
        try:
            with translate_errors(self.name):
                await provider.interrupt(played_ms)
        finally:
            self._interrupting = False
            self._watch_responses()

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
            self._clock.monotonic(),
            is_open=self.is_connected,
            late_events=self._tracker.late_events + self._guard.late_events,
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
        provider = self._connection.provider
        is_own = event.type in SESSION_EVENTS or (self._interrupting and isinstance(event, ReplyInterrupted))
        if is_own or provider is None:
            return
        for checked in self._sound.take(event):
            for each in self._guard.take(checked, self._clock.monotonic()):
                self._accept(provider, each)
        self._watch_responses()

    def _accept(self, provider: BaseProvider, event: ProviderEvent) -> None:
        meter = self._connection.meter
        if not self._tracker.take(event):
            return
        match event:
            case AudioOutputChunk():
                meter.reply_arrived(self._clock.monotonic())
                meter.received(event.audio_data, event.duration_ms)
            case TextOutput():
                meter.reply_arrived(self._clock.monotonic())
            case TurnDetected(speaking=False):
                self._begin_question(owed=False)
            case UsageUpdated():
                # The vendor counts one session, we count the conversation.
                event = UsageUpdated(meter.total(event.usage), self.name)
            case OtherEvent(type=E.RATE_LIMITED):
                # A provider may know only its vendor.
                event = OtherEvent(event.type, {**event.data, "provider": self.name})
            case ToolCallInvoked():
                # It is published when it runs.
                self._calls.add(provider, self._readable(event))
                return
            case ResponseCompleted() if self._calls.decide() is NextRound.STOP:
                event = ResponseCancelled(event.response_id, _TOOL_LOOP)
        self._publish(event)
        match event:
            case ResponseCompleted():
                self._calls.response_over()
            case ResponseCancelled():
                self._calls.forget_request()

    def provider_gone(self, provider: BaseProvider, reason: str) -> None:
        """Drop the calls of ``provider``, which is gone, and a reply in progress: it will not come."""
        self._calls.provider_gone(provider)
        self._guard.drop()
        response_id = self._tracker.response_id
        if self._tracker.provider_gone():
            self._publish(ResponseCancelled(response_id, reason))

    def _watch_responses(self) -> None:
        """Wait for the time at which a response is overdue."""
        deadline_s = self._guard.deadline_s
        if deadline_s is None or (self._watched_s <= deadline_s and self._watch and not self._watch.done()):
            return
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = self._tasks.start(self._end_overdue(), name="overdue response")

    async def _end_overdue(self) -> None:
        while (deadline_s := self._guard.deadline_s) is not None:
            now_s = self._clock.monotonic()
            if self._calls.pending:
                # A tool has a limit of its own; the response goes on after it.
                deadline_s = max(deadline_s, now_s + STALL_LIMIT_S)
            self._watched_s = deadline_s
            if now_s < deadline_s:
                await self._clock.sleep(deadline_s - now_s)
                continue
            provider = self._connection.provider
            overdue = self._guard.expire(now_s)
            if provider is None:
                return
            _log.warning("%s did not end a response in time", self.name)
            for event in overdue:
                self._accept(provider, event)
            with isolate(lambda error: _log.info("a response could not be abandoned: %s", error)):
                await provider.abandon_response()

    def _stop_tools(self) -> None:
        """End the turn: the model called tools again although it was to answer."""
        self._guard.withdraw()
        msg = "the model called one tool after another and did not answer"
        self._publish(ErrorOccurred.of(NoAnswer(msg, code=_TOOL_LOOP)))
        if (provider := self._connection.provider) is not None:
            # A response of which only the calls are known so far has to end too.
            self._stopping = self._tasks.start(provider.interrupt(None), name="stop tools")

    async def _stopped(self) -> None:
        """Wait until the last turn is stopped: it must not stop the next one."""
        if self._stopping is not None:
            await asyncio.wait([self._stopping])

    def _readable(self, call: ToolCallInvoked) -> ToolCallInvoked:
        known = [each.name for each in (*self.config.tools, *self._tools.specs())]
        name = resolve_name(call.function_name, known)
        return ToolCallInvoked(name, read_arguments(call.arguments), call.call_id)

    def _is_external(self, name: str) -> bool:
        return name not in self._tools and any(each.name == name for each in self.config.tools)

    @property
    def _awaiting(self) -> bool:
        return self._guard.is_awaiting(self._clock.monotonic())

    def _await_reply(self, *, owed: bool) -> None:
        self._guard.ask(self._clock.monotonic(), owed=owed)
        self._watch_responses()

    def _begin_question(self, *, owed: bool) -> None:
        self._calls.begin_turn()
        self._await_reply(owed=owed)
        self._connection.meter.question_ended(self._clock.monotonic())
        if not self._conversing:
            self._conversing = True
            self._publish(ConversationStarted())
