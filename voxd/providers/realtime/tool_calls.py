"""Runs the tools a model calls, all of a reply at once, and requests one response when all have a result."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from voxd.errors import VoxdError
from voxd.providers.base import BaseProvider
from voxd.providers.events import ErrorOccurred, OnEvent, ToolCallCompleted, ToolCallInvoked
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.tools import ToolBox
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)


class ToolCalls:
    """The calls of a session. Results for a provider that is gone are dropped: its successor made no call.

    The application runs a tool that was declared without a handler, and passes its result to `deliver`.
    """

    def __init__(
        self,
        tools: ToolBox,
        publish: OnEvent,
        *,
        current: Callable[[], BaseProvider | None],
        responding: Callable[[], bool],
        is_external: Callable[[str], bool],
        on_request: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._publish = publish
        self._current = current
        self._responding = responding
        self._is_external = is_external
        self._on_request = on_request
        self._open: dict[str, BaseProvider] = {}
        # A response is to be requested when the last result is there.
        self._due = False
        self._tasks = TaskScope("tool calls")

    @property
    def pending(self) -> int:
        """How many calls have no result yet."""
        return len(self._open)

    def start(self, provider: BaseProvider, call: ToolCallInvoked) -> None:
        """Run ``call``."""
        call_id = call.call_id or ""
        self._open[call_id] = provider
        self._due = True
        if not self._is_external(call.function_name):
            self._tasks.start(self._report_errors(self._run(call, call_id)))

    async def deliver(self, call_id: str, output: str) -> None:
        """Send the result of a call, and request a response if it was the last one open."""
        provider = self._open.get(call_id)
        if provider is None:
            return
        # Its successor has never heard of the call.
        if provider is self._current():
            await provider.send_tool_result(call_id, output)
        # Not before the result is sent: a call that ends meanwhile would request the response without it.
        self._open.pop(call_id, None)
        await self._request()

    def response_over(self) -> None:
        """A response has ended: request the one that had to wait for that."""
        if self._due and not self._open:
            self._tasks.start(self._report_errors(self._request()))

    def forget_request(self) -> None:
        """Request no response for the open calls: the reply was interrupted. Results are still sent."""
        self._due = False

    def provider_gone(self, provider: BaseProvider) -> None:
        """Drop the calls of ``provider``, which is gone."""
        self._open = {call: owner for call, owner in self._open.items() if owner is not provider}
        self._due = self._due and bool(self._open)

    async def close(self) -> None:
        """Cancel every call that runs."""
        await self._tasks.close()
        self._open.clear()
        self._due = False

    async def _run(self, call: ToolCallInvoked, call_id: str) -> None:
        result = await self._tools.run(call.function_name, call.arguments)
        self._publish(
            ToolCallCompleted(call.function_name, call_id, result.ok, result.duration_ms, result.output)
        )
        await self.deliver(call_id, result.output)

    async def _request(self) -> None:
        provider = self._current()
        # One response for all results; a second request during a response is refused (OpenAI:
        # conversation_already_has_active_response).
        if self._open or not self._due or self._responding() or provider is None:
            return
        self._due = False
        self._on_request()
        await provider.request_response()

    async def _report_errors(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            with translate_errors(""):
                await work
        except VoxdError as error:
            _log.warning("the result of a tool was not delivered: %s", error)
            self._publish(ErrorOccurred.of(error))
