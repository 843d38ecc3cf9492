"""Child processes: the one place that starts, ends and reaps the programs an event loop waits for.

It avoids two faults of `asyncio.subprocess.Process` and so gives no access to that class. Programs without an
event loop, such as `voxctl`, may use `subprocess.run`.
"""

# A lost exit status. asyncio reaps a child in a thread that blocks in waitpid(2). `subprocess.Popen` polls
# (waitpid with WNOHANG) in `poll`, in every signal it sends and when an asyncio transport is closed before
# its child has ended. A poll between the exit of the child and the thread's own wait takes the status away:
# asyncio logs "Unknown child process pid N, will report returncode 255". So this module signals with
# os.kill, and closes the transport only after the end.
#
# A wait without end. `Process.wait` of Python 3.11 returns only when every pipe is at its end. asyncio stops
# reading standard output while twice `limit` bytes are buffered, so after too much output it never sees that
# end; a grandchild that inherited a pipe has the same effect. So this module waits for the exit alone.

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, SubprocessStreamProtocol
from collections import deque
from collections.abc import Mapping, Sequence

from voxd.tasks import TaskScope, cancel_and_wait

_log = logging.getLogger(__name__)

# SIGKILL works within milliseconds, unless the process is in an uninterruptible system call.
KILL_TIMEOUT_S = 2.0
_DRAIN_TIMEOUT_S = 1.0

# PortAudio can write thousands of lines a second when a card disappears (PortAudio issue 1037).
_LOGGED_LINES = 40

_LOGGED_CHARACTERS = 200
_READ_BYTES = 4096


def explain_exit(returncode: int) -> str:
    """Return in words what ``returncode`` (negative: a signal) says about a process."""
    if returncode == -signal.SIGKILL:
        return "was killed (SIGKILL: the kernel sends it when memory runs out)"
    if returncode < 0:
        return f"crashed ({signal.Signals(-returncode).name})"
    return f"ended by itself (exit status {returncode})"


class _Protocol(SubprocessStreamProtocol):
    """The streams of asyncio, and the exit of the process apart from the end of its pipes."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, loop=asyncio.get_running_loop())
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.exited.set()


class ChildProcess:
    """One running program. Its starter closes it: `close` leaves neither a zombie nor an open pipe."""

    def __init__(
        self, name: str, transport: asyncio.SubprocessTransport, protocol: _Protocol, *, own_group: bool
    ) -> None:
        self.name = name
        self.pid = transport.get_pid()
        self.last_lines: deque[str] = deque(maxlen=4)
        """The end of what it wrote to standard error, which often is the reason of a crash."""
        self._transport = transport
        self._protocol = protocol
        self._own_group = own_group
        self._tasks = TaskScope(name)
        self._end: asyncio.Task[None] | None = None
        self._drain = self._tasks.start(self._drain_stderr(protocol.stderr)) if protocol.stderr else None

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        stdin: int = DEVNULL,
        stdout: int = DEVNULL,
        stderr: int = PIPE,
        limit: int = 2**16,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        own_group: bool = False,
    ) -> "ChildProcess":
        """Start ``argv``; standard error goes to the debug log unless it is DEVNULL.

        ``limit`` is the longest line that may be read from standard output, in bytes. With ``own_group``
        the end of the child ends the children it started too. Raises `OSError` or `ValueError`.
        """
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: _Protocol(limit),
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
            env=env,
            start_new_session=own_group,
        )
        return cls(name, transport, protocol, own_group=own_group)

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._transport.get_returncode()

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Its standard input, if that was PIPE."""
        assert self._protocol.stdin is not None
        return self._protocol.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """Its standard output, if that was PIPE."""
        assert self._protocol.stdout is not None
        return self._protocol.stdout

    async def wait(self) -> int:
        """Return the exit status when it has ended; its pipes may still be open."""
        await self._protocol.exited.wait()
        returncode = self.returncode
        assert returncode is not None
        return returncode

    async def wait_or_kill(self, timeout_s: float) -> int:
        """Return the exit status, after at most ``timeout_s``: then it is killed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                return await self.wait()
        self.kill()
        return await self.wait()

    async def last_line(self) -> str:
        """Return the last line it wrote to standard error. Call it after the end."""
        if self._drain is not None:
            await asyncio.wait([self._drain], timeout=_DRAIN_TIMEOUT_S)
        return self.last_lines[-1] if self.last_lines else ""

    def kill(self) -> None:
        """Send SIGKILL, if it still runs. Does not wait: see `close`."""
        with contextlib.suppress(ProcessLookupError):
            if self._own_group:
                # After a good end too: the program may have left children in its group.
                os.killpg(self.pid, signal.SIGKILL)
            elif self.returncode is None:
                # Not Process.kill, which polls. A pid is not given to another process until the numbers
                # wrap around, and the loop learns of the end long before.
                os.kill(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill it, wait until it is gone and close its pipes.

        Idempotent. A cancelled call does not stop the work, and the next call waits for the same end.
        """
        if self._end is None:
            self._end = self._tasks.start(self._finish(), name=f"{self.name} end", is_awaited=True)
        await asyncio.shield(self._end)

    async def _finish(self) -> None:
        self.kill()
        if self._protocol.stdin is not None:
            self._protocol.stdin.close()
        try:
            async with asyncio.timeout(KILL_TIMEOUT_S):
                await self.wait()
        except TimeoutError:
            # Stuck in a driver: it ends when the kernel lets go, and until then it does nothing.
            _log.error("%s (process %d) cannot be killed", self.name, self.pid)
            return
        if self._drain is not None:
            # A grandchild may keep the pipe open.
            await asyncio.wait([self._drain], timeout=_DRAIN_TIMEOUT_S)
            await cancel_and_wait(self._drain)
        # asyncio keeps the pipes until the loop has seen their end; frequent restarts must not leak them.
        self._transport.close()

    async def _drain_stderr(self, stderr: asyncio.StreamReader) -> None:
        lines, rest = 0, b""
        while chunk := await stderr.read(_READ_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            # A program may write without ever ending a line.
            rest = rest[-_READ_BYTES:]
            for line in whole:
                lines += self._note_line(line, is_logged=lines < _LOGGED_LINES)
        lines += self._note_line(rest, is_logged=lines < _LOGGED_LINES)
        if lines > _LOGGED_LINES:
            _log.debug("%s wrote %d more lines", self.name, lines - _LOGGED_LINES)

    def _note_line(self, line: bytes, *, is_logged: bool) -> bool:
        text = line.decode(errors="replace").strip()[:_LOGGED_CHARACTERS]
        if not text:
            return False
        self.last_lines.append(text)
        if is_logged:
            _log.debug("%s: %s", self.name, text)
        return True
