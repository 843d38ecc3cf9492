"""One client of the control socket: requests in, responses and events out, within limits.

A long request (``say``, ``turn.ask``) does not block the other requests of its client.
"""

import asyncio
import inspect
import logging
from dataclasses import dataclass
from typing import Any

from voxd.api import DeviceApi
from voxd.control import jsonrpc
from voxd.control.codes import INVALID_REQUEST, JOIN_HINT
from voxd.control.framing import Lines, LineTooLong
from voxd.control.jsonrpc import Batch, InvalidMessage, RpcRequest
from voxd.control.methods import METHODS, Access, Method, read_params
from voxd.control.redact import redact_event
from voxd.control.sockets import Peer
from voxd.control.subscription import EventSubscription
from voxd.errors import Busy, InvalidRequest, NotPermitted, VoxdError
from voxd.events import Event
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

# The default limit of a line, so that most requests arrive in one read.
READ_BYTES = 65_536
# The only request with sound in it.
UPLOAD_METHOD = "turn.ask_audio"


@dataclass(frozen=True, slots=True)
class Limits:
    """The memory and time that one client may use."""

    max_clients: int = 32
    max_line_bytes: int = 65_536
    # A line of `UPLOAD_METHOD`, on the control socket only and for one client at a time: 1.5 minutes of 16
    # kHz speech in base64.
    upload_bytes: int = 4_194_304
    # Requests under way and subscriptions of one client: each holds a task, and a subscription a queue.
    max_pending: int = 8
    max_subscriptions: int = 4
    # From the first byte of a line to its newline. An idle connection has no deadline: `voxctl watch` only
    # reads.
    line_deadline_s: float = 5.0
    # A client that does not read for this long is disconnected, so that its events need no more memory.
    write_deadline_s: float = 2.0


class Upload:
    """The permission to send a long line. One connection at a time has it."""

    def __init__(self) -> None:
        # One holder: otherwise 32 clients could use 32 times ``Limits.upload_bytes`` of memory.
        self._holder: object | None = None

    def acquire(self, connection: object) -> bool:
        """Acquire it for ``connection`` if it is free; return whether ``connection`` has it now."""
        if self._holder is None:
            self._holder = connection
        return self._holder is connection

    def release(self, connection: object) -> None:
        """Release it if ``connection`` has it."""
        if self._holder is connection:
            self._holder = None


