"""Mute and volume survive a restart and change once they are saved; a damaged file stops no daemon."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest

from tests.fakes import FakeClock, settle
from voxd.errors import StoreError
from voxd.store.settings import RETRY_S, SavedSettings, SettingsFile


async def test_what_was_set_is_found_again(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "state" / "settings.json")
    await file.save(muted=True)
    await file.save(volume_percent=40)
    await file.close()
    assert SettingsFile(tmp_path / "state" / "settings.json").values == SavedSettings(True, 40)


@pytest.mark.parametrize("content", [b"", b"{", b'{"muted": "yes"}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_no_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    assert SettingsFile(path).values == SavedSettings()


async def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    await SettingsFile(path).save(muted=False)
    assert not path.exists()


async def test_a_value_changes_once_a_slow_card_has_it_also_for_a_caller_that_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, written = threading.Event(), []

    def slow(self: SettingsFile, content: bytes) -> None:
        go.wait(5)
        written.append(msgspec.json.decode(content))

    monkeypatch.setattr(SettingsFile, "_write", slow)
    file = SettingsFile(tmp_path / "settings.json")
    first = asyncio.create_task(file.save(volume_percent=10))
    second = asyncio.create_task(file.save(muted=True))
    await settle()
    assert file.values == SavedSettings()
    first.cancel()
    go.set()
    await second
    await file.close()
    assert written == [{"muted": False, "volume_percent": 10}, {"muted": True, "volume_percent": 10}]
    assert file.values == SavedSettings(True, 10)


async def test_what_cannot_be_saved_does_not_change_and_the_file_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    clock = FakeClock()
    file = SettingsFile(tmp_path / "state" / "settings.json", clock)
    for _ in range(2):
        with pytest.raises(StoreError, match="settings cannot be saved"):
            await file.save(volume_percent=40)
    assert file.values == SavedSettings()
    assert "settings cannot be saved" in file.problem
    assert caplog.text.count("settings cannot be saved") == 1
    file.save_later(muted=True)
    (tmp_path / "state").unlink()
    async with asyncio.timeout(5):
        while file.problem:
            await clock.advance(RETRY_S)
    assert file.values == SavedSettings(True, None), "the volume was refused, the mute is in force"
    await file.close()
    assert SettingsFile(tmp_path / "state" / "settings.json").values == SavedSettings(True, None)


async def test_what_is_undone_before_it_could_be_saved_is_not_saved(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    file = SettingsFile(tmp_path / "state" / "settings.json", FakeClock())
    with pytest.raises(StoreError):
        await file.save(muted=True)
    file.save_later(muted=True)
    (tmp_path / "state").unlink()
    await file.save(muted=False)
    assert file.values == SavedSettings(False, None)
    await file.close()
