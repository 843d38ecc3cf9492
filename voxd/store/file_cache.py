"""A cache of files by key, within a size limit: the least recently used are removed first."""

import asyncio
import logging
import os
import time
from collections import OrderedDict
from pathlib import Path

_log = logging.getLogger(__name__)

# A file's time says when it was last used, and is not written more often than this: cards wear.
TOUCH_S = 86_400.0

_SUFFIX = ".flac"
_NEW = ".new"


class FileCache:
    """A directory of files; all of its work on the disk is done in threads, one change after another.

    It never raises: with a failing disk it stores nothing, which is logged once. A file is complete or
    missing, but after a power cut it may be damaged, and the caller has to detect that.
    """

    def __init__(self, directory: Path, *, limit_bytes: int) -> None:
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._sizes: OrderedDict[str, int] | None = None
        self._one = asyncio.Lock()
        self._failing = False

    async def get(self, key: str) -> bytes | None:
        """Return the data of ``key``, None when it is not cached. Does not wait for writers."""
        # Without the lock: an answer must not wait behind the writing of another.
        sizes = self._sizes if self._sizes is not None else await self._known()
        if key not in sizes:
            return None
        data = await asyncio.to_thread(self._read, key)
        if data is None:
            sizes.pop(key, None)
        elif key in sizes:
            sizes.move_to_end(key)
        return data

    async def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``; the least recently used files make room."""
        if len(data) > self._limit_bytes:
            return
        async with self._one:
            sizes = await self._known()
            if not await asyncio.to_thread(self._write, key, data):
                return
            sizes.pop(key, None)
            sizes[key] = len(data)
            surplus = []
            total = sum(sizes.values())
            while total > self._limit_bytes:
                old, size = sizes.popitem(last=False)
                surplus.append(old)
                total -= size
            await asyncio.to_thread(self._unlink, surplus)

    async def remove(self, key: str) -> None:
        """Delete the data of ``key``."""
        async with self._one:
            (await self._known()).pop(key, None)
            await asyncio.to_thread(self._unlink, [key])

    async def clear(self) -> None:
        """Delete everything."""
        async with self._one:
            sizes = await self._known()
            await asyncio.to_thread(self._unlink, [*sizes])
            sizes.clear()

    async def _known(self) -> OrderedDict[str, int]:
        if self._sizes is None:
            found = await asyncio.to_thread(self._list)
            # Another call may have listed the directory meanwhile, and changed the sizes since.
            self._sizes = found if self._sizes is None else self._sizes
        return self._sizes

    # --- in a thread ------------------------------------------------------------------------------

    def _list(self) -> OrderedDict[str, int]:
        """Return the sizes of the files, least recently used first; delete the half-written ones."""
        found: list[tuple[float, str, int]] = []
        try:
            for file in self._directory.iterdir():
                if file.suffix == _SUFFIX:
                    stat = file.stat()
                    found.append((stat.st_mtime, file.stem, stat.st_size))
                # Left by a power cut or a kill in the middle of `_write`.
                elif file.suffix == _NEW:
                    file.unlink()
        except FileNotFoundError:
            return OrderedDict()
        except OSError as error:
            self._log_failure(error)
        return OrderedDict((name, size) for _, name, size in sorted(found))

    def _read(self, key: str) -> bytes | None:
        file = self._file(key)
        try:
            data = file.read_bytes()
            # Not atime: cards are mounted with noatime or relatime.
            if time.time() - file.stat().st_mtime > TOUCH_S:
                os.utime(file)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._log_failure(error)
            return None
        return data

    def _write(self, key: str, data: bytes) -> bool:
        file = self._file(key)
        new = file.with_suffix(_NEW)
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Not fsynced: a file damaged by a power cut is synthesized again.
            with open(
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
            ) as target:
                target.write(data)
            # rename(2) is atomic: a reader sees the old file or the whole new one.
            new.replace(file)
        except OSError as error:
            self._log_failure(error)
            self._drop(new)
            return False
        self._failing = False
        return True

    def _unlink(self, keys: list[str]) -> None:
        for key in keys:
            self._drop(self._file(key))

    def _drop(self, file: Path) -> None:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            self._log_failure(error)

    def _file(self, key: str) -> Path:
        return self._directory / f"{key}{_SUFFIX}"

    def _log_failure(self, error: OSError) -> None:
        if not self._failing:
            _log.warning("cannot write the cache %s: %s", self._directory, error.strerror)
        self._failing = True
