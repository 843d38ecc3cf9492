"""The command line around a daemon that is not there: exit codes, reloads, and ends that are not planned."""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import FakeClock, settle
from voxd import main as voxd_main
from voxd.bus.bus import Bus
from voxd.config.loading import load
from voxd.errors import (
    Busy,
    ConfigError,
    DeviceError,
    InvalidRequest,
    LocalEngineError,
    NotPermitted,
    StoreError,
    VoxdError,
)
from voxd.providers.facts import config_facts


class NoDaemon:
    """Starts and stops, or does not."""

    start_error: VoxdError | None = None
    reload_error: VoxdError | None = None
    starting: asyncio.Event | None = None

    def __init__(self, *_: object, **__: object) -> None:
        self.clock = FakeClock()
        self.bus = Bus(self.clock)
        self.appliance = self.runner = self
        self.turn: object = None
        self.stopped = False

    async def start(self, listeners: object) -> None:
        if self.start_error:
            raise self.start_error
        if self.starting:
            await self.starting.wait()

    async def stop(self) -> None:
        self.stopped = True

    async def say_problems(self) -> None:
        pass

    async def reload(self) -> None:
        if self.reload_error:
            raise self.reload_error

    def summary(self) -> str:
        return "Here"


class Heard:
    """Records what systemd would receive."""

    said: list[str]

    def ready(self, status: str) -> None:
        self.said.append("ready")

    def reloading(self, now_s: float) -> None:
        self.said.append("reloading")

    def stopping(self) -> None:
        self.said.append("stopping")

    def status(self, text: str) -> None:
        """Shown, not noted."""


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], voxd_main.Service]:
    Heard.said = []
    monkeypatch.setattr(voxd_main, "Daemon", NoDaemon)
    monkeypatch.setattr(voxd_main, "Notifier", Heard)
    monkeypatch.setattr(NoDaemon, "start_error", None)
    monkeypatch.setattr(NoDaemon, "reload_error", None)
    monkeypatch.delenv("LISTEN_FDS", raising=False)

    def make(*arguments: str) -> voxd_main.Service:
        args = voxd_main.parser().parse_args(["--set", f'paths.runtime="{tmp_path}"', *arguments])
        loaded = load(None, get_facts=config_facts, environ={}, overrides=args.set)
        return voxd_main.Service(args, loaded)

    return make


def sockets(directory: Path) -> list[str]:
    return [file.name for file in directory.glob("*.sock")]


