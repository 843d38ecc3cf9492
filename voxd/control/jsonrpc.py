"""JSON-RPC 2.0 as values: bytes in, requests out; results in, bytes out. No socket, no method names."""

from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.control.codes import INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, number_of
from voxd.errors import VoxdError

MAX_BATCH = 32
MAX_DEPTH = 32
MAX_ID_CHARS = 128
MAX_ID_NUMBER = 2**53
"""Beyond it a reader that keeps numbers as doubles would not recognise its own id."""

Id = str | int | float | None


@dataclass(frozen=True, slots=True)
class Request:
    """One call. ``notification`` means that no answer may be sent, whatever happens."""

    method: str
    params: Any
    id: Id = None
    notification: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that cannot be obeyed, and the error object it is answered with."""

    number: int
    message: str
    id: Id = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Several messages whose answers go back in one array."""

    items: tuple[Request | Refusal, ...]


def parse(line: bytes) -> Request | Batch | Refusal:
    """Return what ``line`` asks for. Never raises: whatever cannot be understood becomes a `Refusal`."""
    try:
        value = msgspec.json.decode(line)
    except RecursionError:
        return Refusal(PARSE_ERROR, "nested too deeply")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Refusal(PARSE_ERROR, f"not JSON: {error}")
    if _deeper_than(value, MAX_DEPTH):
        return Refusal(INVALID_REQUEST, f"nested deeper than {MAX_DEPTH}")
    if not isinstance(value, list):
        return _request(value)
    # JSON-RPC 2.0 section 6: an empty batch is one Invalid Request, not an array of none.
    if not value:
        return Refusal(INVALID_REQUEST, "empty batch")
    if len(value) > MAX_BATCH:
        return Refusal(INVALID_REQUEST, f"batch of more than {MAX_BATCH} requests")
    return Batch(tuple(_request(item) for item in value))


def _request(value: Any) -> Request | Refusal:
    if not isinstance(value, dict):
        return Refusal(INVALID_REQUEST, "a request is an object")
    id, notification = value.get("id"), "id" not in value
    if not _is_id(id):
        return Refusal(INVALID_REQUEST, f"id: expected null, a number or at most {MAX_ID_CHARS} characters")
    if value.get("jsonrpc") != "2.0":
        return Refusal(INVALID_REQUEST, 'jsonrpc: expected "2.0"', id)
    method = value.get("method")
    if not isinstance(method, str):
        return Refusal(INVALID_REQUEST, "method: expected a string", id)
    return Request(method, value.get("params", {}), id, notification)


def _is_id(id: Any) -> bool:
    match id:
        case None:
            return True
        case bool():
            return False
        case str():
            return len(id) <= MAX_ID_CHARS
        case int() | float():
            return abs(id) <= MAX_ID_NUMBER
        case _:
            return False


def _deeper_than(value: Any, limit: int) -> bool:
    layer = [value]
    for _ in range(limit):
        below: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return False
        layer = below
    return any(isinstance(item, (dict, list)) for item in layer)


def result(id: Id, value: Any) -> bytes:
    """Return the answer to request ``id``: one line without its newline."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "result": value})


def refusal(refused: Refusal) -> bytes:
    """Return the answer to a message that was no request."""
    return _error(refused.id, refused.number, refused.message, "invalid_request", "", False)


def unknown_method(id: Id, method: str) -> bytes:
    """Return the answer to a request for a method that does not exist."""
    message = f"no method {method[:64]!r}"
    return _error(id, METHOD_NOT_FOUND, message, "not_found", "call `rpc.discover` for the methods", False)


def error(id: Id, cause: VoxdError) -> bytes:
    """Return the answer that carries ``cause``."""
    return _error(id, number_of(cause), str(cause), cause.code, cause.hint, cause.retryable)


def internal_error(id: Id) -> bytes:
    """Return the answer to a request that met a bug; the details stay in the log."""
    return _error(id, INTERNAL, "internal error", "internal", "read the log: `journalctl -u voxd`", False)


def _error(id: Id, number: int, message: str, code: str, hint: str, retryable: bool) -> bytes:
    data = {"code": code, "hint": hint, "retryable": retryable}
    body = {"code": number, "message": message, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "error": body})


def notification(method: str, params: Any) -> bytes:
    """Return a message that wants no answer: an event."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})


def batch(answers: list[bytes]) -> bytes:
    """Return the answers of a batch as one array; there must be at least one."""
    return b"[" + b",".join(answers) + b"]"