class Connection:
    """Serves one client until it disconnects, breaks a rule of the protocol or the server closes."""

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
        self._requests = TaskScope("control request")
        # The ids of requests under way; a notification has no id and is counted by an object of its own.
        self._pending: set[object] = set()
        self._subscriptions = TaskScope("control subscription")
        self._leaving = False
        self._line_due_s = 0.0
        self._too_long: VoxdError = InvalidRequest(f"line longer than {limits.max_line_bytes} bytes")

    async def run(self) -> None:
        """Serve until the client disconnects, then let running requests finish."""
        try:
            await self._read_lines()
            await self._stop_subscriptions()
            # `say` and `turn.ask` are not cancelled with the client: a sentence that breaks off is worse than
            # one whose caller is gone. Their results are dropped.
            await self._requests.join()
        finally:
            self._upload.release(self)
            await self._stop_subscriptions()
            await self._requests.close()
            await close_writer(self._writer, self._limits.write_deadline_s)

    async def _read_lines(self) -> None:
        while chunk := await self._read():
            # The deadline counts from the first byte of a line: single bytes must not extend it for ever.
            if b"\n" in chunk or not self._lines.partial_bytes:
                self._line_due_s = asyncio.get_running_loop().time() + self._limits.line_deadline_s
            try:
                for line in self._lines.feed(chunk):
                    self._upload.release(self)
                    await self._take(line)
                    # One turn of the event loop per line: a flood of lines must not delay other connections.
                    await asyncio.sleep(0)
            except LineTooLong:
                # The start of the next line is unknown: the error is sent, and the connection ends.
                await self._send(jsonrpc.encode_error(None, self._too_long))
                return

    async def _read(self) -> bytes:
        """Return received bytes; none at the end of the stream or when a line misses its deadline."""
        try:
            # Between two lines a client may be silent for ever; only an unfinished line has a deadline.
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
        if not self._upload.acquire(self):
            self._too_long = Busy("another client is sending sound", hint="try again")
            return False
        return True

    async def _take(self, line: bytes) -> None:
        message = jsonrpc.parse(line)
        if isinstance(message, InvalidMessage):
            await self._send(jsonrpc.encode_invalid_message(message))
            return
        request = message if isinstance(message, RpcRequest) else None
        id = request.id if request else None
        # A long line was allowed before its method could be read. Any other method must keep to the limit.
        if len(line) > self._limits.max_line_bytes and not (request and request.method == UPLOAD_METHOD):
            await self._send(jsonrpc.encode_error(id, self._too_long))
        # Two requests with one id: the client could not tell their responses apart.
        elif id is not None and id in self._pending:
            await self._refuse("a request with this id is under way", id)
        elif len(self._pending) >= self._limits.max_pending:
            # JSON-RPC 2.0 section 4.1: a notification is never answered, not even with an error.
            if not (request and request.notification):
                await self._send(
                    jsonrpc.encode_error(id, Busy("too many requests under way", hint="wait for answers"))
                )
        else:
            key = object() if id is None else id
            self._pending.add(key)
            self._requests.start(self._answer(key, message))

    async def _answer(self, key: object, message: RpcRequest | Batch) -> None:
        subscriptions: list[EventSubscription] = []
        try:
            if isinstance(message, RpcRequest):
                answer = await self._perform(message, subscriptions)
            else:
                # One after the other, although JSON-RPC 2.0 section 6 allows any order: a batch of "stop" and
                # "say" must stop first.
                items = [await self._perform(item, subscriptions) for item in message.items]
                answers = [item for item in items if item is not None]
                # Section 6: a batch of notifications alone gets no response, not an empty array.
                answer = jsonrpc.encode_batch(answers) if answers else None
            if answer is not None:
                await self._send(answer)
        finally:
            self._pending.discard(key)
            # Only now: the response to `events.subscribe` comes before its first event.
            for subscription in subscriptions:
                self._start_subscription(subscription)

    async def _perform(
        self, message: RpcRequest | InvalidMessage, subscriptions: list[EventSubscription]
    ) -> bytes | None:
        if isinstance(message, InvalidMessage):
            return jsonrpc.encode_invalid_message(message)
        method = METHODS.get(message.method)
        answer, outcome = jsonrpc.encode_unknown_method(message.id, message.method), "unknown"
        if method is not None:
            try:
                answer, outcome = (
                    jsonrpc.encode_result(message.id, await self._invoke(method, message, subscriptions)),
                    "ok",
                )
            except VoxdError as error:
                answer, outcome = jsonrpc.encode_error(message.id, error), error.code
            except Exception:
                # The boundary of one request: a bug in one method must not close the connection.
                _log.exception("control method %s failed", method.name)
                answer, outcome = jsonrpc.encode_internal_error(message.id), "internal"
            # What changes something is logged with its sender (SO_PEERCRED), but without its parameters: they
            # may be words of the user.
            if method.access == "control":
                sender = (self._peer.pid, self._peer.uid, self._peer.gid)
                _log.info("control %s: %s (pid %s, uid %s, gid %s)", method.name, outcome, *sender)
        return None if message.notification else answer

    async def _invoke(
        self, method: Method, request: RpcRequest, subscriptions: list[EventSubscription]
    ) -> Any:
        if method.access == "control" and self._access == "read":
            message = f"{method.name} is not allowed on the read-only socket"
            raise NotPermitted(message, hint=JOIN_HINT)
        result = method.handler(self._api, read_params(method, request.params))
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, EventSubscription):
            # Those of the same batch count too, although their tasks are not started yet.
            if len(self._subscriptions) + len(subscriptions) >= self._limits.max_subscriptions:
                result.events.close()
                raise Busy("too many subscriptions", hint="open another connection")
            subscriptions.append(result)
            return result.opening()
        # The read-only socket has mode 0666: every local user may read what it sends.
        if self._access == "read" and method.redact is not None:
            return method.redact(result)
        return result

    def _start_subscription(self, subscription: EventSubscription) -> None:
        # A request may end after its client has left: no task would stop this subscription then.
        if self._leaving:
            subscription.events.close()
            return
        task = self._subscriptions.start(self._send_events(subscription))
        # Not a `with` in the task: a task that is cancelled before its first step runs none of its lines.
        task.add_done_callback(lambda _: subscription.events.close())

    async def _send_events(self, subscription: EventSubscription) -> None:
        dropped = 0
        for event in subscription.missed:
            await self._send_event(event)
        async for event in subscription.events:
            # Before the next event, so that the client knows where its events have a gap.
            if subscription.events.dropped > dropped:
                dropped = subscription.events.dropped
                await self._send(jsonrpc.encode_notification("lagged", {"dropped": dropped}))
            await self._send_event(event)

    async def _send_event(self, event: Event) -> None:
        shown = redact_event(event) if self._access == "read" else event
        await self._send(jsonrpc.encode_notification("event", shown))

    async def _stop_subscriptions(self) -> None:
        self._leaving = True
        await self._subscriptions.close()

    async def _refuse(self, message: str, id: jsonrpc.Id = None) -> None:
        await self._send(jsonrpc.encode_invalid_message(InvalidMessage(INVALID_REQUEST, message, id)))

    async def _send(self, message: bytes) -> None:
        """Write one line; disconnect a client that does not read within the deadline."""
        if self._writer.is_closing():
            return
        self._writer.write(message + b"\n")
        try:
            async with asyncio.timeout(self._limits.write_deadline_s):
                await self._writer.drain()
        except ConnectionError:
            # The client is gone: reading reports the end of the stream, and `run` cleans up.
            self._writer.transport.abort()
        except TimeoutError:
            _log.info("control client pid %s does not read: disconnected", self._peer.pid)
            self._writer.transport.abort()


async def close_writer(writer: asyncio.StreamWriter, deadline_s: float) -> None:
    """Send buffered data and close the connection; drop what is left after ``deadline_s``."""
    writer.close()
    try:
        async with asyncio.timeout(deadline_s):
            await writer.wait_closed()
    except ConnectionError:
        return
    except TimeoutError:
        # A client that never reads would hold the file descriptor for ever.
        writer.transport.abort()
