"""The settings made on the device, mute and volume, saved over restarts in one small file."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from voxd.atomic_file import put_in_place
from voxd.clock import Clock, SystemClock
from voxd.errors import StoreError
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)


RETRY_S = 30.0
"""How often a file that could not be written is tried again."""


class SavedSettings(msgspec.Struct, frozen=True):
    """The values that outlive a restart; None means "as configured"."""

    muted: bool = False
    volume_percent: int | None = None


class SettingsFile:
    """Reads and replaces the file as a whole, so that a power cut leaves the old or the new one.

    ``values`` is what the file holds. One change is written after another, in a thread: a slow card delays
    only who waits for it.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self.values = self._read()
        self.problem = ""
        """Why the last change could not be saved; "" once the file can be written again."""
        # What is in force although the file does not have it.
        self._owed: dict[str, bool | int] = {}
        self._lock = asyncio.Lock()
        self._writes = TaskScope("settings")
        self._retrying = TaskScope("settings retry")

    async def save(self, **values: bool | int) -> None:
        """Change ``values`` once the file has them. Raises `StoreError`, and then nothing was changed."""
        # To its end also when the caller is cancelled: memory must not differ from the disk.
        await asyncio.shield(self._writes.start(self._save(values), is_awaited=True))

    def save_later(self, **values: bool | int) -> None:
        """Write ``values``, which are in force whatever the disk does, as soon as it can be written."""
        self._owed |= values
        self._retry()

    async def close(self) -> None:
        """Wait until the file is written; idempotent."""
        await self._retrying.close()
        await self._writes.join()

    async def _save(self, values: Mapping[str, bool | int]) -> None:
        async with self._lock:
            self._owed = {name: value for name, value in self._owed.items() if name not in values}
            new = msgspec.structs.replace(self.values, **{**self._owed, **values})
            if new != self.values:
                await self._replace(new)

    async def _replace(self, new: SavedSettings) -> None:
        try:
            await asyncio.to_thread(self._write, msgspec.json.encode(new))
        except OSError as error:
            # It is spoken too: the path is for the log and the hint.
            reason = (error.strerror or str(error)).lower()
            hint = f"check free space and permissions of {self._path.parent}"
            failure = StoreError(f"the settings cannot be saved: {reason}", hint=hint)
            if not self.problem:
                _log.warning("%s; %s", failure, failure.hint)
            self.problem = f"{failure}; {failure.hint}"
            self._retry()
            raise failure from error
        self.values, self.problem, self._owed = new, "", {}

    def _retry(self) -> None:
        if not self._retrying:
            self._retrying.start(self._try_again())

    async def _try_again(self) -> None:
        while self.problem or self._owed:
            await self._clock.sleep(RETRY_S)
            async with self._lock:
                with suppress(StoreError):  # logged once, and in the status
                    await self._replace(msgspec.structs.replace(self.values, **self._owed))

    def _read(self) -> SavedSettings:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=SavedSettings)
        except (OSError, msgspec.DecodeError):
            # Missing at the first start, and worth no more than its defaults when damaged.
            return SavedSettings()

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(content)
        put_in_place(temporary, self._path)
