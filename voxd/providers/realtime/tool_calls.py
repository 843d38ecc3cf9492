"""Runs the tools a model calls, all of a reply at once, and asks for one response when all are answered."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from voxd.errors import VoxdError
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.tools import ToolBox

_log = logging.getLogger(__name__)


class ToolCalls:
    """The calls of a session. Results for a provider that is gone are dropped: nobody there asked.

    A tool that was declared without a handler is the caller's own: he answers it by `answer`.
    """

    def __init__(
        self,
        tools: ToolBox,
        emit: Emit,
        *,
        current: Callable[[], BaseProvider | None],
        responding: Callable[[], bool],
        is_callers: Callable[[str], bool],
        on_request: Callable[[], None],
    ) -> None:
        self._tools = tools
        self._emit = emit
        self._current = current
        self._responding = responding
        self._is_callers = is_callers
        self._on_request = on_request
        self._open: dict[str, BaseProvider] = {}
        self._due = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """How many calls have not been answered."""
        return len(self._open)

    def start(self, provider: BaseProvider, data: Mapping[str, Any]) -> None:
        """Run the call of a ``function.invoked``."""
        name, call_id = data["function_name"], data.get("call_id") or ""
        self._open[call_id] = provider
        self._due = True
        if not self._is_callers(name):
            self._spawn(self._run(provider, name, data.get("arguments", {}), call_id))

    async def answer(self, call_id: str, output: str) -> None:
        """Send the result of a call, and ask for a response if it was the last one open."""
        provider = self._open.get(call_id)
        if provider is None:
            return
        if provider is self._current():
            await provider.send_tool_result(call_id, output)
        # Only now, or a call that ends meanwhile asks for the response before this result is there.
        self._open.pop(call_id, None)
        await self._request()

    def response_over(self) -> None:
        """A response has ended: one that had to wait for that is asked for now."""
        if self._due and not self._open:
            self._spawn(self._request())

    def forget_request(self) -> None:
        """Results still go out, but the user has moved on: no response is asked for them."""
        self._due = False

    def dropped(self, provider: BaseProvider) -> None:
        """``provider`` is gone and with it the calls it made."""
        self._open = {call: owner for call, owner in self._open.items() if owner is not provider}
        self._due = self._due and bool(self._open)

    async def close(self) -> None:
        """Give up what runs."""
        for task in (tasks := [task for task in self._tasks if task is not asyncio.current_task()]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._open.clear()
        self._due = False

    async def _run(self, provider: BaseProvider, name: str, arguments: Any, call_id: str) -> None:
        result = await self._tools.run(name, arguments)
        self._emit(
            E.FUNCTION_CALL_COMPLETED,
            function_name=name,
            call_id=call_id,
            ok=result.ok,
            duration_ms=result.duration_ms,
            output=result.output,
        )
        await self.answer(call_id, result.output)

    async def _request(self) -> None:
        provider = self._current()
        if self._open or not self._due or self._responding() or provider is None:
            return
        self._due = False
        self._on_request()
        await provider.request_response()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            with translate_errors(""):
                await work
        except VoxdError as error:
            _log.warning("the result of a tool was not delivered: %s", error)
            self._emit(E.ERROR_GENERAL, code=error.code, message=str(error), hint=error.hint)
