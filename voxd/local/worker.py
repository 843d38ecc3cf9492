"""The daemon's side of a worker process: starts it, sends requests, survives its failures."""

import asyncio
import logging
import os
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from voxd.children import ChildProcess, explain_exit
from voxd.clock import Clock
from voxd.errors import DeadlineExceeded, LocalEngineError, ModelError, VoxdError
from voxd.local.worker_protocol import MAX_HEADER_BYTES, WorkerMessage, decode_header, encode
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# A cancelled request that has not ended by then is ended with its process.
CANCEL_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine is started with."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


class Worker:
    """One engine in one process, started on demand, with one request at a time.

    ``load`` is called before each start; it may raise `ModelError` when a file is missing.
    """

    def __init__(
        self,
        name: str,
        argv: tuple[str, ...],
        load: Callable[[], Load],
        clock: Clock,
        *,
        timeout_s: float,
        idle_unload_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._argv = argv
        self._load = load
        self._clock = clock
        self._timeout_s = timeout_s
        self._idle_unload_s = idle_unload_s
        self._environment = dict(environment or {})
        self._lock = asyncio.Lock()
        self._child: ChildProcess | None = None
        self._loaded = False
        self._ids = 0
        self._used_at = 0.0
        self._idle: asyncio.Task[None] | None = None
        self._tasks = TaskScope(name)
        self._closed = False

    @property
    def loaded(self) -> bool:
        """Whether the model is in memory and its process alive."""
        return self._loaded and self._child is not None and self._child.returncode is None

    @property
    def pid(self) -> int | None:
        """The process that holds the model, if there is one."""
        return self._child.pid if self._child is not None else None

    def prepare(self) -> None:
        """Start the process in the background unless something is under way; never raises."""
        if not self.loaded and not self._lock.locked() and not self._closed:
            self._tasks.start(self._prepare())

    async def request(
        self, op: str, payload: bytes = b"", data: Mapping[str, Any] | None = None
    ) -> AsyncGenerator[tuple[WorkerMessage, bytes], None]:
        """Yield the answers to one request.

        Raises `ModelError`, `LocalEngineError`, or `DeadlineExceeded` once starting, sending and waiting took
        ``timeout_s`` together (the caller's own time between answers does not count). Closing the
        iterator cancels the work.
        """
        await self._lock.acquire()
        # Three ends: finished (the process is idle), failed (it cannot be trusted any more), or left early by
        # the caller, whose work is then cancelled in the background.
        finished = failed = False
        budget = _Budget(self._timeout_s)
        try:
            await self._within(budget, self._ensure_started())
            self._ids += 1
            await self._within(budget, self._send(op, self._ids, payload, dict(data or {})))
            while True:
                message, body = await self._within(budget, self._receive(self._ids))
                if message.op == "done":
                    finished = True
                    return
                if message.op == "error":
                    finished = True
                    raise _error_of(self.name, message)
                yield message, body
        except VoxdError:
            failed = not finished
            raise
        finally:
            self._used_at = self._clock.monotonic()
            if finished:
                self._lock.release()
            elif failed:
                try:
                    await self._stop()
                finally:
                    self._lock.release()
            else:
                self._tasks.start(self._cancel(self._ids))

    async def close(self) -> None:
        """End the process; idempotent."""
        self._closed = True
        await self._tasks.close()
        await self._stop()

    # --- starting and stopping --------------------------------------------------------------------

    async def _prepare(self) -> None:
        async with self._lock:
            try:
                await self._within(_Budget(self._timeout_s), self._ensure_started())
            except VoxdError as error:
                # The request that follows meets the same fault and reports it.
                _log.debug("%s could not be prepared: %s", self.name, error)
                await self._stop()
            self._used_at = self._clock.monotonic()

    async def _ensure_started(self) -> None:
        if self.loaded:
            return
        if self._closed:
            raise LocalEngineError(f"{self.name} is closed")
        await self._stop()
        # Asked at each start: the model may have arrived, or been replaced, since.
        load = self._load()
        started = self._clock.monotonic()
        try:
            self._child = await ChildProcess.start(
                self.name,
                self._argv,
                stdin=PIPE,
                stdout=PIPE,
                limit=MAX_HEADER_BYTES * 16,
                env={**os.environ, **self._environment},
            )
        except OSError as error:
            raise LocalEngineError(f"{self.name} cannot be started: {error}") from error
        await self._send("load", 0, load.payload, dict(load.settings))
        message, _ = await self._receive(0)
        if message.op == "error":
            await self._stop()
            raise _error_of(self.name, message)
        self._loaded = True
        if self._idle is None or self._idle.done():
            self._idle = self._tasks.start(self._unload_when_idle())
        _log.debug("%s is ready after %.2f s", self.name, self._clock.monotonic() - started)

    async def _unload_when_idle(self) -> None:
        self._used_at = self._clock.monotonic()
        while self._child is not None:
            left = self._used_at + self._idle_unload_s - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            # A request is under way: the time counts from its end.
            elif self._lock.locked():
                await self._clock.sleep(self._idle_unload_s)
            else:
                async with self._lock:
                    await self._stop()

    async def _stop(self) -> None:
        """Kill the process and wait until it is gone with its pipes."""
        child, self._child = self._child, None
        self._loaded = False
        if child is not None:
            await child.close()

    async def _cancel(self, id: int) -> None:
        """Cancel the work, and end the process if it does not stop; releases the lock of the request."""
        try:
            if self.loaded:
                async with asyncio.timeout(CANCEL_GRACE_S):
                    await self._send("cancel", id, b"", {})
                    # What the engine still sends is thrown away, until it reports its end.
                    while (await self._receive(id))[0].op not in ("done", "error"):
                        pass
            else:
                await self._stop()
        except (LocalEngineError, TimeoutError):
            await self._stop()
        finally:
            self._lock.release()

    # --- messages ---------------------------------------------------------------------------------

    async def _within(self, budget: "_Budget", work: Awaitable[_T]) -> _T:
        started = time.monotonic()
        try:
            async with asyncio.timeout(budget.left_s):
                return await work
        except TimeoutError:
            raise DeadlineExceeded(
                f"{self.name} did not answer within {self._timeout_s:g} s and was killed"
            ) from None
        finally:
            budget.left_s -= time.monotonic() - started

    async def _send(self, op: str, id: int, payload: bytes, data: dict[str, Any]) -> None:
        assert self._child is not None
        try:
            self._child.stdin.write(encode(op, id, payload, data))
            await self._child.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._explain_end() from None

    async def _receive(self, id: int) -> tuple[WorkerMessage, bytes]:
        """Return the next message of request ``id``; what is left of an earlier one is thrown away."""
        assert self._child is not None
        stdout = self._child.stdout
        while True:
            try:
                line = await stdout.readuntil(b"\n")
                message = decode_header(line)
                body = await stdout.readexactly(message.payload_bytes)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    _log.debug("%s ended in the middle of a message", self.name)
                raise await self._explain_end() from None
            except asyncio.LimitOverrunError:
                raise LocalEngineError(f"{self.name} sent a header without an end of line") from None
            if message.id == id:
                return message, body

    async def _explain_end(self) -> LocalEngineError:
        """Wait for the end of a process whose pipe broke, and return the error that explains it."""
        child = self._child
        assert child is not None
        # Its pipe is closed, so it is useless even if it still runs. It gets a moment to end by itself:
        # its own status explains more than that of a kill.
        code = await child.wait_or_kill(CANCEL_GRACE_S)
        last = await child.last_line()
        return LocalEngineError(f"{self.name} {explain_exit(code)}" + (f": {last}" if last else ""))


@dataclass(slots=True)
class _Budget:
    """What is left of a request's time."""

    left_s: float


def _error_of(name: str, message: WorkerMessage) -> LocalEngineError | ModelError:
    """Return the error that the engine ``name`` reports in ``message``."""
    text = f"{name}: {message.data.get('message', 'no reason given')}"
    hint = str(message.data.get("hint", ""))
    if message.data.get("code") == ModelError.code:
        return ModelError(text, hint=hint)
    return LocalEngineError(text, hint=hint)
