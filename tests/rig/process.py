"""The daemon as a real process, in a directory of its own, watched over its sockets and ended by its id."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from voxd.control.client import ControlClient

VOXD = Path(sys.executable).parent / "voxd"
START_S = 30.0
EVENT_S = 30.0
"""Generous: a loaded machine is slow, and a test that waits for an event ends when it comes."""


class VoxdProcess:
    """One daemon, its sd_notify messages and its events."""

    def __init__(
        self, directory: Path, *, env: Mapping[str, str] | None = None, sets: tuple[str, ...] = ()
    ) -> None:
        self.directory = directory
        self.socket_path = directory / "voxd.sock"
        self._sets = sets
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setblocking(False)
        notify_path = directory / "notify"
        notify_path.unlink(missing_ok=True)
        self._notify.bind(str(notify_path))
        self.env = {
            **os.environ,
            "STATE_DIRECTORY": str(directory / "state"),
            "RUNTIME_DIRECTORY": str(directory),
            "NOTIFY_SOCKET": str(notify_path),
            "WATCHDOG_USEC": "4000000",
            "HOME": str(directory),
            **(env or {}),
        }
        self.env.pop("VOXD_SOCKET", None)
        self.notified: list[str] = []
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it and return when it says READY."""
        await self.launch()
        await self.wait_notified("READY=1", START_S)
        return self

    async def launch(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start it without waiting for anything."""
        settings = [part for item in self._sets for part in ("--set", item)]
        with (self.directory / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(VOXD), *settings, *arguments, env=self.env, stdout=log, stderr=log, cwd=self.directory
            )
        return self.process

    async def wait_notified(self, text: str, timeout_s: float = EVENT_S) -> str:
        """Return the first message to systemd, from now on, that contains ``text``."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            while True:
                message = (await loop.sock_recv(self._notify, 4096)).decode()
                self.notified.append(message)
                if text in message:
                    return message

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.directory / "log").read_text()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    def client(self) -> ControlClient:
        """Return a client of its control socket, not yet connected."""
        return ControlClient(self.socket_path, timeout_s=EVENT_S)

    @asynccontextmanager
    async def events(self, *types: str) -> AsyncIterator["Events"]:
        """Subscribe; what happens from here on is not missed."""
        async with self.client() as client:
            subscription = client.subscribe(types or ("*",))
            async with aclosing(subscription):
                yield Events(subscription, await anext(subscription))

    async def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            return await self.process.wait()

    async def close(self) -> None:
        """End it, kindly or not."""
        self._notify.close()
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class Events:
    """The events of one subscription."""

    def __init__(self, subscription: AsyncIterator[Any], opening: Any) -> None:
        self._subscription = subscription
        self.opening = opening

    async def until(self, type: str, timeout_s: float = EVENT_S, **data: Any) -> Any:
        """Return the data of the next event of ``type`` that contains ``data``."""
        async with asyncio.timeout(timeout_s):
            async for event in self._subscription:
                if event.get("type") == type and data.items() <= event["data"].items():
                    return event["data"]
        msg = f"the daemon went away before {type}"
        raise AssertionError(msg)


def children(pid: int) -> dict[int, str]:
    """Return the child processes of ``pid`` with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            parent = int(stat.rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
