"""The blocking client for `voxctl`. It imports the standard library only, so that a command starts fast."""

import contextlib
import errno
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any, Self

from voxd.control.codes import JOIN_HINT, ProtocolError, error_from_wire
from voxd.errors import DaemonUnreachable, DeadlineExceeded, NotPermitted


class Caller:
    """One connection, one request at a time. A context manager."""

    def __init__(self, path: str | os.PathLike[str], *, timeout_s: float = 5.0) -> None:
        """Connect. Raises `DaemonUnreachable` or `NotPermitted`.

        ``timeout_s`` is the deadline of connecting and of each response.
        """
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._received = bytearray()
        self._socket = _connect(os.fspath(path), timeout_s)

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **params: Any) -> Any:
        """Return the result of ``method``.

        Raises the `VoxdError` of the response, `DeadlineExceeded`, `DaemonUnreachable` or `ProtocolError`.
        """
        due = time.monotonic() + self._timeout_s
        id = next(self._ids)
        request = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        try:
            self._socket.settimeout(self._timeout_s)
            # A daemon that rejects this client sends the reason and closes: read it although sending failed.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            return self._receive(id, due)
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer to {method} within {self._timeout_s:g} s") from error

    def notifications(self) -> Iterator[tuple[str, Any]]:
        """Yield (method, params) of each notification; `DaemonUnreachable` ends it."""
        # Events may be hours apart.
        self._socket.settimeout(None)
        while True:
            message = self._message()
            if "method" in message:
                yield str(message["method"]), message.get("params")

    def _receive(self, id: int, due: float) -> Any:
        while True:
            # One deadline for the whole response: a timeout per read would begin again with each
            # notification.
            left = due - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            message = self._message()
            # An error without id is about the connection: too many clients, or the client was too slow.
            if "error" in message and message.get("id") in (id, None):
                raise error_from_wire(message["error"])
            if message.get("id") == id and "result" in message:
                return message["result"]

    def _message(self) -> dict[str, Any]:
        while (end := self._received.find(b"\n")) < 0:
            try:
                chunk = self._socket.recv(65_536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise DaemonUnreachable("the daemon closed the connection")
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("the response is not JSON-RPC") from error
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise ProtocolError("the response is not JSON-RPC 2.0")
        return message


def _connect(path: str, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(path)
    except TimeoutError as error:
        connection.close()
        raise DeadlineExceeded(f"no connection to {path} within {timeout_s:g} s") from error
    except OSError as error:
        connection.close()
        raise connect_error(path, error) from error
    return connection


def connect_error(path: str, error: OSError) -> DaemonUnreachable | NotPermitted:
    """Return the error that stands for a failed connect to ``path``."""
    # unix(7): EACCES without write permission on the socket or search permission on its directory.
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermitted(f"not permitted to use {path}", hint=JOIN_HINT)
    return DaemonUnreachable(f"voxd is not running: {path}: {error.strerror or error}")
