"""What an engine's process prints: bounded, to the debug log, its last line kept as the reason of a crash."""

import asyncio
import logging

_log = logging.getLogger(__name__)

_MAX_LINE_BYTES = 300
_MAX_LINES = 200
_READ_BYTES = 4096


class Stderr:
    """Drains one pipe until its end; lines over the limit are counted, not logged."""

    def __init__(self, name: str, stream: asyncio.StreamReader) -> None:
        self._name = name
        self._stream = stream
        self._last = b""
        self._rest = b""
        self._lines = 0
        self._task = asyncio.create_task(self._drain())

    async def last_line(self) -> str:
        """Return the last line, after the process has ended."""
        await asyncio.wait([self._task], timeout=1.0)
        return (self._rest.strip() or self._last).decode(errors="replace")

    async def close(self) -> None:
        """Stop reading."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._lines > _MAX_LINES:
            _log.debug("%s: %d more lines", self._name, self._lines - _MAX_LINES)

    async def _drain(self) -> None:
        while chunk := await self._stream.read(_READ_BYTES):
            *lines, rest = (self._rest + chunk).split(b"\n")
            self._rest = rest[:_MAX_LINE_BYTES]
            for line in lines:
                self._line(line.strip()[:_MAX_LINE_BYTES])

    def _line(self, line: bytes) -> None:
        if not line:
            return
        self._last = line
        self._lines += 1
        if self._lines <= _MAX_LINES:
            _log.debug("%s: %s", self._name, line.decode(errors="replace"))
