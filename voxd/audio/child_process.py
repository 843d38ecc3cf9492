"""The child's side of the audio programs: arguments, reports to the daemon, and ending with it.

It imports neither asyncio, numpy nor dataclasses: a capture process is replaced within 60 ms, and most
of that is the import time of its modules.
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

from voxd.errors import VoxdError

_PR_SET_PDEATHSIG = 1


def begin() -> dict[str, Any]:
    """Return the arguments (one JSON object in ``argv[1]``) and tie this process to its parent."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    die_with_parent(arguments["parent"])
    return arguments


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies, even while a library hangs.

    prctl(2) PR_SET_PDEATHSIG. A parent that died before the call is noticed by the changed parent id.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def report(**fields: Any) -> None:
    """Send a report to the daemon: one line of JSON on standard output."""
    os.write(1, json.dumps(fields).encode() + b"\n")


def fail(error: VoxdError) -> NoReturn:
    """Report ``error`` and end at once, without asking PortAudio to close anything."""
    report(code=error.code, message=str(error), hint=error.hint)
    os._exit(1)


def wait_for_the_end(_stream: object) -> NoReturn:
    """Keep the stream and block until the daemon closes our standard input, then end at once."""
    while os.read(0, 4096):
        pass
    os._exit(0)
