"""Mute and volume survive a restart, and a damaged file does not stop the daemon."""

import threading
from pathlib import Path

import msgspec
import pytest

from tests.fakes import settle
from voxd.store.settings import SavedSettings, SettingsFile


async def test_what_was_set_is_found_again(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "state" / "settings.json")
    file.change(muted=True, volume_percent=40)
    await file.close()
    assert SettingsFile(tmp_path / "state" / "settings.json").values == SavedSettings(True, 40)


@pytest.mark.parametrize("content", [b"", b"{", b'{"muted": "yes"}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_no_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    assert SettingsFile(path).values == SavedSettings()


async def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    file = SettingsFile(path)
    file.change(muted=False)
    await file.close()
    assert not path.exists()


async def test_a_slow_card_delays_no_caller_and_ends_with_the_last_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, written = threading.Event(), []

    def slow(self: SettingsFile, content: bytes) -> None:
        go.wait(5)
        written.append(msgspec.json.decode(content)["volume_percent"])

    monkeypatch.setattr(SettingsFile, "_write", slow)
    file = SettingsFile(tmp_path / "settings.json")
    file.change(volume_percent=10)
    await settle()
    for percent in (20, 30):
        file.change(volume_percent=percent)
    assert written == []
    go.set()
    await file.close()
    assert written == [10, 30]


async def test_a_directory_that_cannot_be_written_is_logged_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    file = SettingsFile(tmp_path / "state" / "settings.json")
    file.change(muted=True)
    assert file.values.muted, "the running device obeys even when it cannot remember"
    await file.close()
    assert "cannot save the settings" in caplog.text
    (tmp_path / "state").unlink()
    file.change(volume_percent=40)
    await file.close()
    assert SettingsFile(tmp_path / "state" / "settings.json").values == SavedSettings(True, 40)
