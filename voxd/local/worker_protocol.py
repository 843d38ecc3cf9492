"""The framing between the daemon and a worker process: one JSON header line, then payload bytes."""

from typing import Any

import msgspec

from voxd.errors import LocalEngineError

# A header names an operation and a few numbers; anything longer is not ours.
MAX_HEADER_BYTES = 8 * 1024

# Six minutes of 22.05 kHz sound: far above a sentence, far below the memory of a Pi.
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024


# JSON for the header, because it is small and can be read in a log; raw bytes for the sound, which is not.
class WorkerMessage(msgspec.Struct, frozen=True):
    """One message; ``id`` is the request it belongs to, 0 for the process itself."""

    op: str
    id: int = 0
    payload_bytes: int = 0
    data: dict[str, Any] = {}


def encode(op: str, id: int = 0, payload: bytes = b"", data: dict[str, Any] | None = None) -> bytes:
    """Return the bytes of a message. Raises `LocalEngineError` when it is larger than the caps."""
    header = msgspec.json.encode(WorkerMessage(op, id, len(payload), data or {})) + b"\n"
    if len(header) > MAX_HEADER_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise LocalEngineError(
            f"a message of {len(header)} + {len(payload)} bytes is too large for the engine"
        )
    return header + payload


def decode_header(line: bytes) -> WorkerMessage:
    """Return the message whose header is ``line``. Raises `LocalEngineError` when it is not one."""
    if len(line) > MAX_HEADER_BYTES or not line.endswith(b"\n"):
        raise LocalEngineError("the engine's process sent no header line")
    try:
        message = msgspec.json.decode(line, type=WorkerMessage)
    except msgspec.MsgspecError as error:
        raise LocalEngineError(f"the engine's process sent an invalid header: {error}") from None
    if not 0 <= message.payload_bytes <= MAX_PAYLOAD_BYTES:
        raise LocalEngineError(f"the engine's process announced {message.payload_bytes} bytes")
    return message
