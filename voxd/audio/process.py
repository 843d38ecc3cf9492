"""The daemon's side of an audio program: arguments go in as JSON, reports come out as lines of JSON."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from typing import Any

from voxd.children import ChildProcess
from voxd.errors import DeviceError


class AudioProcess:
    """A running audio program. `voxd.audio.child_process` is its other end."""

    def __init__(self, child: ChildProcess) -> None:
        self._child = child

    @classmethod
    async def spawn(cls, module: str, arguments: dict[str, Any], fds: tuple[int, ...] = ()) -> "AudioProcess":
        """Start ``python -m module`` with ``arguments`` as JSON and these descriptors open.

        Raises `DeviceError` when the machine cannot start another process.
        """
        argv = (sys.executable, "-m", module, json.dumps({**arguments, "parent": os.getpid()}))
        try:
            # The program ends at the end of its standard input, which the daemon keeps open.
            child = await ChildProcess.start(module, argv, stdin=PIPE, stdout=PIPE, pass_fds=fds)
        except OSError as error:
            raise DeviceError(f"cannot start {module}: {error}") from error
        return cls(child)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.returncode is None

    async def report(self, timeout_s: float) -> dict[str, Any]:
        """Return its next report. Raises `DeviceError` when it reports an error, ends or is too late."""
        name = self._child.name
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._child.stdout.readline()
        except TimeoutError:
            raise DeviceError(f"{name} did not answer within {timeout_s:g} s") from None
        if not line:
            await self.kill()
            raise DeviceError(f"{name} ended: {' / '.join(self._child.last_lines) or 'no message'}")
        fields: dict[str, Any] = json.loads(line)
        if "code" in fields:
            raise DeviceError(fields["message"], hint=fields["hint"], code=fields["code"])
        return fields

    async def kill(self) -> None:
        """End it at once and wait until it is gone; idempotent."""
        # With SIGKILL: a hung PortAudio reacts to nothing else.
        await self._child.close()
