import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from voxd.cli.doctor import engines, machine, probe, service
from voxd.cli.doctor.check import CheckResult, DoctorContext, Status, Step, examine, fail, ok
from voxd.cli.doctor.command import STEPS
from voxd.cli.main import main
from voxd.config.schema import Config
from voxd.config.secrets import resolve
from voxd.errors import DeviceError

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="no flite on this machine")


def config(**sections: object) -> Config:
    return msgspec.convert(
        sections, Config, dec_hook=lambda kind, value: resolve(value, {"SET": "x"}), strict=True
    )


def context(
    root: Path = Path("/nonexistent"), environ: dict[str, str] | None = None, **sections: Any
) -> DoctorContext:
    return DoctorContext(config(**sections), environ or {"HOME": str(root)}, root=root)


def place(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


# --- the runner -----------------------------------------------------------------------------------


def test_a_check_that_crashes_is_a_failure_and_the_next_one_is_made() -> None:
    def crash(_: DoctorContext) -> CheckResult:
        raise ZeroDivisionError("oh")

    def refuse(_: DoctorContext) -> CheckResult:
        raise DeviceError("no card", hint="plug one in")

    steps = [Step("a", "A", crash), Step("b", "B", refuse), Step("c", "C", lambda _: ok("fine"))]
    checks = list(examine(steps, context()))
    assert [check.status for check in checks] == ["fail", "fail", "ok"]
    assert "ZeroDivisionError: oh" in checks[0].detail
    assert (checks[1].detail, checks[1].hint) == ("no card", "plug one in")


def test_a_check_that_hangs_is_a_failure_in_time() -> None:
    release = threading.Event()

    def hang(_: DoctorContext) -> CheckResult:
        release.wait(20)
        return ok("late")

    started = time.monotonic()
    (check,) = examine([Step("a", "A", hang)], context(), timeout_s=0.05)
    release.set()
    assert (check.status, check.detail) == ("fail", "no answer after 0.05 s")
    assert time.monotonic() - started < 10


def test_the_ids_are_stable_and_unique() -> None:
    ids = [step.id for step in STEPS]
    assert len(set(ids)) == len(ids)
    assert {"python.version", "config.valid", "wake.model.loads", "socket.reachable", "unit.state"} <= set(
        ids
    )


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("millidegrees", "status"), [("45000\n", "ok"), ("80000", "warn"), ("85000", "fail"), ("broken", "skip")]
)
def test_temperature(tmp_path: Path, millidegrees: str, status: str) -> None:
    place(tmp_path, "sys/class/thermal/thermal_zone0/temp", millidegrees)
    assert machine.cpu_temp(context(tmp_path)).status == status


