"""Maps errors to JSON-RPC error codes and back. Standard library only, so that `voxctl` starts fast."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from voxd import errors
from voxd.errors import VoxdError

# JSON-RPC 2.0 section 5.1, the predefined errors.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603

# JSON-RPC 2.0 section 5.1 reserves -32000 to -32099 for errors that the server defines.
NUMBERS: Mapping[type[VoxdError], int] = MappingProxyType(
    {
        errors.Busy: -32000,
        errors.Muted: -32001,
        errors.ProviderError: -32002,
        errors.NotPermitted: -32003,
        errors.NotFound: -32004,
        errors.DeadlineExceeded: -32005,
        errors.ConfigError: -32006,
        errors.DeviceError: -32007,
        errors.LocalEngineError: -32008,
        errors.ModelError: -32009,
        errors.StoreError: -32010,
        errors.AudioError: -32011,
        errors.AuthenticationError: -32012,
        errors.RateLimited: -32013,
        errors.ConnectionFailed: -32014,
        errors.NotConnected: -32015,
        errors.StreamError: -32016,
        errors.ContextTooLong: -32017,
        errors.SpendLimitReached: -32018,
        errors.NotUnderstood: -32019,
        errors.NoAnswer: -32020,
        errors.InvalidRequest: INVALID_PARAMS,
    }
)

_CLASSES: Mapping[int, type[VoxdError]] = MappingProxyType(
    {number: kind for kind, number in NUMBERS.items()}
    | {PARSE_ERROR: errors.InvalidRequest, INVALID_REQUEST: errors.InvalidRequest}
)


# The hint for a user without permission to open the control socket.
JOIN_HINT = "join the group voxd (`sudo adduser $USER voxd`) and log in again"


class ProtocolError(VoxdError):
    """The peer speaks another protocol, or another version of this one."""

    code = "protocol_error"
    hint = "restart voxd after an upgrade: `voxctl restart`"


def number_of(error: VoxdError) -> int:
    """Return the JSON-RPC code of ``error``: that of its nearest base class in `NUMBERS`."""
    # A subclass without a number of its own is sent as its base; its code in ``data`` still names it.
    for kind in type(error).__mro__:
        if kind in NUMBERS:
            return NUMBERS[kind]
    return INTERNAL


def error_from_wire(error: Any) -> VoxdError:
    """Return the exception for the ``error`` member of a response."""
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return ProtocolError("the daemon sent a malformed error")
    number, data = error["code"], error.get("data")
    detail = data if isinstance(data, dict) else {}
    message, hint, code = str(error.get("message", "")), str(detail.get("hint", "")), detail.get("code")
    # A method that the daemon does not know: its version differs from that of this client.
    if number == METHOD_NOT_FOUND:
        return ProtocolError(message)
    # An unknown number, of a newer daemon, keeps its message, hint and stable code.
    kind = _CLASSES.get(number, VoxdError)
    return kind(message, hint=hint, code=code if isinstance(code, str) else "")
