"""Child processes: every end is seen once, with its status, and nothing is left behind."""

import asyncio
import logging
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from voxd.children import KILL_TIMEOUT_S, ChildProcess

FOREVER = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)")


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_child_killed_at_the_moment_it_ends_keeps_its_exit_status(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio's thread has not reaped the child yet; another reaper would take its status away."""
    wait, may_reap = os.waitpid, threading.Event()

    def held(pid: int, options: int) -> tuple[int, int]:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        may_reap.wait(10)
        return wait(pid, options)

    monkeypatch.setattr(os, "waitpid", held)
    child = await ChildProcess.start("short", python("raise SystemExit(3)"), stdin=PIPE, stdout=PIPE)
    assert await child.stdout.read() == b""
    while is_running(child.pid):
        await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        child.kill()
        may_reap.set()
        await child.close()
    assert child.returncode == 3
    assert [record.message for record in caplog.records] == []


async def test_a_closed_child_is_gone_with_its_pipes() -> None:
    before = set(os.listdir("/proc/self/fd"))
    child = await ChildProcess.start("forever", FOREVER, stdin=PIPE, stdout=PIPE)
    assert await child.stdout.readline() == b"up\n"
    await child.close()
    await child.close()
    assert child.returncode == -signal.SIGKILL
    assert not is_running(child.pid)
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_a_cancelled_close_still_ends_the_child() -> None:
    child = await ChildProcess.start("forever", FOREVER, stdout=PIPE)
    closing = asyncio.ensure_future(child.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await child.close()
    assert child.returncode == -signal.SIGKILL


async def test_a_group_ends_with_its_leader() -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True)"
    )
    child = await ChildProcess.start("leader", python(code), stdout=PIPE, own_group=True)
    grandchild = int(await child.stdout.readline())
    assert await child.wait() == 0
    await child.close()
    async with asyncio.timeout(5):
        while is_running(grandchild):
            await asyncio.sleep(0)


async def test_a_child_with_more_output_than_is_read_is_closed_at_once(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """asyncio has stopped reading its output, so it never sees the end of that pipe."""
    full = tmp_path / "full"
    # A pipe that takes nothing for half a second has no reader any more.
    code = (
        "import os, pathlib, select\n"
        "while select.select([], [1], [], 0.5)[1]: os.write(1, bytes(4096))\n"
        f"pathlib.Path({str(full)!r}).touch()\n"
        "while True: os.write(1, bytes(65536))"
    )
    before = set(os.listdir("/proc/self/fd"))
    child = await ChildProcess.start("flood", python(code), stdout=PIPE, limit=1024)
    async with asyncio.timeout(5):
        while not full.exists():
            await asyncio.sleep(0)
    async with asyncio.timeout(KILL_TIMEOUT_S / 2):
        await child.close()
    assert child.returncode == -signal.SIGKILL
    assert set(os.listdir("/proc/self/fd")) <= before
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_child_has_ended_even_if_a_grandchild_keeps_its_pipes() -> None:
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True)"
    )
    child = await ChildProcess.start("parent", python(code), stdout=PIPE)
    grandchild = int(await child.stdout.readline())
    async with asyncio.timeout(5):
        assert await child.wait() == 0
    await child.close()
    os.kill(grandchild, signal.SIGKILL)


async def test_only_the_first_lines_of_standard_error_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import sys\nfor n in range(5000): print('line', n, file=sys.stderr)\nsys.stderr.write('the reason')"
    )
    with caplog.at_level(logging.DEBUG, "voxd.children"):
        child = await ChildProcess.start("noisy", python(code))
        assert await child.wait() == 0
        assert await child.last_line() == "the reason"
        await child.close()
    assert len(caplog.records) == 41
    assert caplog.records[-1].message == "noisy wrote 4961 more lines"


async def test_a_child_that_does_not_end_in_time_is_killed() -> None:
    child = await ChildProcess.start("forever", FOREVER)
    assert await child.wait_or_kill(0.01) == -signal.SIGKILL
    await child.close()


async def test_a_missing_program_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        await ChildProcess.start("none", ("/nowhere/program",))
