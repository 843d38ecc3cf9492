"""Writes the audio of each turn to two WAV files, and deletes those of the oldest turns."""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Literal

from voxd.audio.files import wav_bytes
from voxd.clock import Clock
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

Side = Literal["user", "reply"]

# The most audio of one side of a turn; the rest is dropped and counted.
MAX_SIDE_S = 600

# Only files with this name are ever deleted: the directory may be one of the user's.
_PATTERN = "voxd-*-*-*.wav"


class SessionRecording:
    """Collects the audio of the present turn and writes it, in a thread, when it is complete.

    Files are named ``voxd-DATE-TIME-NUMBER-user.wav`` and ``-reply.wav``, in UTC, and only their owner can
    read them. A file that cannot be written is logged; the conversation continues.
    """

    def __init__(self, directory: Path, *, rate_hz: int, keep_turns: int, clock: Clock) -> None:
        self._directory = directory
        self._rate_hz = rate_hz
        self._keep_turns = keep_turns
        self._clock = clock
        self._limit_bytes = MAX_SIDE_S * rate_hz * BYTES_PER_SAMPLE
        self._sides: dict[Side, bytearray] = {"user": bytearray(), "reply": bytearray()}
        self._turn = 0
        self._stem = ""
        self._tasks = TaskScope("voice engine recording")
        self._order = asyncio.Lock()
        self.dropped_bytes = 0

    def add(self, side: Side, pcm: bytes) -> None:
        """Add audio of one side of the turn."""
        audio = self._sides[side]
        free_bytes = self._limit_bytes - len(audio)
        self.dropped_bytes += max(0, len(pcm) - free_bytes)
        # In place: a bytearray grows without a copy of ten minutes for every chunk.
        audio += pcm[:free_bytes]

    def forget(self, side: Side) -> None:
        """Drop the audio of one side since its last `finish`."""
        self._sides[side].clear()

    def finish(self, side: Side) -> None:
        """Write the audio of one side; the user's side begins a turn."""
        pcm = bytes(self._sides[side])
        self._sides[side].clear()
        if not pcm:
            return
        if side == "user" or not self._stem:
            self._turn += 1
            moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock.wall()))
            self._stem = f"voxd-{moment}-{self._turn:06d}"
        self._tasks.start(self._write(f"{self._stem}-{side}.wav", pcm))
        if side == "reply":
            # A reply without audio of the user, to a typed question, begins a turn of its own.
            self._stem = ""

    async def close(self) -> None:
        """Write the reply so far and wait until every file is written.

        Audio of the user without a reply is dropped: it does not belong to a turn.
        """
        self.finish("reply")
        await self._tasks.join()

    async def _write(self, name: str, pcm: bytes) -> None:
        # In the order of the turns, because every write also deletes the oldest files.
        async with self._order:
            try:
                await asyncio.to_thread(self._store, name, pcm)
            except OSError as error:
                _log.warning("the recording %s was not written: %s", name, error)

    def _store(self, name: str, pcm: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / name
        # The mode is set when the file is created: a later chmod would leave it readable for a moment.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(wav_bytes(Clip(pcm, self._rate_hz)))
        # Names, not times of change: a copied or touched file keeps its place.
        names = [entry.name for entry in self._directory.glob(_PATTERN)]
        for old in select_surplus(names, self._keep_turns):
            (self._directory / old).unlink(missing_ok=True)


def select_surplus(names: list[str], keep_turns: int) -> list[str]:
    """Return the files of all turns but the newest ``keep_turns``; names sort by age."""
    newest = sorted({turn_of(name) for name in names}, reverse=True)[:keep_turns]
    return sorted(name for name in names if turn_of(name) not in newest)


def turn_of(name: str) -> str:
    """Return the part of a file's name that is the same for both sides of a turn."""
    return name.rsplit("-", 1)[0]
