import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from voxd.errors import ModelError
from voxd.observe.log import Entry, QueuedHandler, choose_writer, entry_of, to_journal, to_stream

CANARY = "zebra-crossing-canary"


@contextmanager
def logger_with(handler: QueuedHandler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("voxd.test_log")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        logger.removeHandler(handler)
        handler.close()


def test_an_entry_has_its_fields_and_not_its_arguments() -> None:
    entries: list[Entry] = []
    with logger_with(QueuedHandler(entries.append)) as logger:
        logger.warning(
            "heard %.0s words",
            CANARY,
            extra={"voxd": {"event": "turn.ended", "turn": "t1", "secret": CANARY}},
        )
    (entry,) = entries
    assert entry["MESSAGE"] == "heard  words"
    assert entry["PRIORITY"] == "4"
    assert entry["VOXD_EVENT"] == "turn.ended"
    assert entry["VOXD_TURN"] == "t1"
    assert CANARY not in str(entry)


@pytest.mark.parametrize(
    ("level", "priority"),
    [("critical", "2"), ("error", "3"), ("warning", "4"), ("info", "6"), ("debug", "7")],
)
def test_levels_become_syslog_priorities(level: str, priority: str) -> None:
    record = logging.makeLogRecord({"levelno": getattr(logging, level.upper()), "msg": "x"})
    assert entry_of(record)["PRIORITY"] == priority


def test_an_error_of_ours_brings_its_code_and_hint() -> None:
    entries: list[Entry] = []
    with logger_with(QueuedHandler(entries.append)) as logger:
        try:
            raise ModelError("no such voice")
        except ModelError:
            logger.exception("cannot speak")
    (entry,) = entries
    assert entry["VOXD_CODE"] == "model_unavailable"
    assert entry["VOXD_HINT"] == ModelError.hint
    assert "no such voice" in entry["MESSAGE"]


def test_a_stalled_journal_drops_and_counts_and_never_blocks() -> None:
    written: list[str] = []
    entered, released = threading.Event(), threading.Event()

    def stalled(entry: Entry) -> None:
        entered.set()
        assert released.wait(10)
        written.append(entry["MESSAGE"])

    handler = QueuedHandler(stalled, limit=5)
    with logger_with(handler) as logger:
        logger.info("line 0")
        assert entered.wait(10)
        for number in range(1, 20):
            logger.info("line %d", number)
        assert handler.dropped == 14
        released.set()
    assert written[0] == "line 0"
    assert "14 lines of the log were dropped" in written
    assert written[-1] == "line 5"


def test_a_journal_that_fails_does_not_end_the_log() -> None:
    written: list[str] = []

    def failing(entry: Entry) -> None:
        if not written:
            written.append("failed")
            raise OSError("journal gone")
        written.append(entry["MESSAGE"])

    handler = QueuedHandler(failing)
    with logger_with(handler) as logger:
        logger.info("one")
        logger.info("two")
    assert "two" in written
    assert handler.dropped == 1


def test_plain_lines_carry_level_and_origin() -> None:
    stream = io.StringIO()
    with logger_with(QueuedHandler(to_stream(stream))) as logger:
        logger.warning("careful")
    assert stream.getvalue() == "warning voxd.test_log: careful\n"


def test_the_journal_is_used_only_if_stderr_leads_to_it(tmp_path: os.PathLike[str]) -> None:
    with open(os.path.join(tmp_path, "stderr"), "w") as stderr:
        status = os.fstat(stderr.fileno())
        assert choose_writer(stderr, f"{status.st_dev}:{status.st_ino}") is to_journal
        assert choose_writer(stderr, "1:2") is not to_journal
        assert choose_writer(stderr, "") is not to_journal
    assert choose_writer(io.StringIO(), "1:2") is not to_journal


def test_the_last_lines_of_a_process_are_written() -> None:
    code = (
        "import logging\nfrom voxd.observe.log import start_logging\n"
        "handler = start_logging('info')\nlogging.getLogger('voxd.x').info('the last words')\n"
        "logging.getLogger('httpx').info('chatter')\nhandler.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == "info    voxd.x: the last words\n"
