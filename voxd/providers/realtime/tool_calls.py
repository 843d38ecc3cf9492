"""Runs the tools a model calls, all of a reply at once, and requests one response when all have a result."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.clock import Clock
from voxd.errors import VoxdError
from voxd.providers.base import BaseProvider
from voxd.providers.events import ErrorOccurred, OnEvent, ToolCallCompleted, ToolCallInvoked, ToolCallsStopped
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.tools import MAX_TOOL_ROUNDS, NOT_RUN, NextRound, ToolBox, ToolRounds
from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

EXTERNAL_LIMIT_S = 60.0
"""How long the application may take for the result of a tool it runs itself."""

NO_RESULT = "error: the tool gave no result in time"
BAD_ARGUMENTS = "error: the arguments are not a JSON object; the tool was not run"


@dataclass(slots=True, eq=False)
class _Call:
    """A call without a result, and the provider that made it."""

    provider: BaseProvider
    event: ToolCallInvoked
    limit: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.event.call_id or ""


class ToolCalls:
    """The calls of a session. Results for a provider that is gone are dropped: its successor made no call.

    The application runs a tool that was declared without a handler, and passes its result to `deliver`.
    `ToolRounds` bounds the calls of a turn: beyond the limit no tool runs, one response without tools is
    requested, and after that ``on_stop`` ends the turn.
    """

    def __init__(
        self,
        tools: ToolBox,
        publish: OnEvent,
        clock: Clock,
        *,
        current: Callable[[], BaseProvider | None],
        responding: Callable[[], bool],
        is_external: Callable[[str], bool],
        on_results: Callable[[], None],
        on_request: Callable[[], None],
        on_stop: Callable[[], None],
        name: Callable[[], str],
        max_rounds: int = MAX_TOOL_ROUNDS,
    ) -> None:
        self._tools = tools
        self._publish = publish
        self._clock = clock
        self._current = current
        self._responding = responding
        self._is_external = is_external
        self._on_results = on_results
        self._on_request = on_request
        self._on_stop = on_stop
        self._name = name
        self._max_rounds = max_rounds
        # Reported, and not decided on: all calls of a response are one round.
        self._new: list[_Call] = []
        self._open: list[_Call] = []
        self._rounds = ToolRounds(max_rounds)
        # Of the calls of the present response.
        self._verdict: NextRound | None = None
        # A response is to be requested when the last result is there.
        self._due = False
        self._tasks = TaskScope("tool calls")

    @property
    def pending(self) -> int:
        """How many calls have no result yet."""
        return len(self._new) + len(self._open)

    def begin_turn(self) -> None:
        """Count the rounds of a new question."""
        self._rounds, self._verdict = ToolRounds(self._max_rounds), None

    def add(self, provider: BaseProvider, call: ToolCallInvoked) -> None:
        """Take ``call``; it runs when all of the response are known, or in the next turn of the loop."""
        # Some servers report a call twice, as an item and with the end of the response.
        if any(each.event == call for each in (*self._new, *self._open) if call.call_id):
            return
        self._new.append(_Call(provider, call))
        if not self._responding():
            self.decide()
        elif len(self._new) == 1:
            asyncio.get_running_loop().call_soon(self.decide)

    def decide(self) -> NextRound | None:
        """Run the calls taken since the last time, or refuse them; return which, None without any."""
        calls, self._new = self._new, []
        if not calls:
            return None
        if self._verdict is None:
            self._verdict = self._rounds.next_round(
                (call.event.function_name, call.event.arguments) for call in calls
            )
            if self._verdict is not NextRound.RUN:
                self._publish(ToolCallsStopped(self._name(), self._rounds.run, self._verdict))
        if self._verdict is NextRound.STOP:
            # No results: some models take each as a request to go on.
            self._due = False
            self._on_stop()
            return self._verdict
        self._due = True
        self._open += calls
        for call in calls:
            if self._verdict is NextRound.RUN:
                self._run(call)
            else:
                self._start(self._deliver, call, NOT_RUN)
        return self._verdict

    async def deliver(self, call_id: str, output: str) -> None:
        """Send the result of a call, and request a response if it was the last one open."""
        call = next((each for each in self._open if each.id == call_id), None)
        if call is not None:
            await self._deliver(call, output)

    def response_over(self) -> None:
        """A response has ended: request the one that had to wait for that."""
        if self._due and not self.pending:
            self._start(self._request)

    def forget_request(self) -> None:
        """Request no response for the open calls: the reply was interrupted. Results are still sent."""
        self._due = False

    def provider_gone(self, provider: BaseProvider) -> None:
        """Drop the calls of ``provider``, which is gone."""
        self._new = [call for call in self._new if call.provider is not provider]
        self._open = [call for call in self._open if call.provider is not provider]
        self._due = self._due and bool(self._open)

    async def close(self) -> None:
        """Cancel every call that runs."""
        await self._tasks.close()
        self._new.clear()
        self._open.clear()
        self._due = False

    def _run(self, call: _Call) -> None:
        is_external = self._is_external(call.event.function_name)
        if isinstance(call.event.arguments, Mapping):
            self._publish(call.event)
        elif is_external:
            # Not published: the application would run the tool.
            self._start(self._deliver, call, BAD_ARGUMENTS)
            return
        else:
            # Malformed arguments go to the tool box only, which reports them to the model.
            self._publish(msgspec.structs.replace(call.event, arguments={}))
        if is_external:
            call.limit = self._start(self._limit, call)
        else:
            self._start(self._output, call)

    async def _output(self, call: _Call) -> None:
        name = call.event.function_name
        result = await self._tools.run(name, call.event.arguments)
        self._publish(ToolCallCompleted(name, call.id, result.ok, result.duration_ms, result.output))
        await self._deliver(call, result.output)

    async def _limit(self, call: _Call) -> None:
        await self._clock.sleep(EXTERNAL_LIMIT_S)
        await self._deliver(call, NO_RESULT)

    async def _deliver(self, call: _Call, output: str) -> None:
        if call not in self._open:
            return
        try:
            # Its successor has never heard of the call.
            if call.provider is self._current():
                await call.provider.send_tool_result(call.id, output)
        finally:
            # Not before the result is sent: a call that ends meanwhile would request the response without it.
            if call in self._open:
                self._open.remove(call)
        if not self.pending:
            self._on_results()
        await self._request()
        await cancel_and_wait(call.limit)

    async def _request(self) -> None:
        provider = self._current()
        # One response for all results; a second request during a response is refused (OpenAI:
        # conversation_already_has_active_response).
        if self.pending or not self._due or self._responding() or provider is None:
            return
        self._due = False
        verdict, self._verdict = self._verdict, None
        self._on_request()
        if verdict is NextRound.ANSWER_WITHOUT_TOOLS:
            await provider.request_answer()
        else:
            await provider.request_response()

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> asyncio.Task[None]:
        return self._tasks.start(self._report_errors(work, *arguments))

    async def _report_errors(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        try:
            with translate_errors(""):
                await work(*arguments)
        except VoxdError as error:
            _log.warning("the result of a tool was not delivered: %s", error)
            self._publish(ErrorOccurred.of(error))
