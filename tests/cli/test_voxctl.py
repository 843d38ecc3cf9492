"""Every command as people run it: a process, its output and its exit code."""

import asyncio
import logging
import os
import pty
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import PATIENCE_S, Device, Ran, Voxctl, environment
from tests.control.fakes import SECRET_WORDS, WAV
from voxd.cli import exits
from voxd.control.server import ControlServer
from voxd.control.sockets import bind
from voxd.errors import ConfigError, DeadlineExceeded, LocalEngineError, VoxdError
from voxd.reports import Repeat, TimerEntry

SHOWN = [
    (["status"], "listening for hey_jarvis"),
    (["stop"], ""),
    (["say", "good", "morning"], ""),
    (["ask", "what", "time"], "You said what time"),
    (["mute"], "microphone off"),
    (["unmute"], "microphone on"),
    (["volume"], "70 %"),
    (["volume", "30"], "30 %"),
    (["volume", "30%"], "30 %"),
    (["volume", "+5"], "75 %"),
    (["volume", "-10"], "60 %"),
    (["volume", "+80"], "100 %"),
    (["last"], "stt"),
    (["history"], SECRET_WORDS),
    (["history", "--forget", "--yes"], "1 turns deleted"),
    (["timers"], "1 min 30 s"),
    (["timers", "cancel", "7"], "cancelled 7"),
    (["timers", "cancel", SECRET_WORDS.upper()], "cancelled 7"),
    (["wake"], "hey_jarvis"),
    (["wake", "list"], "hey_jarvis"),
    (["wake", "why"], "second stage said no"),
    (["wake", "set", "hey_jarvis", "--threshold", "0.5"], "hey_jarvis"),
    (["provider"], "refused (network_error)"),
    (["provider", "list"], "openai"),
    (["provider", "use", "cloud"], "cloud answers for default"),
    (["provider", "use", "local", "--agent", "cook"], "local answers for cook"),
    (["provider", "list"], "stt > thinker"),
    (["provider", "kinds"], "anthropic"),
    (["provider", "test", "cloud"], "cloud answers: 123 ms"),
    (["usage"], "together at least 0.5625 USD, by the prices of 2026-11-20"),
    (["usage"], "of which 0.5000 USD are an upper estimate: a model of home has no known price"),
    (["usage"], "100 USD a million text tokens"),
    (["usage"], "no known price, not in the sum: own"),
    (["usage", "--days", "2"], "unknown"),
    (["queue"], "network_error"),
    (["queue", "list"], "typed"),
    (["queue", "retry", "all"], "2 will be retried"),
    (["queue", "drop", "0a1b2c3d4e5f", "112233445566"], "2 dropped"),
    (["devices"], "virtual"),
    (["metrics"], "voxd_turns_total 3.0"),
    (["version"], "voxctl 0.1.0"),
]


@pytest.mark.parametrize(("command", "shown"), SHOWN, ids=lambda value: " ".join(value)[:24])
async def test_a_command_says_what_it_did(
    device: Device, voxctl: Voxctl, command: list[str], shown: str
) -> None:
    ran = await voxctl(*command)
    assert (ran.code, ran.err) == (0, "")
    assert shown in ran.out
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("command", [command for command, _ in SHOWN], ids=" ".join)
async def test_every_command_speaks_json(device: Device, voxctl: Voxctl, command: list[str]) -> None:
    ran = await voxctl(*command, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) == 1
    assert isinstance(ran.json, dict | list)


async def test_timers_show_what_is_paused_and_what_repeats(device: Device, voxctl: Voxctl) -> None:
    def entry(id: int, repeat: Repeat | None, *, paused: bool = False) -> TimerEntry:
        return TimerEntry(id, "alarm", "", 1_800_000_090.0, 90.0, False, repeat, paused)

    entries = [
        entry(1, None, paused=True),
        entry(2, Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))),
        entry(3, Repeat(weekdays=(0, 2), every_weeks=2)),
        entry(4, Repeat(weekdays=(0, 1, 2, 3, 4))),
        entry(5, Repeat(month_day=31)),
        entry(6, Repeat(interval_s=7200.0)),
    ]
    device.fake.timers = lambda: entries  # type: ignore[method-assign]
    lines = (await voxctl("timers")).out.splitlines()
    assert lines[0].split() == ["ID", "KIND", "NAME", "DUE", "IN", "REPEATS"]
    assert lines[1].endswith("-                    paused, 1 min 30 s left")
    assert [line.split("s  ")[-1].strip() for line in lines[2:]] == [
        "every day", "Mon Wed, every 2 weeks", "Mon to Fri", "every month on day 31", "every 2 h",
    ]  # fmt: skip
    listed = (await voxctl("timers", "--json")).json
    assert listed[0] | {"paused": False} == msgspec.to_builtins(entry(1, None))
    assert listed[5]["repeat"]["interval_s"] == 7200.0


