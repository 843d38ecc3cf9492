import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path("etc/voxd/voxd.toml")

pytestmark = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd is not installed")


def install(*arguments: str, root: Path = ROOT) -> str:
    done = subprocess.run(
        [root / "scripts" / "install", "--no-packages", "--no-environment", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tree(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder below ``directory`` with its mode and content."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in directory.rglob("*")
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what the script installs, which a test may change: the next release."""
    copy = tmp_path / "source"
    for name in ("scripts", "systemd", "config"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


def test_everything_is_put_in_its_place(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    for name in ("voxd.service", "voxd.socket", "voxd-read.socket"):
        assert (tmp_path / "etc/systemd/system" / name).read_bytes() == (ROOT / "systemd" / name).read_bytes()
    assert (tmp_path / CONFIG).read_bytes() == (ROOT / "config/voxd.toml").read_bytes()
    assert (tmp_path / "etc/voxd/credentials").stat().st_mode & 0o777 == 0o700
    assert os.access(tmp_path / "etc/voxd/hooks.d/disk-space", os.X_OK)
    assert os.readlink(tmp_path / "usr/local/bin/voxctl") == "/opt/voxd/bin/voxctl"
    assert (tmp_path / "etc/sysusers.d/voxd.conf").exists()
    assert (tmp_path / "etc/tmpfiles.d/voxd.conf").exists()
    assert (tmp_path / "etc/systemd/system/multi-user.target.wants/voxd.service").is_symlink()
    assert (tmp_path / "etc/systemd/system/sockets.target.wants/voxd.socket").is_symlink()


def test_a_second_run_changes_nothing_and_says_so(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    before = tree(tmp_path)
    assert "everything is up to date" in install("--prefix", str(tmp_path))
    assert tree(tmp_path) == before


def test_a_dry_run_says_everything_and_does_nothing(tmp_path: Path) -> None:
    said = install("--prefix", str(tmp_path), "--dry-run")
    assert "would run: install -D -m 644" in said
    assert "nothing was changed" in said
    assert tree(tmp_path) == {}


def test_a_changed_configuration_is_kept_and_the_new_one_put_beside_it(tmp_path: Path, source: Path) -> None:
    prefix = tmp_path / "image"
    install("--prefix", str(prefix), root=source)
    (prefix / CONFIG).write_text("# mine\n")
    with (source / "config/voxd.toml").open("a") as config:
        config.write("# next release\n")
    assert "keeping your" in install("--prefix", str(prefix), root=source)
    assert (prefix / CONFIG).read_text() == "# mine\n"
    assert (prefix / "etc/voxd/voxd.toml.new").read_text().endswith("# next release\n")
    assert "everything is up to date" in install("--prefix", str(prefix), root=source)


def test_an_unchanged_configuration_follows_the_release(tmp_path: Path, source: Path) -> None:
    prefix = tmp_path / "image"
    install("--prefix", str(prefix), root=source)
    with (source / "config/voxd.toml").open("a") as config:
        config.write("# next release\n")
    install("--prefix", str(prefix), root=source)
    assert (prefix / CONFIG).read_text().endswith("# next release\n")
    assert not (prefix / "etc/voxd/voxd.toml.new").exists()


def test_a_changed_hook_is_kept(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    hook = tmp_path / "etc/voxd/hooks.d/disk-space"
    hook.write_text("#!/bin/sh\necho mine\n")
    install("--prefix", str(tmp_path))
    assert "mine" in hook.read_text()


def test_uninstalling_keeps_configuration_and_state(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    state = tmp_path / "var/lib/voxd/history.db"
    state.parent.mkdir(parents=True)
    state.write_text("x")
    install("--prefix", str(tmp_path), "--uninstall")
    left = {name for name, (mode, _) in tree(tmp_path).items() if not mode & 0o040000}
    assert left == {
        "etc/voxd/voxd.toml",
        "etc/voxd/hooks.d/disk-space",
        "etc/voxd/.voxd.toml.shipped",
        "var/lib/voxd/history.db",
    }


def test_uninstalling_takes_from_opt_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    opt = tmp_path / "opt/voxd"
    for name in ("bin", "lib/python3", "share", "theirs"):
        (opt / name).mkdir(parents=True)
    for name in ("bin/voxd", "lib/python3/voxd.py", "COPYING", "share/version", "theirs/notes"):
        (opt / name).write_text("x")
    (opt / "share/installed").write_text("COPYING\nbin\nlib\n")
    install("--prefix", str(tmp_path), "--uninstall")
    assert sorted(tree(opt)) == ["theirs", "theirs/notes"]


def test_uninstalling_leaves_no_empty_folder_in_opt(tmp_path: Path) -> None:
    (tmp_path / "opt/voxd/share").mkdir(parents=True)
    (tmp_path / "opt/voxd/COPYING").write_text("x")
    (tmp_path / "opt/voxd/share/installed").write_text("COPYING\n")
    install("--prefix", str(tmp_path), "--uninstall")
    assert not (tmp_path / "opt/voxd").exists()


def test_purging_leaves_nothing(tmp_path: Path) -> None:
    install("--prefix", str(tmp_path))
    install("--prefix", str(tmp_path), "--uninstall", "--purge")
    assert not [name for name, (mode, _) in tree(tmp_path).items() if not mode & 0o040000]


def test_uninstalling_where_nothing_is_installed_is_not_an_error(tmp_path: Path) -> None:
    assert "uninstalled" in install("--prefix", str(tmp_path), "--uninstall")


def test_an_unknown_option_is_a_usage_error() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "install", "--wat"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 64
    assert b"usage:" in done.stderr


def test_without_systemd_it_says_so_before_anything_is_done(tmp_path: Path) -> None:
    programs, prefix = tmp_path / "bin", tmp_path / "image"
    programs.mkdir()
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [ROOT / "scripts" / "install", "--prefix", prefix],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 69
    assert "no systemd" in done.stderr
    assert not prefix.exists()
