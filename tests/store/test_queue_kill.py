"""kill -9 at any moment, full disks and write errors: what was promised is there, and comes once."""

import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.store.filling import ATTEMPTS

KILLS = 100
UNSHARE = shutil.which("unshare")


def spoken(*arguments: str, disk_kib: int = 0, where: Path | None = None) -> list[list[str]]:
    """Run a module and return its lines, each split in words; on a disk of its own if ``disk_kib``."""
    command = [sys.executable, "-m", *arguments]
    if disk_kib:
        assert UNSHARE is not None
        mount = f'mount -t tmpfs -o size={disk_kib}k tmpfs "$0" && exec "$@"'
        command = [UNSHARE, "--mount", "sh", "-c", mount, str(where), *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def may_mount() -> bool:
    if os.geteuid() != 0 or UNSHARE is None:
        return False
    tried = subprocess.run([UNSHARE, "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    return tried.returncode == 0


needs_a_disk = pytest.mark.skipif(not may_mount(), reason="only root can mount a small disk")


def test_a_hundred_kills_lose_nothing_promised_and_nothing_comes_again_once_it_is_delivered(
    tmp_path: Path,
) -> None:
    lines = spoken("tests.store.dying", str(tmp_path / "voxd.db"), str(KILLS), "4")
    counts = Counter(words[0] for words in lines)
    assert counts["killed"] == KILLS, "each life was ended from outside"
    assert counts["kept"] > KILLS // 2, "the kills met a queue at work"
    kept = {words[1]: words[2] for words in lines if words[0] == "kept"}
    told: defaultdict[str, set[str]] = defaultdict(set)
    delivered: set[str] = set()
    for words in lines:
        if words[0] == "event":
            assert words[1] not in delivered, "it was delivered for good before"
            told[words[1]].add(words[2])
        elif words[0] == "delivered":
            delivered.add(words[1])
    assert [words for words in lines if words[0] == "gone"] == []
    assert {id: told.get(id) for id in kept} == {id: {sound} for id, sound in kept.items()}
    assert all(len(answers) == 1 for answers in told.values()), "the same id means the same answer"


def judge(lines: list[list[str]]) -> None:
    """Every promise was kept, some were refused, and there is no promise without a row."""
    kept = {words[1] for words in lines if words[0] in {"kept", "healed"}}
    assert kept == {words[1] for words in lines if words[0] == "found"}
    counts = Counter(words[0] for words in lines)
    assert counts["kept"] + counts["refused"] == ATTEMPTS
    assert counts["kept"] > 3
    assert counts["refused"] > 3
    assert {tuple(words) for words in lines if words[0] == "refused"} == {("refused", "store_failed")}
    assert [words for words in lines if words[0] == "problem"] != [["problem"]], "and it is shown"
    assert [len(words) for words in lines if words[0] == "healed"] == [2], "with room again all is well"


def test_a_write_error_promises_nothing_and_heals(tmp_path: Path) -> None:
    judge(spoken("tests.store.filling", str(tmp_path / "voxd.db"), "limit"))


@needs_a_disk
def test_a_full_disk_promises_nothing_and_heals(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    judge(spoken("tests.store.filling", str(place / "voxd.db"), "full", disk_kib=1500, where=place))


def test_with_room_enough_everything_is_accepted(tmp_path: Path) -> None:
    lines = spoken("tests.store.filling", str(tmp_path / "voxd.db"), "none")
    assert Counter(words[0] for words in lines)["kept"] == ATTEMPTS
