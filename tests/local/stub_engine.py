"""An engine's process that does what a test asks for: `python stub_engine.py`."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from voxd.errors import ModelError
from voxd.local.serve import EngineOutput, serve


class Stub:
    def load(self, settings: dict[str, Any], payload: bytes) -> None:
        match settings.get("load"):
            case "broken":
                raise ModelError("the model is broken", hint="pull it again")
            case "crash":
                print("last words", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGABRT)
            case "hang":
                threading.Event().wait()

    def work(
        self, op: str, data: dict[str, Any], payload: bytes, cancelled: Callable[[], bool]
    ) -> Iterator[EngineOutput]:
        match op:
            case "echo":
                yield EngineOutput("echo", payload, {"pid": os.getpid(), "nice": os.nice(0)})
            case "print":
                print("a library prints to standard output", flush=True)
                ctypes.CDLL(None).puts(b"and so does C")
                yield EngineOutput("echo", payload)
            case "hang":
                yield EngineOutput("echo")
                threading.Event().wait()
            case "until_cancelled":
                yield EngineOutput("echo")
                while not cancelled():
                    pass
            case "die":
                yield EngineOutput("echo")
                print("last words", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            case "garbage":
                os.write(_sink(), b"not a header\n" * 3)
                threading.Event().wait()
            case "endless":
                os.write(_sink(), b"x" * 500_000)
                threading.Event().wait()
            case "huge":
                os.write(_sink(), b'{"op":"echo","id":1,"payload_bytes":99999999999}\n')
                threading.Event().wait()
            case "raise":
                raise ValueError("a plain bug")
            case "memory":
                raise MemoryError
            case "noise":
                for _ in range(20_000):
                    print("x" * 200, file=sys.stderr)
                yield EngineOutput("echo")


def _sink() -> int:
    """The descriptor that was standard output: the highest pipe this process has open for writing."""
    pipes = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("pipe:") and int(name) > 2:
                pipes.append(int(name))
        except OSError:
            continue
    return max(pipes)


if __name__ == "__main__":
    serve(Stub)