async def test_a_daemon_that_cannot_start_leaves_no_socket_behind(
    service: Callable[[], voxd_main.Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object, **__: object) -> None:
        raise LocalEngineError("no memory")

    monkeypatch.setattr(voxd_main, "Daemon", unable)
    with pytest.raises(LocalEngineError):
        await service().run()
    assert sockets(tmp_path) == []


async def test_a_start_that_fails_is_taken_down_again(
    service: Callable[[], voxd_main.Service], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NoDaemon, "start_error", StoreError("no disk"))
    with pytest.raises(StoreError):
        await service().run()
    assert Heard.said == ["stopping"]
    assert sockets(tmp_path) == []


@pytest.mark.parametrize("error", [None, ConfigError("bad"), StoreError("no disk")])
async def test_systemd_hears_the_end_of_every_reload(
    service: Callable[[], voxd_main.Service], monkeypatch: pytest.MonkeyPatch, error: VoxdError | None
) -> None:
    monkeypatch.setattr(NoDaemon, "reload_error", error)
    running = asyncio.create_task(service().run())
    await settle()
    os.kill(os.getpid(), signal.SIGHUP)
    async with asyncio.timeout(5):
        while Heard.said.count("ready") < 2:
            await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    assert Heard.said == ["ready", "reloading", "ready", "stopping"]


async def test_a_reload_asked_for_during_the_start_waits_until_the_daemon_is_ready(
    service: Callable[[], voxd_main.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = asyncio.Event()
    monkeypatch.setattr(NoDaemon, "starting", starting)
    running = asyncio.create_task(service().run())
    await settle()
    os.kill(os.getpid(), signal.SIGHUP)
    await settle()
    assert Heard.said == []
    starting.set()
    async with asyncio.timeout(5):
        while Heard.said.count("ready") < 2:
            await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 0
    assert Heard.said == ["ready", "reloading", "ready", "stopping"]


async def test_a_second_socket_that_cannot_be_bound_takes_the_first_with_it(
    service: Callable[[], voxd_main.Service], tmp_path: Path
) -> None:
    (tmp_path / "voxd-read.sock").write_text("precious")
    with pytest.raises(NotPermitted):
        await service().run()
    assert sockets(tmp_path) == ["voxd-read.sock"]


async def test_a_watch_that_fails_ends_the_daemon_aloud(
    service: Callable[[], voxd_main.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(self: voxd_main.Service) -> None:
        raise BrokenPipeError("the reader is gone")

    monkeypatch.setattr(voxd_main.Service, "_watch", failing)
    async with asyncio.timeout(5):
        with pytest.raises(BrokenPipeError):
            await service().run()
    assert Heard.said == ["ready", "stopping"]


@pytest.mark.parametrize(("outcome", "code"), [("answered", 0), ("no_speech", 65), ("engine_failed", 70)])
async def test_once_ends_as_its_turn_did(
    service: Callable[..., voxd_main.Service], monkeypatch: pytest.MonkeyPatch, outcome: str, code: int
) -> None:
    daemon = NoDaemon()
    monkeypatch.setattr(voxd_main, "Daemon", lambda *_, **__: daemon)
    monkeypatch.setattr(voxd_main.Service, "_watch", watching_nothing)
    running = asyncio.create_task(service("--once", "question.wav").run())
    await settle()
    daemon.bus.emit("turn.ended", outcome=outcome)
    assert await running == code


async def test_once_ends_with_the_reason_when_its_recording_cannot_be_heard(
    service: Callable[..., voxd_main.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = NoDaemon()
    monkeypatch.setattr(voxd_main, "Daemon", lambda *_, **__: daemon)
    monkeypatch.setattr(voxd_main.Service, "_watch", watching_nothing)
    running = asyncio.create_task(service("--once", "question.wav").run())
    await settle()
    daemon.bus.emit("audio.lost", device="virtual", reason="missing", hint="no room for a process")
    async with asyncio.timeout(5):
        with pytest.raises(DeviceError, match=r"question\.wav") as caught:
            await running
    assert caught.value.hint == "no room for a process"
    assert voxd_main.EXIT_CODES.get(caught.value.code, voxd_main.INTERNAL) == 70


async def test_once_lets_the_answer_end_that_is_spoken_when_its_recording_is_lost(
    service: Callable[..., voxd_main.Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = NoDaemon()
    daemon.turn = object()
    monkeypatch.setattr(voxd_main, "Daemon", lambda *_, **__: daemon)
    monkeypatch.setattr(voxd_main.Service, "_watch", watching_nothing)
    running = asyncio.create_task(service("--once", 'a "question".wav').run())
    await settle()
    daemon.bus.emit("audio.lost", device="virtual", reason="exited", hint="")
    daemon.bus.emit("turn.ended", outcome="interrupted")
    await settle()
    assert not running.done()
    daemon.bus.emit("turn.ended", outcome="answered")
    assert await running == 0


async def watching_nothing(self: voxd_main.Service) -> None:
    """Nothing to watch."""


ERRORS = [
    (ConfigError("x"), 78),
    (NotPermitted("x"), 77),
    (InvalidRequest("x"), 65),
    (Busy("x", code="already_running"), 69),
    (LocalEngineError("x", hint="mend it"), 70),
]


@pytest.mark.parametrize(("error", "code"), ERRORS)
def test_an_error_ends_in_its_exit_code_and_says_what_to_do(
    error: VoxdError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(voxd_main, "run", failing)
    monkeypatch.setattr("sys.argv", ["voxd"])
    assert voxd_main.main() == code
    said = capsys.readouterr().err
    assert "voxd: x" in said
    assert error.hint in said


@pytest.mark.parametrize(("content", "code"), [(None, 66), (b"not a wav", 65)])
def test_once_refuses_what_is_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, code: int
) -> None:
    file = tmp_path / "question.wav"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr("sys.argv", ["voxd", "--once", str(file)])
    assert voxd_main.main() == code


def test_once_distinguishes_a_directory_from_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["voxd", "--once", str(tmp_path)])
    assert voxd_main.main() == 66
    assert f"{tmp_path} is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--wat"], ["--once"], ["question.wav"]])
def test_wrong_arguments_are_64(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["voxd", *arguments])
    with pytest.raises(SystemExit, match="64"):
        voxd_main.main()
    assert "usage: voxd" in capsys.readouterr().err