async def test_the_status_names_the_provider_in_use_and_the_one_it_replaces(
    device: Device, voxctl: Voxctl
) -> None:
    assert "local instead of cloud" in (await voxctl("status")).out


async def test_the_status_says_how_many_questions_wait(device: Device, voxctl: Voxctl) -> None:
    assert "2 to be answered later" in (await voxctl("status")).out


async def test_questions_are_dropped_by_id_or_all_together(device: Device, voxctl: Voxctl) -> None:
    await voxctl("queue", "drop", "0a1b2c3d4e5f", "112233445566")
    await voxctl("queue", "drop", "all", "0a1b2c3d4e5f", "--yes")
    assert device.fake.calls == [
        ("drop_queued", "0a1b2c3d4e5f"),
        ("drop_queued", "112233445566"),
        ("drop_queued", None),
    ]
    ran = await voxctl("queue", "retry", "ffff")
    assert (ran.code, "nothing waits under ffff" in ran.err) == (1, True)
    assert (await voxctl("queue", "drop")).code == 64


async def test_choosing_a_provider_names_the_agent(device: Device, voxctl: Voxctl) -> None:
    await voxctl("provider", "use", "cloud", "--agent", "cook")
    assert device.fake.calls == [("use_provider", "cook", "cloud")]
    ran = await voxctl("provider", "use", "clod")
    assert ran.code == 1
    assert "use one of local, cloud" in ran.err
    assert (await voxctl("usage", "--days", "0")).code == 64


async def test_text_comes_from_standard_input(device: Device, voxctl: Voxctl) -> None:
    assert (await voxctl("say", "-", stdin="grüß dich\n".encode())).code == 0
    assert (await voxctl("ask", "-", stdin=b"what time is it\n")).out == "You said what time is it\n"
    assert device.fake.calls == [("say", "grüß dich"), ("ask", "what time is it", False)]


async def test_a_question_for_a_model_is_answered_with_how_to_get_one(device: Device, voxctl: Voxctl) -> None:
    device.fake.refusal = "needs_model"
    ran = await voxctl("ask", "who wrote hamlet")
    assert (ran.code, ran.out) == (0, "You said who wrote hamlet\n")
    assert "voxctl provider kinds" in ran.err
    assert "Ollama" in ran.err
    ran = await voxctl("ask", "who wrote hamlet", "--json")
    assert (ran.json["refusal"], ran.err) == ("needs_model", "")
    device.fake.refusal = "not_heard"
    assert (await voxctl("ask", "mumble")).err == ""


async def test_an_empty_text_is_refused_before_a_request_is_sent(device: Device, voxctl: Voxctl) -> None:
    ran = await voxctl("say", "-", stdin=b" \n")
    assert (ran.code, device.fake.calls) == (64, [])
    assert "the text is empty" in ran.err


async def test_a_spoken_question_is_sent_as_its_sound(device: Device, voxctl: Voxctl, tmp_path: Path) -> None:
    file = tmp_path / "question.wav"
    file.write_bytes(WAV + bytes(500_000))
    ran = await voxctl("ask", "--audio", str(file), "--speak")
    assert (ran.code, ran.out) == (0, "> what time is it\nNoon.\n")
    assert (await voxctl("ask", "--audio", "-", stdin=WAV)).code == 0
    assert device.fake.calls == [
        ("ask_audio", len(WAV) + 500_000, True),
        ("ask_audio", len(WAV), False),
    ]
    missing = await voxctl("ask", "--audio", str(tmp_path / "none.wav"))
    assert (missing.code, missing.out) == (66, "")


