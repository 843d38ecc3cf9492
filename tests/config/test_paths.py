import os
from pathlib import Path

import msgspec
import pytest

from voxd.config import paths
from voxd.config.schema import Config

CONFIG = Config()
UNIT = {
    "CONFIGURATION_DIRECTORY": "/etc/voxd:/etc/other",
    "STATE_DIRECTORY": "/var/lib/voxd",
    "RUNTIME_DIRECTORY": "/run/voxd:/run/b",
}
USER = {
    "HOME": "/home/u",
    "XDG_CONFIG_HOME": "/c",
    "XDG_STATE_HOME": "/s",
    "XDG_RUNTIME_DIR": "/run/user/1",
}


def config(**sections: object) -> Config:
    return msgspec.convert(sections, Config)


@pytest.fixture(autouse=True)
def _no_system_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "SYSTEM_STATE_DIR", tmp_path / "no-service")
    monkeypatch.setattr(paths, "SYSTEM_RUNTIME_DIR", tmp_path / "run")


def test_in_a_unit_the_directories_are_systemds() -> None:
    assert paths.default_config_file(UNIT) == Path("/etc/voxd/voxd.toml")
    assert paths.state_dir(CONFIG, UNIT) == Path("/var/lib/voxd")
    assert paths.models_dir(CONFIG, UNIT) == Path("/var/lib/voxd/models")
    assert paths.socket_path(CONFIG, UNIT) == Path("/run/voxd/voxd.sock")
    assert paths.read_socket_path(CONFIG, UNIT) == Path("/run/voxd/voxd-read.sock")


def test_for_a_user_the_directories_are_xdgs() -> None:
    assert paths.user_config_file(USER) == Path("/c/voxd/voxd.toml")
    assert paths.state_dir(CONFIG, USER) == Path("/s/voxd")
    assert paths.socket_path(CONFIG, USER) == Path("/run/user/1/voxd/voxd.sock")


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_without_a_usable_xdg_directory_the_home_is_used(state: str) -> None:
    environ = {"HOME": "/home/u", "XDG_STATE_HOME": state}
    assert paths.state_dir(CONFIG, environ) == Path("/home/u/.local/state/voxd")


def test_a_users_own_file_goes_before_the_systems(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nonexistent"}
    assert paths.default_config_file(environ) == paths.SYSTEM_CONFIG_FILE
    own = tmp_path / "voxd" / "voxd.toml"
    own.parent.mkdir()
    own.touch()
    assert paths.default_config_file(environ) == own


def test_variables_override_everything() -> None:
    assert paths.default_config_file({**UNIT, "VOXD_CONFIG": "/x.toml"}) == Path("/x.toml")
    named = config(control={"socket": "/configured.sock"})
    assert paths.socket_path(named, {**UNIT, "VOXD_SOCKET": "/x.sock"}) == Path("/x.sock")
    assert paths.read_socket_path(CONFIG, {"VOXD_SOCKET": "/a/x.sock"}) == Path("/a/x-read.sock")


def test_configured_directories_go_before_given_ones() -> None:
    named = config(paths={"state": "/a", "runtime": "/b"}, control={"read_socket": "/c.sock"})
    assert paths.models_dir(named, UNIT) == Path("/a/models")
    assert paths.socket_path(named, UNIT) == Path("/b/voxd.sock")
    assert paths.read_socket_path(named, UNIT) == Path("/c.sock")
    assert paths.models_dir(config(paths={"models": "~/m"}), UNIT) == Path.home() / "m"


def test_a_user_with_write_access_to_the_service_state_uses_it(tmp_path: Path) -> None:
    paths.SYSTEM_STATE_DIR.mkdir()
    assert paths.state_dir(CONFIG, USER) == paths.SYSTEM_STATE_DIR


def test_without_a_session_sockets_lie_in_the_state_unless_one_is_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environ = {"HOME": "/home/u"}
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert paths.runtime_dir(CONFIG, environ) == Path("/home/u/.local/state/voxd/run")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert paths.runtime_dir(CONFIG, environ) == paths.SYSTEM_RUNTIME_DIR


def test_a_client_prefers_its_own_daemon_to_the_services(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "session")}
    own = tmp_path / "session" / "voxd" / "voxd.sock"
    assert paths.client_socket_path(CONFIG, environ) == own
    paths.SYSTEM_RUNTIME_DIR.mkdir()
    service = paths.SYSTEM_RUNTIME_DIR / "voxd.sock"
    service.touch()
    assert paths.client_socket_path(CONFIG, environ) == service
    own.parent.mkdir(parents=True)
    own.touch()
    assert paths.client_socket_path(CONFIG, environ) == own
