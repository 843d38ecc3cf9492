import copy
import logging
import pickle
from pathlib import Path

import pytest

from voxd.config.base_dirs import user_credentials_dir
from voxd.config.commands import Command, HttpAction
from voxd.config.secrets import MASK, Secret, read_source, resolve, to_builtins
from voxd.errors import ConfigError


def test_no_way_of_printing_a_secret_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("hunter2")
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("the secret is %s %r", secret, {"key": secret})
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{[secret]}", caplog.text]
    assert all("hunter2" not in text and MASK in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    assert secret.reveal() == "hunter2"


def test_a_configuration_shows_references_and_masks_literals() -> None:
    headers = {"A": Secret("hunter2"), "B": resolve({"env": "B"}, {"B": "hunter3"})}
    command = Command(name="a", sentences=("a",), action=HttpAction(url="http://h", headers=headers))
    assert to_builtins(command)["action"]["headers"] == {"A": MASK, "B": {"env": "B"}}
    assert "hunter" not in repr(command)


def test_secrets_are_equal_when_value_and_origin_are() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert resolve({"env": "A"}, {"A": "a"}) != Secret("a")
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize("file", ["key", "voxd_key", "voxd.key"])
def test_a_credential_is_found_under_each_name_systemd_gives_it(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("hunter2\n")
    secret = resolve({"credential": "key"}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert secret.reveal() == "hunter2"
    assert secret.origin == "credential key"


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("credential", "key", "voxctl secret set key"),
        ("credential", "../key", "not a path"),
        ("file", "/nonexistent/key", "No such file"),
        ("env", "KEY", "set KEY"),
    ],
)
def test_a_missing_source_says_what_to_do_only_when_it_is_used(
    tmp_path: Path, kind: str, name: str, problem: str
) -> None:
    secret = resolve({kind: name}, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(ConfigError, match=problem):
        secret.reveal()


def test_outside_the_service_a_credential_is_looked_for_where_secret_set_puts_it(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert read_source("credential", "key-of-a-test", environ).problem == (
        "run `voxctl secret set key-of-a-test`"
    )
    directory = user_credentials_dir(environ)
    directory.mkdir(parents=True)
    (directory / "key-of-a-test").write_text("hunter2\n")
    assert read_source("credential", "key-of-a-test", environ).value == "hunter2"


def test_a_world_readable_file_is_read_with_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("hunter2")
    file.chmod(0o644)
    reading = read_source("file", str(file), {})
    assert (reading.value, "chmod 600" in reading.warning) == ("hunter2", True)
    file.chmod(0o600)
    assert read_source("file", str(file), {}).warning == ""


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_is_not_a_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    reading = read_source("file", str(file), {})
    assert reading.value is None
    assert str(file) in reading.problem


@pytest.mark.parametrize("written", [{}, {"vault": "x"}, {"env": "A", "file": "b"}])
def test_a_table_of_another_form_is_refused(written: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        resolve(written, {})
