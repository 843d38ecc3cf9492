"""Whatever standard input, output and error are: no traceback, an exit code of the table, whole lines."""

import asyncio
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PATIENCE_S, Ran, Voxctl, environment
from voxd.cli.inputs import given_text

VOXCTL = f"{shlex.quote(sys.executable)} -m voxd.cli.main"


async def shell(command: str, **changes: str) -> Ran:
    """Run ``command`` in sh, with VOXCTL in place of `voxctl`."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command.replace("voxctl", VOXCTL),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(**changes),
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("voxctl config show >/dev/full", 74, "standard output: No space left on device"),
        ("voxctl --help >/dev/full", 74, "No space left on device"),
        ("voxctl config show --json >/dev/full", 74, "No space left on device"),
        ("voxctl config show >&-", 0, ""),
        ("voxctl config show 2>&- >/dev/full", 74, ""),
        ("voxctl say 2>/dev/full", 64, ""),
        ("voxctl say 2>&-", 64, ""),
        ("voxctl say - <&-", 66, "standard input is closed"),
        ("voxctl ask --audio - <&-", 66, "standard input is closed"),
        ("printf 'caf\\351' | voxctl say -", 66, "not UTF-8 text at byte 3"),
        ("voxctl say \"$(printf 'caf\\351')\"", 64, "the text is not UTF-8"),
        ("voxctl history --forget --socket /none", 64, "not confirmed"),
        ("echo n | voxctl history --forget --socket /none", 1, "Delete the whole history? [y/N]"),
        ("echo y | voxctl history --forget --socket /none", 69, "not running"),
        ("voxctl skills eval /none.tsv", 66, "/none.tsv: No such file"),
        ("voxctl skills eval /", 66, "/: Is a directory"),
        ("voxctl --config /none.toml config show", 78, "the file does not exist"),
    ],
)
async def test_odd_streams_end_with_a_code_of_the_table(command: str, code: int, said: str) -> None:
    ran = await shell(command)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert "Traceback" not in ran.err
    assert "Exception ignored" not in ran.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "shift_jis"])
async def test_every_encoding_shows_every_text(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text('version = 1\n[agents.default]\npersona = "Grüß 你好 😀"\n', encoding="utf-8")
    for option in ("", "--json"):
        ran = await shell(f"voxctl config show {option}", VOXD_CONFIG=str(file), PYTHONIOENCODING=encoding)
        assert (ran.code, ran.err) == (0, "")
    if encoding != "utf-8":
        assert ran.json["agents"]["default"]["persona"] == "Grüß 你好 😀", "escapes are JSON everywhere"


def test_an_argument_in_utf8_is_understood_in_any_locale() -> None:
    # What `LC_ALL=C` makes of "grüß" (PEP 383).
    assert given_text(["grüß".encode().decode("ascii", "surrogateescape"), "dich"]) == "grüß dich"


async def test_the_voxctl_of_a_checkout_is_named_as_it_is_typed(voxctl: Voxctl, tmp_path: Path) -> None:
    ran = await shell(
        "voxctl status", VOXD_SOCKET=str(tmp_path / "none.sock"), VOXD_SCRIPTS="/src/voxd/scripts"
    )
    assert "`/src/voxd/scripts/run`" in ran.err
    ran = await shell("voxctl logs", VOXD_SCRIPTS="/src/voxd/scripts")
    assert (ran.code, "the terminal of ./scripts/run" in ran.err) == (1, True)
    ran = await shell("voxctl restart", VOXD_SCRIPTS="/src/voxd/scripts")
    assert (ran.code, "press Ctrl-C" in ran.err) == (1, True)


async def test_the_log_and_the_restart_are_those_of_systemd(tmp_path: Path) -> None:
    for name in ("journalctl", "systemctl", "sudo"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        program.chmod(0o755)
    unit = tmp_path / "units"
    unit.mkdir()
    (unit / "voxd.service").touch()
    script = "import voxd.cli.connect as c; c.UNIT_DIRECTORIES = (sys.argv.pop(1),)"
    command = f"""{VOXCTL.replace("-m voxd.cli.main", "-c")} 'import sys; {script}
from voxd.cli.main import main
sys.exit(main())' {unit} --socket {tmp_path}/none.sock"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    ran = await shell(f"{command} logs --follow --lines 5 --since today --errors", PATH=path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.split("journalctl ")[1].split() == [
        *("--unit", "voxd.service", "--lines=5", "--follow", "--since", "today"),
        *("--priority", "warning", "--no-pager"),
    ]
    ran = await shell(f"{command} restart", PATH=path)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "voxd restarted")
    assert "systemctl restart voxd.service" in ran.out
