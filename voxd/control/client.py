"""The asynchronous client: concurrent calls, and events, over one connection."""

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Iterable
from typing import Any, Self

import msgspec

from voxd.control.call import connect_error
from voxd.control.codes import ProtocolError, error_from_wire
from voxd.errors import DaemonUnreachable, DeadlineExceeded, VoxdError
from voxd.tasks import TaskScope

# asyncio's default limit of a line, 64 KiB, is less than the clip of a wake word in base64.
MAX_MESSAGE_BYTES = 16_777_216
QUEUE_EVENTS = 1024


class ControlClient:
    """A connection to the daemon.

    Events not yet read from `subscribe` are in a queue of `QUEUE_EVENTS`. When it is full this client stops
    reading, and the daemon counts the events that it drops.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = 10.0) -> None:
        self._path = os.fspath(path)
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(QUEUE_EVENTS)
        self._writer: asyncio.StreamWriter | None = None
        self._tasks = TaskScope("control client")
        self._end: VoxdError | None = None

    async def connect(self) -> None:
        """Connect. Raises `DaemonUnreachable` or `NotPermitted`."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(self._path, limit=MAX_MESSAGE_BYTES)
        except OSError as error:
            raise connect_error(self._path, error) from error
        self._tasks.start(self._read(reader))

    async def close(self) -> None:
        """Close the connection; running calls raise `DaemonUnreachable`. Idempotent."""
        await self._tasks.close()
        if self._writer is not None:
            self._writer.close()
            # Its error is that of the connection, which the calls under way have reported.
            await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)
            self._writer = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, method: str, **params: Any) -> Any:
        """Return the result of ``method``.

        Raises the `VoxdError` of the response, `DeadlineExceeded`, `DaemonUnreachable` or `ProtocolError`.
        """
        if self._writer is None or self._end is not None:
            raise self._end or DaemonUnreachable("not connected")
        id = next(self._ids)
        future = self._waiting[id] = asyncio.get_running_loop().create_future()
        request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        try:
            async with asyncio.timeout(self._timeout_s):
                self._writer.write(msgspec.json.encode(request) + b"\n")
                await self._writer.drain()
                return await future
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer to {method} within {self._timeout_s:g} s") from error
        except ConnectionError as error:
            raise DaemonUnreachable("the daemon closed the connection") from error
        finally:
            del self._waiting[id]

    async def subscribe(
        self, types: Iterable[str] = ("*",), *, since: int | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the state (``{"state": …, "lost": n}``), then each event as a dict.

        ``{"dropped": n}`` comes after n dropped events. A client has one subscription. Raises
        `DaemonUnreachable` when the daemon closes the connection.
        """
        yield await self.call("events.subscribe", types=list(types), since=since)
        while (event := await self._events.get()) is not None:
            yield event
        raise self._end or DaemonUnreachable("the daemon closed the connection")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        end: VoxdError = DaemonUnreachable("the daemon closed the connection")
        try:
            while line := await reader.readline():
                # Without its newline it is the torn last line of a lost connection.
                if line.endswith(b"\n"):
                    await self._take(msgspec.json.decode(line))
        except VoxdError as error:
            end = error
        # ValueError: a line over the limit. AttributeError: JSON that is not an object.
        except (ValueError, AttributeError, msgspec.MsgspecError):
            end = ProtocolError("the response is not JSON-RPC")
        except ConnectionError:
            pass
        finally:
            self._end = end
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(end)
            # Room for the end mark: without it `subscribe` would wait for ever.
            if self._events.full():
                self._events.get_nowait()
            self._events.put_nowait(None)

    async def _take(self, message: dict[str, Any]) -> None:
        # "lagged" in the same queue, so that it stays in order with the events.
        if message.get("method") in ("event", "lagged"):
            await self._events.put(message["params"])
            return
        id = message.get("id")
        # An error without id is about the connection: too many clients, or the client was too slow.
        if id is None and "error" in message:
            raise error_from_wire(message["error"])
        future = self._waiting.get(id) if isinstance(id, int) else None
        # The response to a call that has timed out.
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(error_from_wire(message["error"]))
        else:
            future.set_result(message.get("result"))
