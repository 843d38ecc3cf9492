"""The child's side of the audio programs: arguments, reports to the daemon, and the end with the daemon.

No asyncio, numpy or dataclasses here: a lost capture process is replaced within 60 ms, and most of that is
the import time of its modules.
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
    # On the command line, not on standard input: that one only shows the end of the daemon.
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    die_with_parent(arguments["parent"])
    return arguments


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies, even while a library hangs."""
    # prctl(2): the signal comes from the kernel, so no thread of this process has to run for it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The setting acts only on a later death: a parent that has died already shows as a changed parent id.
    if os.getppid() != parent:
        os._exit(1)


def report(**fields: Any) -> None:
    """Send a report to the daemon: one line of JSON on standard output."""
    os.write(1, json.dumps(fields).encode() + b"\n")


def fail(error: VoxdError) -> NoReturn:
    """Report ``error`` and end at once."""
    report(code=error.code, message=str(error), hint=error.hint)
    # _exit, without Pa_Terminate: closing a stream of a device that is gone can abort the process.
    os._exit(1)


def wait_for_the_end(_stream: object) -> NoReturn:
    """Keep the stream and block until the daemon closes standard input, then end at once."""
    while os.read(0, 4096):
        pass
    os._exit(0)
