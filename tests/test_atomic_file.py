import os
import stat
from pathlib import Path

import pytest

from voxd.atomic_file import draft_of, put_in_place


def test_a_draft_takes_the_place_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text("old")
    with draft_of(file, "new ü\n") as draft:
        assert draft.suffix == ".toml"
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert file.read_text() == "old"
        put_in_place(draft, file)
    assert file.read_text("utf-8") == "new ü\n"
    assert os.listdir(tmp_path) == ["file.toml"]


def test_a_draft_that_is_left_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), draft_of(file, "new"):
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_file_and_directory_are_on_the_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    with draft_of(tmp_path / "file", "new") as draft:
        put_in_place(draft, tmp_path / "file")
    assert synced == [str(draft), str(tmp_path)]
