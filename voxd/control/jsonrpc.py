"""JSON-RPC 2.0 as values: decodes requests and encodes responses. It does no I/O."""

from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.control.codes import INTERNAL, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, number_of
from voxd.errors import VoxdError

# A batch runs one request after another, in one of the places of `Limits.max_pending`.
MAX_BATCH = 32
# Far more than any method needs; what walks the parameters recurses once per level.
MAX_DEPTH = 32
# An id is sent back with its response: without a limit it could be as long as a line.
MAX_ID_CHARS = 128
# A client that stores numbers as doubles (JavaScript) could not match a larger id to its request.
MAX_ID_NUMBER = 2**53

Id = str | int | float | None


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """One call. A ``notification`` gets no response, not even an error (JSON-RPC 2.0 section 4.1)."""

    method: str
    params: Any
    id: Id = None
    notification: bool = False


@dataclass(frozen=True, slots=True)
class InvalidMessage:
    """A message that is not a valid request, with the code and text of its error response."""

    number: int
    message: str
    id: Id = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Several messages with one response, an array."""

    items: tuple[RpcRequest | InvalidMessage, ...]


def parse(line: bytes) -> RpcRequest | Batch | InvalidMessage:
    """Parse one line. Never raises: a line that is not a valid request gives an `InvalidMessage`."""
    try:
        value = msgspec.json.decode(line)
    except RecursionError:
        # msgspec raises this, and not its own error, for JSON deeper than the interpreter's stack.
        return InvalidMessage(PARSE_ERROR, "nested too deeply")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return InvalidMessage(PARSE_ERROR, f"not JSON: {error}")
    if _deeper_than(value, MAX_DEPTH):
        return InvalidMessage(INVALID_REQUEST, f"nested deeper than {MAX_DEPTH}")
    if not isinstance(value, list):
        return _request(value)
    # JSON-RPC 2.0 section 6: an empty batch is one Invalid Request, not an array of none.
    if not value:
        return InvalidMessage(INVALID_REQUEST, "empty batch")
    if len(value) > MAX_BATCH:
        return InvalidMessage(INVALID_REQUEST, f"batch of more than {MAX_BATCH} requests")
    return Batch(tuple(_request(item) for item in value))


def _request(value: Any) -> RpcRequest | InvalidMessage:
    if not isinstance(value, dict):
        return InvalidMessage(INVALID_REQUEST, "expected an object")
    # JSON-RPC 2.0 section 4: a request whose id is null is answered; only one without the member is not.
    id, notification = value.get("id"), "id" not in value
    if not _is_id(id):
        return InvalidMessage(
            INVALID_REQUEST, f"id: expected null, a number or at most {MAX_ID_CHARS} characters"
        )
    if value.get("jsonrpc") != "2.0":
        return InvalidMessage(INVALID_REQUEST, 'jsonrpc: expected "2.0"', id)
    method = value.get("method")
    if not isinstance(method, str):
        return InvalidMessage(INVALID_REQUEST, "method: expected a string", id)
    return RpcRequest(method, value.get("params", {}), id, notification)


def _is_id(id: Any) -> bool:
    match id:
        case None:
            return True
        case bool():
            # True is an int in Python, but not a number in JSON.
            return False
        case str():
            return len(id) <= MAX_ID_CHARS
        case int() | float():
            return abs(id) <= MAX_ID_NUMBER
        case _:
            return False


def _deeper_than(value: Any, limit: int) -> bool:
    # Level by level: a recursive walk would fail on what it has to refuse.
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


def encode_result(id: Id, value: Any) -> bytes:
    """Return the response to request ``id``: one line without its newline."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "result": value})


def encode_invalid_message(invalid: InvalidMessage) -> bytes:
    """Return the response to a message that is not a request."""
    return _error(invalid.id, invalid.number, invalid.message, "invalid_request", "", False)


def encode_unknown_method(id: Id, method: str) -> bytes:
    """Return the response to a request for a method that does not exist."""
    # Cut: the name comes from the client, and a response must not be as long as a line.
    message = f"no method {method[:64]!r}"
    return _error(id, METHOD_NOT_FOUND, message, "not_found", "call `rpc.discover` for the methods", False)


def encode_error(id: Id, cause: VoxdError) -> bytes:
    """Return the error response for ``cause``."""
    return _error(id, number_of(cause), str(cause), cause.code, cause.hint, cause.retryable)


def encode_internal_error(id: Id) -> bytes:
    """Return the response to a request that failed by a bug; the details are in the log only."""
    return _error(id, INTERNAL, "internal error", "internal", "read the log: `voxctl logs`", False)


def _error(id: Id, number: int, message: str, code: str, hint: str, retryable: bool) -> bytes:
    # JSON-RPC 2.0 section 5.1: ``data`` is the server's to define. The stable code is in it, for programs.
    data = {"code": code, "hint": hint, "retryable": retryable}
    body = {"code": number, "message": message, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "error": body})


def encode_notification(method: str, params: Any) -> bytes:
    """Return a message without id, such as an event."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})


def encode_batch(answers: list[bytes]) -> bytes:
    """Return the responses of a batch as one array; there must be at least one."""
    return b"[" + b",".join(answers) + b"]"
