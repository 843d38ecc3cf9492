"""One client of the control socket: its lines in, its answers and events out, within its limits.

A request that takes long (``say``, ``turn.ask``) blocks no other request of the same client. It goes on when
the client leaves, and its result is dropped: half a sentence is a worse surprise than a whole one.
"""

import asyncio
import inspect
import logging
from dataclasses import dataclass
from typing import Any

from voxd.api import DeviceApi
from voxd.control import jsonrpc
from voxd.control.codes import INVALID_REQUEST, JOIN_HINT
from voxd.control.feed import Feed
from voxd.control.framing import Lines, LineTooLong
from voxd.control.jsonrpc import Batch, Refusal, Request
from voxd.control.methods import METHODS, Access, Method, read_params
from voxd.control.redact import veiled_event
from voxd.control.sockets import Peer
from voxd.errors import Busy, InvalidRequest, NotPermitted, VoxdError
from voxd.events import Event

_log = logging.getLogger(__name__)

READ_BYTES = 65_536
UPLOAD_METHOD = "turn.ask_audio"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost.

    A line of `UPLOAD_METHOD` may be ``upload_bytes`` long (1.5 minutes of 16 kHz speech in base64), on the
    control socket only and for one client at a time, so that 32 clients cannot cost 32 times that.
    """

    max_clients: int = 32
    max_line_bytes: int = 65_536
    upload_bytes: int = 4_194_304
    max_pending: int = 8
    max_feeds: int = 4
    line_deadline_s: float = 5.0
    write_deadline_s: float = 2.0


class Upload:
    """The right to send a long line, which one connection at a time holds."""

    def __init__(self) -> None:
        self._holder: object | None = None

    def take(self, who: object) -> bool:
        """Return whether ``who`` holds it now."""
        if self._holder is None:
            self._holder = who
        return self._holder is who

    def release(self, who: object) -> None:
        """Give it back if ``who`` holds it."""
        if self._holder is who:
            self._holder = None


class Connection:
    """Serves one client until it leaves, breaks the rules or the server closes."""

    def __init__(
        self,
        api: DeviceApi,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        peer: Peer,
        access: Access,
        limits: Limits,
        upload: Upload,
    ) -> None:
        self._api = api
        self._reader, self._writer = streams
        self._peer = peer
        self._access = access
        self._limits = limits
        self._upload = upload
        self._lines = Lines(limits.max_line_bytes, self._may_upload)
        self._pending: dict[object, asyncio.Task[None]] = {}
        self._feeds: set[asyncio.Task[None]] = set()
        self._leaving = False
        self._line_due_s = 0.0
        self._too_long: VoxdError = InvalidRequest(f"line longer than {limits.max_line_bytes} bytes")

    async def run(self) -> None:
        """Serve until the client leaves, then let requests under way finish."""
        try:
            await self._read_lines()
            self._stop_feeds()
            if self._pending:
                await asyncio.wait(tuple(self._pending.values()))
        finally:
            self._upload.release(self)
            self._stop_feeds()
            unfinished = tuple(self._pending.values())
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
            await self._close()

    async def _read_lines(self) -> None:
        while chunk := await self._read():
            if b"\n" in chunk or not self._lines.partial_bytes:
                self._line_due_s = asyncio.get_running_loop().time() + self._limits.line_deadline_s
            try:
                for line in self._lines.feed(chunk):
                    self._upload.release(self)
                    await self._take(line)
                    # One turn of the loop per line: a flood here does not delay other connections.
                    await asyncio.sleep(0)
            except LineTooLong:
                await self._send(jsonrpc.error(None, self._too_long))
                return

    async def _read(self) -> bytes:
        """Return what came, or nothing at the end of the stream or of the patience with half a line."""
        try:
            if not self._lines.partial_bytes:
                return await self._reader.read(READ_BYTES)
            async with asyncio.timeout_at(self._line_due_s):
                return await self._reader.read(READ_BYTES)
        except ConnectionError:
            return b""
        except TimeoutError:
            await self._refuse(f"a line took longer than {self._limits.line_deadline_s:g} s")
            return b""

    def _may_upload(self, length: int) -> bool:
        if self._access != "control" or length > self._limits.upload_bytes:
            return False
        if not self._upload.take(self):
            self._too_long = Busy("another client is sending sound", hint="try again")
            return False
        return True

    async def _take(self, line: bytes) -> None:
        message = jsonrpc.parse(line)
        if isinstance(message, Refusal):
            await self._send(jsonrpc.refusal(message))
            return
        request = message if isinstance(message, Request) else None
        id = request.id if request else None
        if len(line) > self._limits.max_line_bytes and not (request and request.method == UPLOAD_METHOD):
            await self._send(jsonrpc.error(id, self._too_long))
        elif id is not None and id in self._pending:
            await self._refuse("a request with this id is under way", id)
        elif len(self._pending) >= self._limits.max_pending:
            if not (request and request.notification):
                await self._send(
                    jsonrpc.error(id, Busy("too many requests under way", hint="wait for answers"))
                )
        else:
            key = object() if id is None else id
            self._pending[key] = asyncio.create_task(self._answer(key, message))

    async def _answer(self, key: object, message: Request | Batch) -> None:
        feeds: list[Feed] = []
        try:
            if isinstance(message, Request):
                answer = await self._perform(message, feeds)
            else:
                # In order, one after the other: "stop, then say" means what it says.
                answers = [await self._perform(item, feeds) for item in message.items]
                some = [answer for answer in answers if answer is not None]
                answer = jsonrpc.batch(some) if some else None
            if answer is not None:
                await self._send(answer)
        finally:
            del self._pending[key]
            for feed in feeds:
                self._start_feed(feed)

    async def _perform(self, message: Request | Refusal, feeds: list[Feed]) -> bytes | None:
        if isinstance(message, Refusal):
            return jsonrpc.refusal(message)
        method = METHODS.get(message.method)
        answer, outcome = jsonrpc.unknown_method(message.id, message.method), "unknown"
        if method is not None:
            try:
                answer, outcome = jsonrpc.result(message.id, await self._invoke(method, message, feeds)), "ok"
            except VoxdError as error:
                answer, outcome = jsonrpc.error(message.id, error), error.code
            except Exception:
                _log.exception("control method %s failed", method.name)
                answer, outcome = jsonrpc.internal_error(message.id), "internal"
            if method.access == "control":
                peer = self._peer
                _log.info(
                    "control %s: %s (pid %s, uid %s, gid %s)",
                    method.name,
                    outcome,
                    peer.pid,
                    peer.uid,
                    peer.gid,
                )
        return None if message.notification else answer

    async def _invoke(self, method: Method, request: Request, feeds: list[Feed]) -> Any:
        if method.access == "control" and self._access == "read":
            message = f"{method.name} is not allowed on the read-only socket"
            raise NotPermitted(message, hint=JOIN_HINT)
        result = method.handler(self._api, read_params(method, request.params))
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, Feed):
            if len(self._feeds) + len(feeds) >= self._limits.max_feeds:
                result.subscription.close()
                raise Busy("too many subscriptions", hint="open another connection")
            feeds.append(result)
            return result.opening()
        if self._access == "read" and method.veil is not None:
            return method.veil(result)
        return result

    def _start_feed(self, feed: Feed) -> None:
        if self._leaving:
            feed.subscription.close()
            return
        task = asyncio.create_task(self._pump(feed))
        self._feeds.add(task)
        task.add_done_callback(self._feeds.discard)
        # Not a `with` in the task: a task that is cancelled before its first step runs none of its lines.
        task.add_done_callback(lambda _: feed.subscription.close())

    async def _pump(self, feed: Feed) -> None:
        told = 0
        for event in feed.missed:
            await self._send_event(event)
        async for event in feed.subscription:
            if feed.subscription.dropped > told:
                told = feed.subscription.dropped
                await self._send(jsonrpc.notification("lagged", {"dropped": told}))
            await self._send_event(event)

    async def _send_event(self, event: Event) -> None:
        shown = veiled_event(event) if self._access == "read" else event
        await self._send(jsonrpc.notification("event", shown))

    def _stop_feeds(self) -> None:
        self._leaving = True
        for task in tuple(self._feeds):
            task.cancel()

    async def _refuse(self, message: str, id: jsonrpc.Id = None) -> None:
        await self._send(jsonrpc.refusal(Refusal(INVALID_REQUEST, message, id)))

    async def _send(self, message: bytes) -> None:
        """Write one line. A client that does not read within the deadline is cut off."""
        if self._writer.is_closing():
            return
        self._writer.write(message + b"\n")
        try:
            async with asyncio.timeout(self._limits.write_deadline_s):
                await self._writer.drain()
        except ConnectionError:
            self._writer.transport.abort()
        except TimeoutError:
            _log.info("control client pid %s does not read: cut off", self._peer.pid)
            self._writer.transport.abort()

    async def _close(self) -> None:
        await close_writer(self._writer, self._limits.write_deadline_s)


async def close_writer(writer: asyncio.StreamWriter, deadline_s: float) -> None:
    """Send what is left and close; after ``deadline_s`` drop the rest: no descriptor hangs on a reader."""
    writer.close()
    try:
        async with asyncio.timeout(deadline_s):
            await writer.wait_closed()
    except ConnectionError:
        return
    except TimeoutError:
        writer.transport.abort()