@pytest.mark.parametrize(
    ("outcome", "code", "out"),
    [
        ("answered", 0, "You said hi\n"),
        ("interrupted", 0, "You said hi\n"),
        ("cancelled", 1, "(cancelled)\n"),
    ],
)
async def test_no_answer_is_a_failure(
    device: Device, voxctl: Voxctl, outcome: str, code: int, out: str
) -> None:
    device.fake.outcome = outcome
    ran = await voxctl("ask", "hi")
    assert (ran.code, ran.out) == (code, out)


async def test_sound_that_is_too_long_is_refused_with_a_reason(
    device: Device, voxctl: Voxctl, tmp_path: Path
) -> None:
    file = tmp_path / "lecture.wav"
    file.write_bytes(bytes(8_000_000))
    ran = await voxctl("ask", "--audio", str(file))
    assert ran.code == 1
    assert "longer than" in ran.err


async def test_a_candidates_sound_can_be_saved(device: Device, voxctl: Voxctl, tmp_path: Path) -> None:
    file = tmp_path / "clip.wav"
    assert (await voxctl("wake", "why", "--save", "3", str(file))).out == f"{file}\n"
    assert file.read_bytes() == WAV
    assert (await voxctl("wake", "why", "--save", "4", str(file))).code == 1
    assert (await voxctl("wake", "why", "--save", "x", str(file))).code == 64
    assert (await voxctl("wake", "why", "--save", "3", str(tmp_path / "no" / "clip.wav"))).code == 74


async def test_a_candidates_sound_is_played_by_what_the_machine_has(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    heard = tmp_path / "heard.wav"
    for name, script in (("paplay", "exit 1"), ("aplay", f'/bin/cp "$2" {heard}')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)

    async def play(path: Path) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "voxd.cli.main", "--socket", str(device.socket), "wake", "why", "--play", "3"),
            stderr=asyncio.subprocess.PIPE,
            env=environment(PATH=str(path)),
        )
        _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        return process.returncode, err.decode()

    assert await play(programs) == (0, "")
    assert heard.read_bytes() == WAV
    code, err = await play(tmp_path)
    assert code == 1
    assert "voxctl wake why --save 3 clip.wav" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LocalEngineError("it broke", hint="mend it"), 1),
        (DeadlineExceeded("too slow"), 75),
        (ConfigError("line 3"), 78),
        (VoxdError("unknown"), 1),
        (ZeroDivisionError("a bug"), 1),
    ],
)
async def test_what_the_daemon_refuses_is_an_exit_code(
    device: Device, voxctl: Voxctl, error: Exception, code: int
) -> None:
    device.fake.fail = error
    ran = await voxctl("status")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("voxctl: ")
    assert "a bug" not in ran.err


async def test_an_error_is_json_where_json_is_spoken(device: Device, voxctl: Voxctl) -> None:
    ran = await voxctl("--json", "listen")
    assert (ran.code, ran.out) == (1, "")
    assert '"code": "muted"' in ran.err
    assert '"hint": "run `voxctl unmute`' in ran.err


async def test_without_a_daemon_it_says_how_to_look(voxctl: Voxctl) -> None:
    ran = await voxctl("status")
    assert ran.code == 69
    assert "./scripts/run" in ran.err
    assert "sudo ./scripts/install" in ran.err
    version = await voxctl("version")
    assert (version.code, version.out) == (0, "voxctl 0.1.0\nvoxd   not running\n")


@pytest.mark.parametrize(
    "command", [[], ["dance"], ["say"], ["ask"], ["volume", "loud"], ["volume", "101"], ["status", "--frob"]]
)
async def test_wrong_arguments_are_64(voxctl: Voxctl, command: list[str]) -> None:
    ran = await voxctl(*command)
    assert (ran.code, ran.out) == (64, "")
    assert "usage: voxctl" in ran.err


async def test_help_lists_every_exit_code(voxctl: Voxctl) -> None:
    ran = await voxctl("--help")
    help_text = " ".join(ran.out.split())
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert ran.code == 0
    assert {int(word) for word in help_text.partition("exit codes: ")[2].split() if word.isdecimal()} == codes


