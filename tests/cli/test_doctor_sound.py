"""What the doctor says of the sound of a microphone, with and without a daemon that holds it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeClock
from voxd.audio.ring import Ring
from voxd.bus.bus import Bus
from voxd.cli.doctor import sound as doctor_sound
from voxd.cli.doctor.check import DoctorContext, Status
from voxd.cli.doctor.sound import input_quality
from voxd.config.schema import Audio, Config
from voxd.observe.metrics import Metrics


def metrics(*utterances: dict[str, Any]) -> str:
    """What a daemon shows that has heard ``utterances``."""
    bus, shown = Bus(FakeClock()), Metrics()
    bus.handle(shown.handle)
    for heard in utterances:
        bus.emit("audio.quality", **heard)
    return shown.render()


def heard(**changes: Any) -> dict[str, Any]:
    well = {"level_dbfs": -25.0, "peak_dbfs": -8.0, "clipped_percent": 0.0, "snr_db": 38.0, "dropouts": 0}
    return {**well, **changes}


@contextmanager
def daemon(path: Path, text: str) -> Iterator[DoctorContext]:
    """A socket that answers one request for metrics."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:
                request = json.loads(stream.readline())
                assert request["method"] == "metrics.get"
                answer = {"jsonrpc": "2.0", "id": request["id"], "result": {"text": text}}
                stream.write(json.dumps(answer).encode() + b"\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield DoctorContext(Config(), {}, socket=path)
        thread.join(20)


@pytest.mark.parametrize(
    ("utterance", "status", "words"),
    [
        (heard(), Status.OK, "-25 dBFS, 38 dB above the noise"),
        (heard(snr_db=None), Status.OK, "-25 dBFS, no clipping"),
        (heard(clipped_percent=2.5), Status.WARN, "2.5 % of it is cut off"),
        (heard(snr_db=8.0, level_dbfs=-44.0), Status.WARN, "only 8 dB above the noise"),
        (heard(level_dbfs=-50.0), Status.WARN, "speech is quiet: -50 dBFS"),
        (heard(dropouts=3), Status.WARN, "missing in 3 places"),
    ],
)
def test_the_last_utterance_is_requested_from_a_running_daemon(
    tmp_path: Path, utterance: dict[str, Any], status: Status, words: str
) -> None:
    with daemon(tmp_path / "voxd.sock", metrics(utterance)) as context:
        finding = input_quality(context)
    assert finding.status is status
    assert words in finding.detail
    assert bool(finding.hint) == (status is Status.WARN)


def test_a_daemon_without_an_utterance_skips_the_check(tmp_path: Path) -> None:
    with daemon(tmp_path / "voxd.sock", metrics()) as context:
        finding = input_quality(context)
    assert finding.status is Status.SKIP
    assert "no speech since the daemon started" in finding.detail


class Room:
    """A microphone with ``sound`` in its ring once it is open."""

    sound = np.zeros(0)
    virtual = False
    ok = True
    device = "card"

    def __init__(self, config: Audio, ring: Ring, *_: object) -> None:
        self.ring = ring

    async def start(self) -> None:
        for part in np.array_split(self.sound, 50):
            self.ring.append(part.astype("<i2").tobytes())

    async def close(self) -> None:
        """Nothing is open."""


class Hasty(FakeClock):
    """A clock that does not wait."""

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


NOISE = np.random.default_rng(3).normal(0, 30, 32_000)


@pytest.mark.parametrize(
    ("sound", "status", "words"),
    [
        (NOISE, Status.OK, "card: -61 dBFS"),
        (np.zeros(32_000), Status.WARN, "silent"),
        (30 * NOISE, Status.WARN, "much noise"),
    ],
)
def test_without_a_daemon_the_room_is_listened_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: Any, status: Status, words: str
) -> None:
    monkeypatch.setattr(doctor_sound, "SystemClock", Hasty)
    monkeypatch.setattr(doctor_sound, "Microphone", type("Heard", (Room,), {"sound": sound}))
    finding = input_quality(DoctorContext(Config(), {}, socket=tmp_path / "gone"))
    assert finding.status is status
    assert words in finding.detail


@pytest.mark.parametrize("state", [{"virtual": True}, {"ok": False}])
def test_a_microphone_that_is_not_there_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, bool]
) -> None:
    monkeypatch.setattr(doctor_sound, "Microphone", type("Gone", (Room,), state))
    assert input_quality(DoctorContext(Config(), {}, socket=tmp_path / "gone")).status is Status.SKIP


def test_a_virtual_microphone_is_not_judged() -> None:
    assert input_quality(DoctorContext(Config(audio=Audio(input="virtual")), {})).status is Status.SKIP
