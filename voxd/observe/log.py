"""The log: structured fields to the journal, plain lines elsewhere; logging never blocks.

Not systemd-python's JournalHandler: it stores every argument of a call (CODE_ARGS), so that a
transcript a format string left out would be kept all the same.
"""

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TextIO

import systemd.journal as journal

from voxd.errors import VoxdError

# How many lines may wait for a slow journal; more are dropped and counted.
QUEUE_LIMIT = 1000

# How long the end of the daemon waits for its last lines.
CLOSE_TIMEOUT_S = 2.0

# Of a request to a vendor; `key` is the number of the key, not the key.
CALL_FIELDS = ("provider", "stage", "kind", "endpoint", "key", "attempt", "sent_bytes", "received_bytes")

# What a caller may add with `extra={"voxd": {...}}`; in the journal they are VOXD_EVENT and so on.
FIELDS = ("event", "turn", "state", "code", "hint", "ms", *CALL_FIELDS)

Entry = Mapping[str, str]
Write = Callable[[Entry], None]

# syslog's severities, as journald wants them: systemd.journal-fields(7).
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_LEVELS = {"2": "critical", "3": "error", "4": "warning", "6": "info"}


def entry_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the journal fields of ``record``: its text and whitelisted fields, never its arguments."""
    message = record.getMessage()
    fields = {
        "PRIORITY": str(next((p for level, p in _PRIORITIES if record.levelno >= level), 7)),
        "SYSLOG_IDENTIFIER": "voxd",
        "LOGGER": record.name,
        "CODE_FILE": record.pathname,
        "CODE_LINE": str(record.lineno),
        "CODE_FUNC": record.funcName or "",
    }
    if record.exc_info:
        message += "\n" + logging.Formatter().formatException(record.exc_info)
        error = record.exc_info[1]
        if isinstance(error, VoxdError):
            fields |= {"VOXD_CODE": error.code, "VOXD_HINT": error.hint}
    extra = getattr(record, "voxd", {})
    fields |= {f"VOXD_{name.upper()}": str(extra[name]) for name in FIELDS if extra.get(name) is not None}
    return {"MESSAGE": message, **fields}


def to_journal(entry: Entry) -> None:
    """Send ``entry`` by journald's own protocol; it may block while the journal is stalled."""
    journal.sendv(*(f"{name}={value}" for name, value in entry.items()))


def to_stream(stream: TextIO) -> Write:
    """Return a writer of plain lines."""

    def write(entry: Entry) -> None:
        stream.write(f"{_LEVELS.get(entry['PRIORITY'], 'debug'):8}{entry['LOGGER']}: {entry['MESSAGE']}\n")
        stream.flush()

    return write


def choose_writer(stderr: TextIO, journal_stream: str) -> Write:
    """Return the journal's writer if ``journal_stream`` ($JOURNAL_STREAM) is what ``stderr`` leads to.

    The variable alone proves nothing: a child started with stderr elsewhere inherits it.
    """
    try:
        status = os.fstat(stderr.fileno())
    except (OSError, ValueError):
        return to_stream(stderr)
    if journal_stream == f"{status.st_dev}:{status.st_ino}":
        return to_journal
    return to_stream(stderr)


class QueuedHandler(logging.Handler):
    """Hands entries to a thread that writes them; when it lags, the newest are dropped and counted."""

    def __init__(self, write: Write, *, limit: int = QUEUE_LIMIT) -> None:
        super().__init__()
        self._write = write
        self._queue: queue.Queue[Entry | None] = queue.Queue(limit)
        self._reported = 0
        self._thread = threading.Thread(target=self._run, name="voxd-log", daemon=True)
        self._thread.start()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue ``record``."""
        try:
            # Formatted here, in the thread of the caller: arguments may change before the writer runs.
            self._queue.put_nowait(entry_of(record))
        except queue.Full:
            self.dropped += 1
        except Exception:  # a bad format string must not stop the code that logs
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, but not for longer than `CLOSE_TIMEOUT_S`; idempotent."""
        if self._thread.is_alive():
            try:
                self._queue.put(None, timeout=CLOSE_TIMEOUT_S)
            except queue.Full:
                pass  # the journal hangs: leaving is better than waiting
            else:
                self._thread.join(CLOSE_TIMEOUT_S)
        super().close()

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            try:
                self._write(entry)
                if lost := self.dropped - self._reported:
                    self._reported += lost
                    text = f"{lost} lines of the log were dropped"
                    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, None, None)
                    self._write(entry_of(record))
            except OSError:
                # The journal is away: what it missed is counted like what did not fit.
                self.dropped += 1


def start_logging(level: str) -> QueuedHandler:
    """Send the log of the whole process where it belongs; returns the handler, to be closed last."""
    handler = QueuedHandler(choose_writer(sys.stderr, os.environ.get("JOURNAL_STREAM", "")))
    root = logging.getLogger()
    root.addHandler(handler)
    set_level(level)
    return handler


def set_level(level: str) -> None:
    """Apply ``log.level``: debug, info, warning or error."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    # Libraries that log every request at INFO, and whole frames at DEBUG.
    for chatty in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(chatty).setLevel(max(root.level, logging.WARNING))
