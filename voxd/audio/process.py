"""Starts and ends the small audio programs, and keeps what they write to standard error in the debug log."""

import asyncio
import json
import logging
import os
import sys
from collections import deque
from typing import Any

from voxd.errors import DeviceError

_log = logging.getLogger(__name__)

_LOGGED_LINES = 40
"""PortAudio can write thousands of lines a second when a card disappears (its issue 1037)."""

_KILL_TIMEOUT_S = 2.0


class AudioProcess:
    """One running audio program. It dies with us, and at once when told to."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._module = module
        self._tail: deque[str] = deque(maxlen=4)
        self._end: asyncio.Task[None] | None = None
        self._drain = asyncio.create_task(self._drain_stderr(), name=f"{module} stderr")

    @classmethod
    async def spawn(cls, module: str, arguments: dict[str, Any], fds: tuple[int, ...] = ()) -> "AudioProcess":
        """Start ``python -m module`` with ``arguments`` as JSON and these descriptors open.

        Raises `DeviceError` when the machine cannot start another process.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                json.dumps({**arguments, "parent": os.getpid()}),
                pass_fds=fds,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise DeviceError(f"cannot start {module}: {error}") from error
        return cls(process, module)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.returncode is None

    async def report(self, timeout_s: float) -> dict[str, Any]:
        """Return its next report. Raises `DeviceError` when it reports one, ends or says nothing."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            async with asyncio.timeout(timeout_s):
                line = await stdout.readline()
        except TimeoutError:
            raise DeviceError(f"{self._module} did not answer within {timeout_s:g} s") from None
        if not line:
            await self.kill()
            raise DeviceError(f"{self._module} ended: {' / '.join(self._tail) or 'no message'}")
        fields: dict[str, Any] = json.loads(line)
        if "code" in fields:
            raise DeviceError(fields["message"], hint=fields["hint"], code=fields["code"])
        return fields

    async def kill(self) -> None:
        """End it at once (a hanging PortAudio obeys nothing softer) and wait until it is gone.

        Idempotent: who calls it again after a cancelled call waits for the same end.
        """
        if self._end is None:
            self._end = asyncio.create_task(self._kill(), name=f"{self._module} end")
        await asyncio.shield(self._end)

    async def _kill(self) -> None:
        if self.alive:
            try:
                self._process.kill()
            except ProcessLookupError:
                _log.debug("%s was gone already", self._module)
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                await self._process.wait()
                await self._drain
        except TimeoutError:
            # Stuck in a driver: it dies when the kernel lets go, and until then it touches nothing.
            _log.error("%s (process %d) cannot be killed", self._module, self.pid)

    async def _drain_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        logged = 0
        rest = b""
        while chunk := await stderr.read(4096):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-4096:]
            for line in lines:
                text = line.decode(errors="replace").strip()
                self._tail.append(text[:200])
                if (logged := logged + 1) <= _LOGGED_LINES:
                    _log.debug("%s: %s", self._module, text)
        if logged > _LOGGED_LINES:
            _log.debug("%s wrote %d more lines", self._module, logged - _LOGGED_LINES)
