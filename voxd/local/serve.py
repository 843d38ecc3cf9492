"""The worker process of one engine: requests on standard input, results on the former standard output."""

import importlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from voxd.audio.child_process import die_with_parent
from voxd.errors import LocalEngineError, VoxdError
from voxd.local.worker_protocol import MAX_HEADER_BYTES, WorkerMessage, decode_header, encode

# Capture and playback must not wait for inference.
_NICE = 5
# proc(5), oom_score_adj: added to the share of memory in use, in thousandths.
_OOM_SCORE = 500


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """One piece of an engine's result."""

    op: str
    payload: bytes = b""
    data: dict[str, Any] = field(default_factory=dict)


class WorkerEngine(Protocol):
    """A model in this process; every method may block."""

    def load(self, settings: dict[str, Any], payload: bytes) -> None:
        """Make ready. Raises `VoxdError`."""

    def work(
        self, op: str, data: dict[str, Any], payload: bytes, cancelled: Callable[[], bool]
    ) -> Iterator[EngineOutput]:
        """Yield the results of one request; end soon after ``cancelled()`` is true. Raises `VoxdError`."""


class Server:
    """Serves one engine over two byte streams; a thread reads, so that a cancellation is seen at once."""

    def __init__(self, engine: WorkerEngine, source: BinaryIO, sink: BinaryIO) -> None:
        self._engine = engine
        self._source = source
        self._sink = sink
        # The client sends one request at a time: a full queue means it is not our client.
        self._requests: queue.Queue[tuple[WorkerMessage, bytes]] = queue.Queue(maxsize=4)
        self._cancelled_id = 0

    def run(self) -> None:
        """Serve until standard input ends, which ends the process, whatever it is doing."""
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            message, payload = self._requests.get()
            self._handle(message, payload)

    def _read(self) -> None:
        while line := self._source.readline(MAX_HEADER_BYTES + 1):
            message = decode_header(line)
            payload = self._source.read(message.payload_bytes)
            if message.op == "cancel":
                # Written by this thread only; the other reads one integer, which needs no lock.
                self._cancelled_id = max(self._cancelled_id, message.id)
            else:
                self._requests.put_nowait((message, payload))
        # Not sys.exit: this thread cannot end the one that computes, and the daemon waits for this process.
        os._exit(0)

    def _handle(self, message: WorkerMessage, payload: bytes) -> None:
        def cancelled() -> bool:
            # Ids rise, so a cancellation also covers every earlier request; 0 is the load.
            return self._cancelled_id >= message.id > 0

        try:
            if message.op == "load":
                self._engine.load(message.data, payload)
            else:
                for output in self._engine.work(message.op, message.data, payload, cancelled):
                    self._send(output.op, message.id, output.payload, output.data)
            self._send("done", message.id)
        except VoxdError as error:
            self._send(
                "error",
                message.id,
                data={"code": error.code, "message": str(error)[:500], "hint": error.hint[:200]},
            )
        # It has no text of its own, and a model that is too large is a cause the user can act on.
        except MemoryError:
            self._send("error", message.id, data={"code": LocalEngineError.code, "message": "out of memory"})
        except Exception as error:
            # Third-party models raise anything; the process serves on and the daemon decides.
            text = f"{type(error).__name__}: {error}"[:500]
            self._send("error", message.id, data={"code": LocalEngineError.code, "message": text})

    def _send(self, op: str, id: int, payload: bytes = b"", data: dict[str, Any] | None = None) -> None:
        self._sink.write(encode(op, id, payload, data))
        self._sink.flush()


def serve(engine_of: Callable[[], WorkerEngine]) -> None:
    """Serve an engine: end with the parent, yield the CPU to the audio, loop until standard input ends."""
    die_with_parent(os.getppid())
    os.nice(_NICE)
    _offer_to_oom_killer()
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    # Libraries print to descriptors 0 and 1; what they print must not become part of the protocol.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    # Ctrl+C in a terminal goes to the whole group; the daemon ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Server(engine_of(), source, sink).run()


def _offer_to_oom_killer() -> None:
    """Ask the kernel to kill this process before the daemon when memory runs out."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(_OOM_SCORE))
    except OSError:
        return


def main(engine: str) -> None:
    """Serve ``engine``, a "module:Class" imported only here, so that the daemon never loads its library."""
    module, _, name = engine.partition(":")
    serve(lambda: getattr(importlib.import_module(module), name)())


if __name__ == "__main__":
    main(sys.argv[1])