async def test_a_daemon_of_another_protocol_is_76(voxctl: Voxctl, tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(web, tmp_path / "voxd.sock"):
        assert (await voxctl("status")).code == 76


STRANGER = """
import os, sys
import voxd.cli.device, voxd.cli.turns
from voxd.cli.main import main
from voxd.cli.tree import parse
parse(["status"])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""
"""Imports first: nobody may not be allowed to read the directory the interpreter lies in."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_unprivileged_user_may_read_but_not_change(device: Device, tmp_path: Path) -> None:
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        directory.chmod(directory.stat().st_mode | 0o011)

    async def stranger(*args: str) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", STRANGER, "--socket", str(device.socket), *args),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    looked = await stranger("status")
    assert (looked.code, looked.err) == (0, "")
    history = await stranger("history")
    assert (history.code, SECRET_WORDS in history.out) == (0, False)
    touched = await stranger("say", "boo")
    assert touched.code == 77
    assert "group voxd" in touched.err
    (tmp_path / "voxd-read.sock").chmod(0o600)
    assert (await stranger("status")).code == 77
    assert device.fake.calls == []


async def started(device: Device, *args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voxd.cli.main", "--socket", str(device.socket), *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )


async def test_the_log_says_which_process_gave_an_order(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "voxd.control")
    process = await started(device, "say", SECRET_WORDS)
    await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.pid != os.getpid()
    assert f"control say: ok (pid {process.pid}, uid {os.getuid()}, gid {os.getgid()})" in caplog.messages
    assert SECRET_WORDS not in caplog.text


async def test_ctrl_c_is_130(device: Device) -> None:
    device.fake.free.clear()
    process = await started(device, "say", "a long story")
    await asyncio.wait_for(device.fake.saying.wait(), PATIENCE_S)
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, err) == (130, b"\n")


async def test_watch_shows_the_state_and_survives_a_restart(device: Device) -> None:
    process = await started(device, "watch", "--json", "volume.*")
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert b'"state": "idle"' in await process.stdout.readline()
        device.fake.bus.emit("error", code="not asked for")
        device.fake.bus.emit("volume.changed", percent=1)
        assert b'"percent": 1' in await process.stdout.readline()
        await device.server.close()
        device.fake.bus.emit("volume.changed", percent=2)
        async with ControlServer(device.fake, [bind(device.socket, "control")]):
            assert b'"state": "idle"' in await process.stdout.readline()
            assert b'"percent": 2' in await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    assert process.returncode == 130
    assert err.count(b"reconnecting") == 1, "it is printed once per outage"


async def test_watch_without_a_daemon_is_69(voxctl: Voxctl) -> None:
    assert (await voxctl("watch")).code == 69


async def test_a_closed_pipe_ends_it_silently(device: Device) -> None:
    process = await started(device, "watch")
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        while process.returncode is None:
            device.fake.bus.emit("volume.changed", percent=1)
            await asyncio.sleep(0)
        _, err = await process.communicate()
    assert (process.returncode, err) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize(
    ("command", "colours"),
    [(["history"], True), (["history", "--no-color"], False), (["status"], True), (["last"], True)],
)
async def test_a_terminal_gets_colours_unless_they_are_disabled(
    device: Device, command: list[str], colours: bool
) -> None:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voxd.cli.main", "--socket", str(device.socket), *command),
        stdout=theirs,
        env=environment(TERM="xterm-256color", COLUMNS="120", NO_COLOR=""),
    )
    await asyncio.wait_for(process.wait(), PATIENCE_S)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert process.returncode == 0
    assert ("\x1b[" in shown) is colours


async def test_the_blocking_client_finds_the_socket_of_this_session(device: Device, tmp_path: Path) -> None:
    session = tmp_path / "session" / "voxd"
    session.mkdir(parents=True)
    (session / "voxd.sock").symlink_to(device.socket)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voxd.cli.main", "volume"),
        stdout=asyncio.subprocess.PIPE,
        env=environment(XDG_RUNTIME_DIR=str(session.parent)),
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert out == b"70 %\n"


async def test_the_configured_socket_is_used_when_a_configuration_is_named(
    device: Device, tmp_path: Path
) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text(f'version = 1\n[control]\nsocket = "{device.socket}"\n')
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "voxd.cli.main", "--config", str(file), "volume"),
        stdout=asyncio.subprocess.PIPE,
        env=environment(),
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert out == b"70 %\n"


async def test_the_start_imports_nothing_heavy(device: Device) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-X", "importtime", "-m", "voxd.cli.main", "--socket", str(device.socket), "status"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    imported = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
    assert "voxd.cli.connect" in imported
    assert imported.isdisjoint({"asyncio", "msgspec", "rich", "numpy", "voxd.reports", "voxd.cli.turns"})
