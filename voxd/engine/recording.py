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

_log = logging.getLogger(__name__)

Side = Literal["user", "reply"]

MAX_SIDE_S = 600
"""Sound of one side of one turn that is kept; what comes after it is left out and counted."""

_PATTERN = "voxd-*-*-*.wav"


class SessionRecording:
    """Collects the sound of the turn under way and writes it when it is complete, on a thread.

    Files are named ``voxd-DATE-TIME-NUMBER-user.wav`` and ``-reply.wav``, in UTC, and only their owner may
    read them. A file that cannot be written is reported in the log and does not disturb the conversation.
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
        self._writing: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()
        self.dropped_bytes = 0

    def add(self, side: Side, pcm: bytes) -> None:
        """Take more sound of one side of the turn."""
        kept = self._sides[side]
        room = self._limit_bytes - len(kept)
        self.dropped_bytes += max(0, len(pcm) - room)
        kept += pcm[:room]

    def forget(self, side: Side) -> None:
        """Leave out what one side said since its last `finish`."""
        self._sides[side].clear()

    def finish(self, side: Side) -> None:
        """Write what one side said; what the user says begins a turn."""
        pcm = bytes(self._sides[side])
        self._sides[side].clear()
        if not pcm:
            return
        if side == "user" or not self._stem:
            self._turn += 1
            moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock.wall()))
            self._stem = f"voxd-{moment}-{self._turn:06d}"
        task = asyncio.create_task(
            self._write(f"{self._stem}-{side}.wav", pcm), name="voice engine recording"
        )
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        if side == "reply":
            self._stem = ""

    async def close(self) -> None:
        """Write what the reply said so far and wait for what is being written.

        Sound of the user that was never answered belongs to no turn.
        """
        self.finish("reply")
        await asyncio.gather(*self._writing)

    async def _write(self, name: str, pcm: bytes) -> None:
        async with self._order:
            try:
                await asyncio.to_thread(self._store, name, pcm)
            except OSError as error:
                _log.warning("the recording %s is not kept: %s", name, error)

    def _store(self, name: str, pcm: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(wav_bytes(Clip(pcm, self._rate_hz)))
        for old in surplus([entry.name for entry in self._directory.glob(_PATTERN)], self._keep_turns):
            (self._directory / old).unlink(missing_ok=True)


def surplus(names: list[str], keep_turns: int) -> list[str]:
    """Return the files of all turns but the newest ``keep_turns``; names sort by age."""
    turns = sorted({turn_of(name) for name in names}, reverse=True)
    kept = set(turns[:keep_turns])
    return sorted(name for name in names if turn_of(name) not in kept)


def turn_of(name: str) -> str:
    """Return the part of a file's name that both sides of a turn share."""
    return name.rsplit("-", 1)[0]
