"""Supervision of the microphone on a fake clock: the signs of a loss, overruns and back-off."""

import asyncio
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.audio import ring_writer
from voxd.audio.microphone import HINTS, LossReason, Microphone, StreamState, find_loss
from voxd.audio.ring import Ring
from voxd.config.schema import Audio
from voxd.errors import DeviceError

HEALTHY = StreamState(
    now_s=100.0, heartbeat_s=99.9, flat_run=0, alive=True, card_before="Array", card_now="Array"
)


NOISE = array("h", (-3, 2, 0, 1) * 40).tobytes()


class FakeChild:
    """A scripted capture process; the test itself writes the ring."""

    spawned: list["FakeChild"]
    error: DeviceError | None
    raw_name = "Mic: USB (hw:1,0)"

    def __init__(self) -> None:
        self.alive = True
        self.pid = 1

    @classmethod
    async def spawn(cls, module: str, arguments: dict[str, Any], fds: tuple[int, ...] = ()) -> "FakeChild":
        cls.spawned.append(cls())
        return cls.spawned[-1]

    async def report(self, timeout_s: float) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {"device": "Mic: USB", "raw_name": self.raw_name, "rate_hz": 16_000}

    async def kill(self) -> None:
        self.alive = False


class Bench:
    """A supervised microphone with fake time, process and /proc/asound."""

    def __init__(self, ring: Ring, asound: Path) -> None:
        self.clock = FakeClock()
        self.emit = RecordingEmit()
        self.ring = ring
        self.card = asound / "card1" / "id"
        self.card.parent.mkdir()
        self.card.write_text("Device\n")
        self.asound = asound
        self.microphone = self.supervise(Audio(input="Mic"))

    def supervise(self, config: Audio) -> Microphone:
        return Microphone(config, self.ring, self.clock, self.emit, asound=self.asound)

    async def pass_time(self, seconds: float, *, sound: bytes = NOISE) -> None:
        for _ in range(round(seconds / 0.1)):
            if sound:
                self.ring.append(sound)
                self.ring.header[ring_writer.HEARTBEAT_NS] = round(self.clock.now * 1e9)
            await self.clock.advance(0.1)

    def lost(self) -> list[str]:
        return [data["reason"] for type, data in self.emit.events if type == "audio.lost"]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    FakeChild.spawned = []
    FakeChild.error = None
    monkeypatch.setattr("voxd.audio.microphone.AudioProcess", FakeChild)
    with Ring.create(1, 4.0) as ring:
        yield Bench(ring, tmp_path)


async def started(bench: Bench) -> None:
    bench.ring.append(NOISE)
    bench.ring.header[ring_writer.HEARTBEAT_NS] = 0
    task = asyncio.create_task(bench.microphone.start())
    await settle()
    await bench.pass_time(0.3)
    await task


@pytest.mark.parametrize("now", ["Webcam\n", None])
async def test_another_card_in_its_place_is_a_loss(bench: Bench, now: str | None) -> None:
    await started(bench)
    await bench.pass_time(0.5)
    assert bench.lost() == []
    if now is None:
        bench.card.unlink()
    else:
        bench.card.write_text(now)
    await bench.pass_time(0.3)
    assert bench.lost() == ["identity"]
    await bench.microphone.close()


async def test_no_block_for_the_stall_timeout_is_a_loss(bench: Bench) -> None:
    await started(bench)
    await bench.pass_time(0.9, sound=b"")
    assert bench.lost() == []
    await bench.pass_time(0.5, sound=b"")
    assert bench.lost() == ["stalled"]
    assert not FakeChild.spawned[0].alive
    await bench.microphone.close()


async def test_overruns_are_reported_as_they_are_counted(bench: Bench) -> None:
    await started(bench)
    bench.ring.add(ring_writer.OVERRUNS, 3)
    await bench.pass_time(0.5)
    bench.ring.add(ring_writer.OVERRUNS, 2)
    await bench.pass_time(0.5)
    assert bench.emit.events == [("audio.overrun", {"count": 3}), ("audio.overrun", {"count": 2})]
    await bench.microphone.close()


async def test_a_missing_device_is_retried_with_back_off_and_reported_once(bench: Bench) -> None:
    FakeChild.error = DeviceError("no sound device is called 'Mic'", hint="run `voxctl devices`")
    await bench.microphone.start()
    assert bench.lost() == ["missing"]
    await bench.pass_time(10.0, sound=b"")
    # 0.5, 1.0, 1.5, then every 2 s: attempts at 0, 0.5, 1.5, 3, 5, 7, 9 s.
    assert len(FakeChild.spawned) == 7
    assert bench.lost() == ["missing"]
    FakeChild.error = None
    await bench.pass_time(2.5)
    assert bench.emit.types() == ["audio.lost", "audio.restored"]
    assert bench.microphone.ok
    assert bench.microphone.problem == ""
    await bench.microphone.close()


async def test_a_returned_device_that_gives_only_zeros_is_not_restored(bench: Bench) -> None:
    await started(bench)
    await bench.pass_time(2.0, sound=bytes(3200))
    assert bench.lost() == ["digital_silence"]
    bench.ring.begin()
    await bench.pass_time(1.0, sound=bytes(3200))
    assert bench.emit.types() == ["audio.lost"]
    await bench.pass_time(3.0)
    assert bench.emit.types() == ["audio.lost", "audio.restored"]
    await bench.microphone.close()


@pytest.mark.parametrize("pattern", [(37,), (0, 1), (-1, 0, 1), (-32_768, 32_767)])
async def test_a_stuck_microphone_is_as_deaf_as_a_silent_one(bench: Bench, pattern: tuple[int, ...]) -> None:
    await started(bench)
    await bench.pass_time(2.0, sound=array("h", pattern * (1600 // len(pattern))).tobytes())
    assert bench.lost() == ["digital_silence"]
    await bench.microphone.close()


@pytest.mark.parametrize("sound", [bytes(3200), b"\x25\x00" * 1600], ids=["zeros", "a constant"])
async def test_a_recording_is_never_deaf(bench: Bench, sound: bytes) -> None:
    bench.microphone = bench.supervise(Audio(input="virtual"))
    await started(bench)
    await bench.pass_time(10.0, sound=sound)
    assert bench.emit.events == []
    assert bench.microphone.ok
    await bench.microphone.close()


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, None),
        ({"heartbeat_s": 99.0}, None),
        ({"heartbeat_s": 98.99}, LossReason.STALLED),
        ({"flat_run": 23_999}, None),
        ({"flat_run": 24_000}, LossReason.DIGITAL_SILENCE),
        ({"alive": False}, LossReason.EXITED),
        ({"alive": False, "heartbeat_s": 0.0, "flat_run": 99_999}, LossReason.EXITED),
        ({"card_now": ""}, LossReason.IDENTITY),
        ({"card_now": "Array_1"}, LossReason.IDENTITY),
        ({"card_before": "", "card_now": ""}, None),
    ],
)
def test_each_sign_of_a_loss_has_its_reason(change: dict[str, object], verdict: LossReason | None) -> None:
    state = replace(HEALTHY, **change)  # type: ignore[arg-type]
    assert find_loss(state, stall_timeout_s=1.0, silence_timeout_s=1.5) is verdict


def test_a_zero_timeout_allows_digital_silence() -> None:
    state = replace(HEALTHY, flat_run=10**9)
    assert find_loss(state, stall_timeout_s=1.0, silence_timeout_s=0) is None


def test_every_reason_has_a_hint() -> None:
    assert set(HINTS) == set(LossReason)
