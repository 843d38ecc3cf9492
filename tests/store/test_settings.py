"""Mute and volume survive a restart, and a damaged file does not stop the daemon."""

from pathlib import Path

import pytest

from voxd.errors import StoreError
from voxd.store.settings import Settings, SettingsFile


def test_what_was_set_is_found_again(tmp_path: Path) -> None:
    SettingsFile(tmp_path / "state" / "settings.json").change(muted=True, volume_percent=40)
    assert SettingsFile(tmp_path / "state" / "settings.json").values == Settings(True, 40)


@pytest.mark.parametrize("content", [b"", b"{", b'{"muted": "yes"}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_no_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    assert SettingsFile(path).values == Settings()


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    SettingsFile(path).change(muted=False)
    assert not path.exists()


def test_a_directory_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    settings = SettingsFile(tmp_path / "state" / "settings.json")
    with pytest.raises(StoreError):
        settings.change(muted=True)
    assert settings.values.muted, "the running device obeys even when it cannot remember"