@pytest.mark.parametrize(
    ("bits", "status", "words"),
    [
        ("0", "ok", "never"),
        ("50005", "fail", "now: under-voltage, throttled"),
        ("50000", "warn", "since the start: under-voltage, throttled"),
        ("80008", "fail", "soft temperature limit"),
    ],
)
def test_throttling_of_a_raspberry_pi(tmp_path: Path, bits: str, status: str, words: str) -> None:
    place(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", bits + "\n")
    finding = machine.cpu_throttled(context(tmp_path))
    assert finding.status == status
    assert words in finding.detail


@pytest.mark.parametrize(("available_kb", "status"), [(3_000_000, "ok"), (90_000, "warn")])
def test_memory(tmp_path: Path, available_kb: int, status: str) -> None:
    place(tmp_path, "proc/meminfo", f"MemTotal:  4000000 kB\nMemAvailable: {available_kb} kB\n")
    assert machine.mem_available(context(tmp_path)).status == status


def test_a_value_the_machine_does_not_provide_is_skipped(tmp_path: Path) -> None:
    for look in (machine.cpu_temp, machine.mem_available, machine.clock_synchronized):
        assert look(context(tmp_path)).status is Status.SKIP
    assert service.unit_state(context(tmp_path)).status is Status.SKIP


def test_a_clock_before_2026_was_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert machine.clock_synchronized(context()).status is Status.FAIL


def test_a_clock_set_by_the_network_is_fine(tmp_path: Path) -> None:
    place(tmp_path, "run/systemd/timesync/synchronized", "")
    assert machine.clock_synchronized(context(tmp_path)).status is Status.OK


def test_disk_space_is_that_of_the_nearest_directory_that_exists(tmp_path: Path) -> None:
    finding = machine.disk_space(context(paths={"state": str(tmp_path / "not" / "yet")}))
    assert finding.detail.endswith(f"MB free at {tmp_path}")


# --- the service ----------------------------------------------------------------------------------

LAMP = {
    "name": "lamp",
    "sentences": ["lamp"],
    "action": {"type": "http", "url": "http://lamp/", "headers": {"Authorization": {"env": "SET"}}},
}


def test_secrets_are_looked_at_and_not_shown() -> None:
    finding = service.credentials_readable(context(environ={"SET": "x"}, skills={"commands": [LAMP]}))
    assert (finding.status, finding.detail) == ("ok", "1 readable")
    missing = LAMP | {"action": {**LAMP["action"], "headers": {"A": {"env": "GONE"}}}}  # type: ignore[dict-item]
    finding = service.credentials_readable(context(skills={"commands": [missing]}))
    assert (finding.status, "GONE" in finding.detail) == ("fail", True)
    in_unit = LAMP | {"action": {**LAMP["action"], "headers": {"A": {"credential": "key"}}}}  # type: ignore[dict-item]
    finding = service.credentials_readable(context(skills={"commands": [in_unit]}))
    assert (finding.status, finding.detail) == ("fail", "credential key: run `voxctl secret set key`")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a program that prints something before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def install(name: str, prints: str) -> None:
        place(tmp_path, f"bin/{name}", f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\n")
        (tmp_path / "bin" / name).chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("properties", "status", "words"),
    [
        ("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0", "ok", "active (running)"),
        ("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=3", "warn", "restarted 3 times"),
        ("LoadState=loaded\nActiveState=failed\nSubState=failed\nNRestarts=8", "fail", "failed (failed)"),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead\nNRestarts=0", "skip", "not installed"),
        ("", "skip", "not installed"),
    ],
)
def test_the_state_of_the_service(
    tmp_path: Path, program: Any, properties: str, status: str, words: str
) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    program("systemctl", properties)
    finding = service.unit_state(context(tmp_path))
    assert (finding.status, words in finding.detail) == (status, True)


@pytest.mark.parametrize(("answer", "status"), [("yes", "ok"), ("no", "warn")])
def test_a_clock_systemd_knows_about(tmp_path: Path, program: Any, answer: str, status: str) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    program("timedatectl", answer)
    assert machine.clock_synchronized(context(tmp_path)).status == status


def test_vcgencmd_is_used_where_the_kernel_gives_no_value(tmp_path: Path, program: Any) -> None:
    program("vcgencmd", "throttled=0x50000")
    assert machine.cpu_throttled(context(tmp_path)).status is Status.WARN


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """A socket that answers one request with a status, as the daemon does."""
    path = tmp_path / "voxd.sock"
    audio = {"input": "card", "ok": False, "problem": "unplugged"}
    status = {"version": "9", "summary": "All is well", "muted": False, "audio": audio}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:
                request = json.loads(stream.readline())
                stream.write(
                    json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": status}).encode() + b"\n"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join(20)


def test_a_daemon_that_answers_is_quoted(daemon: Path) -> None:
    finding = service.socket_reachable(DoctorContext(Config(), {}, socket=daemon))
    assert finding == ok(f"voxd 9 at {daemon}: All is well")


def test_a_running_daemon_is_asked_for_its_microphone(daemon: Path) -> None:
    finding = engines.input_opens(DoctorContext(Config(), {}, socket=daemon))
    assert finding.status is Status.FAIL
    assert "unplugged" in finding.detail


def test_without_a_daemon_the_report_explains_how_to_start_one(tmp_path: Path) -> None:
    finding = service.socket_reachable(DoctorContext(Config(), {}, socket=tmp_path / "gone"))
    assert finding.status is Status.WARN
    assert "systemctl start voxd" in finding.hint


# --- the engines ----------------------------------------------------------------------------------


def test_the_built_in_wake_word_loads_in_a_process_of_its_own() -> None:
    finding = engines.wake_loads(context())
    assert finding.status is Status.OK
    assert finding.detail.startswith("hey_jarvis: ")


def test_a_wake_word_without_its_model_says_which(tmp_path: Path) -> None:
    words = [{"name": "own", "model": str(tmp_path / "gone.tflite")}]
    finding = engines.wake_loads(context(wake={"words": words}))
    assert finding.status is Status.FAIL
    assert "gone.tflite" in finding.detail


def test_the_voice_activity_detector_loads() -> None:
    assert engines.vad_loads(context()).status is Status.OK


def test_an_engine_that_crashes_is_a_failure_with_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nkill -ILL $$\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    finding = engines.vad_loads(context())
    assert finding.status is Status.FAIL
    assert "ILL" in finding.detail


def test_gpio_is_skipped_where_there_is_none_and_nothing_is_wired(tmp_path: Path) -> None:
    assert engines.gpio_factory(context(tmp_path)).status is Status.SKIP


def test_gpio_that_cannot_be_driven_fails_with_the_reasons_of_every_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    wired = context(tmp_path, leds={"kind": "led", "pins": [4]})
    finding = engines.gpio_factory(wired)
    if (Path("/dev/gpiochip0")).exists():
        pytest.skip("this machine has GPIO")
    assert finding.status is Status.FAIL
    assert "lgpio" in finding.detail
    place(tmp_path, "proc/device-tree/model", "Raspberry Pi 5")
    assert engines.gpio_factory(context(tmp_path)).status is Status.WARN, "nothing is wired"


def test_gpio_names_the_library_that_drives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    wired = context(tmp_path, button={"pin": 4})
    assert engines.gpio_factory(wired) == ok("MockFactory")


def test_every_probe_is_used() -> None:
    assert set(probe.PROBES) == {"wake", "vad", "gpio"}


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_virtual_device_needs_no_card(direction: str) -> None:
    look = engines.input_present if direction == "input" else engines.output_present
    assert look(context(audio={direction: "virtual"})).status is Status.SKIP


def test_a_card_that_is_not_there_is_a_failure_that_lists_what_is() -> None:
    finding = engines.input_present(context(audio={"input": "No Such Card"}))
    assert finding.status is Status.FAIL
    assert 'unknown device "No Such Card"; available: ' in finding.detail


@needs_flite
def test_the_embedded_engines_speak_and_understand(tmp_path: Path) -> None:
    here = context(stt={"engine": "pocketsphinx"}, tts={"engine": "flite"}, paths={"models": str(tmp_path)})
    spoken = engines.tts_engine(here)
    assert (spoken.status, "flite synthesized" in spoken.detail) == ("ok", True)
    heard = engines.stt_engine(here)
    assert (heard.status, "pocketsphinx transcribed" in heard.detail) == ("ok", True)


@needs_flite
def test_an_engine_that_stands_in_for_the_configured_one_is_a_warning(tmp_path: Path) -> None:
    here = context(tts={"engine": "piper"}, paths={"models": str(tmp_path)})
    finding = engines.tts_engine(here)
    assert finding.status is Status.WARN
    assert "not piper: " in finding.detail


# --- the whole ------------------------------------------------------------------------------------


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*findings: CheckResult) -> None:
        steps = tuple(
            Step(f"check.{number}", "Title", lambda _, finding=finding: finding)
            for number, finding in enumerate(findings)
        )
        monkeypatch.setattr("voxd.cli.doctor.command.STEPS", steps)

    return use


def test_the_report_is_a_line_per_check_and_a_summary(only: Any, capsys: pytest.CaptureFixture[str]) -> None:
    only(ok("fine"), CheckResult(Status.WARN, "hot", "cool it"), CheckResult(Status.SKIP, "no GPIO"))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=2) == ["ok", "check.0", "fine"]
    assert lines[2].strip() == "-> cool it"
    assert lines[-1] == "1 ok, 1 warning, 1 skipped"


def test_a_failure_is_exit_code_1_and_json_has_every_field(
    only: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    only(ok("fine"), fail("broken", "mend it"))
    assert main(["--json", "doctor"]) == 1
    assert json.loads(capsys.readouterr().out)[1] == {
        "id": "check.1",
        "title": "Title",
        "status": "fail",
        "detail": "broken",
        "hint": "mend it",
    }


def test_a_broken_configuration_is_a_finding_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "voxd.toml"
    file.write_text("[audio]\nchannels = 99\n")
    steps = [step for step in STEPS if step.id in {"config.valid", "python.version"}]
    monkeypatch.setattr("voxd.cli.doctor.command.STEPS", steps)
    assert main(["--config", str(file), "--json", "doctor"]) == 1
    checks = {check["id"]: check for check in json.loads(capsys.readouterr().out)}
    assert checks["python.version"]["status"] == "ok"
    assert f"{file}:2: error: audio.channels" in checks["config.valid"]["detail"]
