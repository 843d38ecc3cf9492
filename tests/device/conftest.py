"""A whole daemon in this process, with a virtual microphone in a quiet room and a virtual loudspeaker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from voxd.audio.files import write_wav
from voxd.config.schema import Audio, Config, Turn
from voxd.control.sockets import bind
from voxd.daemon import Daemon
from voxd.frames import SAMPLE_RATE_HZ, Clip


class DeviceRig:
    """A daemon that can be started again, and the configuration file it would read."""

    def __init__(self, directory: Path, stack: AsyncExitStack) -> None:
        write_wav(directory / "quiet.wav", Clip(bytes(32_000), SAMPLE_RATE_HZ))
        quiet = Audio(input="virtual", output="virtual", virtual_input=str(directory / "quiet.wav"))
        self.config = Config(audio=quiet, turn=Turn(earcons=False))
        self.directory = directory
        self._stack = stack

    def change(self, **sections: object) -> None:
        """Edit the file; it is read by the next start or reload."""
        self.config = msgspec.structs.replace(self.config, **sections)

    async def start(self, *, heed_mute: bool = True) -> Daemon:
        daemon = Daemon(
            self.config,
            lambda: self.config,
            state_dir=self.directory,
            models_dir=self.directory,
            heed_mute=heed_mute,
        )
        self._stack.push_async_callback(daemon.stop)
        await daemon.start([bind(self.directory / "voxd.sock", "control")])
        return daemon


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeviceRig]:
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        yield DeviceRig(tmp_path, stack)
