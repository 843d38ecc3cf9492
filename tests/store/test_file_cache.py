"""The shelf keeps within its limit, drops what is least used, and outlives restarts and bad disks."""

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.store.file_cache import FileCache


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "phrases"


def names(place: Path) -> set[str]:
    return {file.stem for file in place.iterdir()}


def modes(place: Path) -> set[str]:
    return {stat.filemode(file.stat().st_mode) for file in [place, *place.iterdir()]}


def used_bytes(place: Path) -> int:
    return sum(file.stat().st_size for file in place.iterdir())


def left_by_others(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "a.new").write_bytes(b"so")
    (place / "README").write_text("mine")


async def test_what_was_put_is_found_again_also_after_a_restart(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=100)
    assert await shelf.get("a") is None
    await shelf.put("a", b"sound")
    assert await shelf.get("a") == b"sound"
    assert await FileCache(place, limit_bytes=100).get("a") == b"sound"


async def test_no_other_user_may_read_it(place: Path) -> None:
    await FileCache(place, limit_bytes=100).put("a", b"sound")
    assert modes(place) == {"drwx------", "-rw-------"}


async def test_the_least_used_goes_first(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=30)
    for key in "abc":
        await shelf.put(key, bytes(10))
    await shelf.get("a")
    await shelf.put("d", bytes(10))
    assert names(place) == {"a", "c", "d"}
    await shelf.put("e", bytes(21))
    assert names(place) == {"e"}, "as many as it needs"


async def test_after_a_restart_the_oldest_goes_first_and_a_use_makes_it_young(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=30)
    for days_ago, key in enumerate("cba", start=10):
        await shelf.put(key, bytes(10))
        then = place.joinpath(f"{key}.flac").stat().st_mtime - 86_400 * days_ago
        os.utime(place / f"{key}.flac", (then, then))
    await FileCache(place, limit_bytes=30).get("a")
    await FileCache(place, limit_bytes=30).put("d", bytes(10))
    assert names(place) == {"a", "c", "d"}


async def test_what_is_used_often_is_not_written_each_time(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=30)
    await shelf.put("a", b"sound")
    before = place.joinpath("a.flac").stat().st_mtime_ns
    await shelf.get("a")
    assert place.joinpath("a.flac").stat().st_mtime_ns == before


async def test_what_is_larger_than_the_shelf_is_not_put(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=10)
    await shelf.put("a", bytes(10))
    await shelf.put("b", bytes(11))
    assert names(place) == {"a"}


async def test_removing_and_clearing(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=100)
    for key in "abc":
        await shelf.put(key, b"sound")
    await shelf.remove("a")
    assert await shelf.get("a") is None
    await FileCache(place, limit_bytes=100).clear()
    assert names(place) == set()


async def test_a_half_written_file_is_deleted_and_a_foreign_file_stays(place: Path) -> None:
    left_by_others(place)
    assert await FileCache(place, limit_bytes=100).get("a") is None
    assert names(place) == {"README"}


async def test_a_file_deleted_from_outside_is_only_missing(place: Path) -> None:
    shelf = FileCache(place, limit_bytes=100)
    await shelf.put("a", b"sound")
    (place / "a.flac").unlink()
    assert await shelf.get("a") is None
    await shelf.put("a", b"again")
    assert await shelf.get("a") == b"again"


async def test_a_disk_that_cannot_be_written_is_complained_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "phrases"
    blocked.write_text("a file where the directory should be")
    shelf = FileCache(blocked, limit_bytes=100)
    for key in "abc":
        await shelf.put(key, b"sound")
        assert await shelf.get(key) is None
    await shelf.clear()
    assert caplog.text.count("cannot write the cache") == 1


async def test_a_reader_does_not_wait_for_a_writer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FileCache(place, limit_bytes=100)
    await shelf.put("a", b"sound")
    slow, write = threading.Event(), shelf._write

    def hang(key: str, data: bytes) -> bool:
        return slow.wait(20) and write(key, data)

    monkeypatch.setattr(shelf, "_write", hang)
    writing = asyncio.create_task(shelf.put("b", b"other"))
    async with asyncio.timeout(5):
        assert (await shelf.get("a"), await shelf.get("b")) == (b"sound", None)
        slow.set()
        await writing
        assert await shelf.get("b") == b"other"


@examples(50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 60)), max_size=20))
async def test_it_never_holds_more_than_its_limit(place: Path, sizes: list[tuple[str, int]]) -> None:
    shelf = FileCache(place, limit_bytes=100)
    await shelf.clear()
    for key, size in sizes:
        await shelf.put(key, bytes(size))
        assert await shelf.get(key) == bytes(size), "what was put last is there"
        assert used_bytes(place) <= 100
