"""A server on Unix sockets with a device that records its calls."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.control.fakes import FakeDevice
from voxd.control.connection import Limits
from voxd.control.server import ControlServer
from voxd.control.sockets import bind


@dataclass
class Served:
    device: FakeDevice
    server: ControlServer
    control: Path
    read: Path
    limits: Limits


@pytest.fixture
def limits() -> Limits:
    return Limits(line_deadline_s=0.2, write_deadline_s=0.2, max_clients=16)


@pytest.fixture
async def served(tmp_path: Path, limits: Limits) -> AsyncIterator[Served]:
    device = FakeDevice()
    control, read = tmp_path / "voxd.sock", tmp_path / "voxd-read.sock"
    async with ControlServer(device, [bind(control, "control"), bind(read, "read")], limits) as server:
        yield Served(device, server, control, read, limits)
