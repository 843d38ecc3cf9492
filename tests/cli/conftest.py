"""`voxctl` as a real process against a real server in front of a device that remembers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.control.fakes import FakeDevice
from voxd.control.server import ControlServer
from voxd.control.sockets import bind

PATIENCE_S = 30.0


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Device:
    fake: FakeDevice
    server: ControlServer
    socket: Path


Voxctl = Callable[..., Awaitable[Ran]]


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts from there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VOXD", "XDG"))}
    return kept | {"PYTHONPATH": os.pathsep.join(sys.path)} | changes


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Device]:
    fake, path = FakeDevice(), tmp_path / "voxd.sock"
    listeners = [bind(path, "control"), bind(tmp_path / "voxd-read.sock", "read")]
    async with ControlServer(fake, listeners) as server:
        yield Device(fake, server, path)


@pytest.fixture
def voxctl(tmp_path: Path) -> Voxctl:
    """Run ``voxctl`` with arguments; VOXD_SOCKET names a socket in ``tmp_path``."""

    async def run(*args: str, stdin: bytes = b"", **options: Any) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "voxd.cli.main",
            *args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(VOXD_SOCKET=str(tmp_path / "voxd.sock")),
            **options,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), PATIENCE_S)
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    return run
