"""The microphone's supervision against a virtual sound card: real processes, real PortAudio."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.audio.witness import Witness, children_of
from tests.rig.soundcard import SoundCard
from voxd.audio.files import write_wav
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.clock import SystemClock
from voxd.config.schema import Audio
from voxd.frames import SAMPLE_RATE_HZ, Clip, samples_from_s


@pytest.fixture
def ring() -> Iterator[Ring]:
    with Ring.create(1, 10.0) as ring:
        yield ring


@asynccontextmanager
async def running(config: Audio, ring: Ring) -> AsyncIterator[tuple[Microphone, Witness]]:
    witness = Witness()
    microphone = Microphone(config, ring, SystemClock(), witness)
    await microphone.start()
    try:
        yield microphone, witness
    finally:
        await microphone.close()


async def until_head(ring: Ring, sample: int, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while ring.head < sample:
        assert time.monotonic() < deadline, f"the ring stopped at {ring.head}"
        await asyncio.to_thread(ring.wait, 0.5)


def align(heard: bytes, said: bytes) -> np.ndarray:
    """Return the part of ``heard`` that lines up best with ``said``."""
    x, y = (np.frombuffer(pcm, np.int16).astype(float) for pcm in (heard, said))
    size = 1 << (len(x) + len(y)).bit_length()
    product = np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size))
    lag = int(np.fft.irfft(product, size)[: len(x)].argmax())
    return np.frombuffer(heard, np.int16)[lag : lag + len(y)]


VMIC = Audio(input="vmic", silence_timeout_s=1.5, stall_timeout_s=1.0)


async def test_what_is_spoken_arrives_sample_for_sample(card: SoundCard, ring: Ring) -> None:
    said = np.random.default_rng(1).normal(0, 3000, samples_from_s(2)).astype(np.int16).tobytes()
    async with running(VMIC, ring) as (microphone, witness):
        assert microphone.ok
        assert microphone.device == "vmic"
        card.stop_noise()
        start = ring.head
        card.speak_pcm(said)
        await until_head(ring, start + samples_from_s(2.8))
        heard = ring.read(start, samples_from_s(2.8)).pcm
    assert np.array_equal(align(heard, said), np.frombuffer(said, np.int16))
    assert witness.of("audio.lost") == []


async def test_a_pulled_microphone_is_lost_within_2_s_and_back_within_5_s(
    card: SoundCard, ring: Ring
) -> None:
    async with running(VMIC, ring) as (microphone, witness):
        before = ring.head
        pulled_at = time.monotonic()
        await asyncio.to_thread(card.unload_mic)
        lost, lost_at = await witness.wait("audio.lost")
        assert lost_at - pulled_at < 2.0
        assert lost["device"] == "vmic"
        assert lost["hint"]
        assert not microphone.ok
        await asyncio.to_thread(card.load_mic)
        plugged_at = time.monotonic()
        back, back_at = await witness.wait("audio.restored")
        assert back_at - plugged_at < 5.0
        assert back["device"] == "vmic"
        assert microphone.ok
        assert ring.head > before
        assert len(witness.of("audio.lost")) == 1


async def test_a_frozen_sound_server_is_noticed_and_stale_sound_is_thrown_away(
    card: SoundCard, ring: Ring
) -> None:
    async with running(VMIC, ring) as (_, witness):
        frozen_at = time.monotonic()
        card.stop_server()
        lost, lost_at = await witness.wait("audio.lost")
        assert lost["reason"] == "stalled"
        assert lost_at - frozen_at < 2.0
        head, thawed_at = ring.head, time.monotonic()
        card.continue_server()
        _, back_at = await witness.wait("audio.restored")
        assert back_at - thawed_at < 5.0
        # Nothing of the frozen time comes in a burst: there is no more sound than time has passed.
        assert ring.head - head <= samples_from_s(time.monotonic() - thawed_at + 0.15)


async def test_a_killed_capture_process_is_replaced_on_the_same_clock(card: SoundCard, ring: Ring) -> None:
    async with running(VMIC, ring) as (microphone, witness):
        first, head = microphone.pid, ring.head
        assert first is not None
        os.kill(first, signal.SIGKILL)
        lost, _ = await witness.wait("audio.lost")
        assert lost["reason"] == "exited"
        await witness.wait("audio.restored")
        assert microphone.pid not in (None, first)
        await until_head(ring, head + SAMPLE_RATE_HZ)


async def test_muting_kills_the_process_and_is_no_loss(card: SoundCard, ring: Ring) -> None:
    async with running(VMIC, ring) as (microphone, witness):
        assert len(children_of("voxd.audio.capture_process")) == 1
        await microphone.close_stream()
        assert children_of("voxd.audio.capture_process") == []
        assert microphone.pid is None
        assert microphone.ok
        muted_head = ring.head
        await microphone.open_stream()
        await until_head(ring, muted_head + samples_from_s(0.3))
        assert witness.events == []


async def test_a_missing_device_is_degraded_not_fatal_and_another_is_never_taken(
    card: SoundCard, ring: Ring
) -> None:
    async with running(Audio(input="Jabra"), ring) as (microphone, witness):
        lost, _ = await witness.wait("audio.lost")
        assert lost["reason"] == "missing"
        assert "voxctl devices" in microphone.problem
        assert microphone.device == "Jabra"
        assert not microphone.virtual
        assert ring.head == 0


async def test_auto_takes_the_default_card_when_there_is_one(card: SoundCard, ring: Ring) -> None:
    async with running(Audio(input="auto"), ring) as (microphone, _):
        assert (microphone.device, microphone.virtual, microphone.ok) == ("default", False, True)


async def test_auto_falls_back_to_the_virtual_microphone_on_a_machine_without_a_card(
    tmp_path: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tmp_path / "asound.conf"
    cards.write_text("pcm.absent { type hw card 31 hint { show on description absent } }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(cards))
    async with running(Audio(input="auto"), ring) as (microphone, witness):
        assert (microphone.device, microphone.virtual, microphone.ok) == ("virtual", True, True)
        assert witness.events == []


async def test_the_virtual_microphone_plays_its_file_amid_faint_noise(tmp_path: Path, ring: Ring) -> None:
    said = np.random.default_rng(2).normal(0, 3000, samples_from_s(0.5)).astype(np.int16).tobytes()
    write_wav(tmp_path / "said.wav", Clip(said, SAMPLE_RATE_HZ))
    config = Audio(input="virtual", virtual_input=str(tmp_path / "said.wav"))
    async with running(config, ring) as (microphone, witness):
        began = time.monotonic()
        await until_head(ring, samples_from_s(2.5))
        assert 2.0 < time.monotonic() - began < 3.5
        heard = ring.read(0, samples_from_s(2.5)).pcm
        assert ring.ended
        assert microphone.virtual
    assert np.array_equal(align(heard, said), np.frombuffer(said, np.int16))
    noise = np.frombuffer(heard[: 2 * samples_from_s(1)], np.int16)
    assert 0 < np.abs(noise).max() <= 2
    assert witness.events == []


async def test_a_recording_without_a_sample_ends_as_well(tmp_path: Path, ring: Ring) -> None:
    write_wav(tmp_path / "said.wav", Clip(b"", SAMPLE_RATE_HZ))
    config = Audio(input="virtual", virtual_input=str(tmp_path / "said.wav"))
    async with running(config, ring):
        # One block more than the lead of 1.5 s: the flag is set just after the block that ends it.
        await until_head(ring, samples_from_s(1.6))
        assert ring.ended


async def test_a_broken_recording_is_a_problem_with_a_hint(tmp_path: Path, ring: Ring) -> None:
    (tmp_path / "said.wav").write_bytes(b"RIFF")
    config = Audio(input="virtual", virtual_input=str(tmp_path / "said.wav"))
    async with running(config, ring) as (microphone, _):
        assert not microphone.ok
        assert "WAV" in microphone.problem


CONTRACT: dict[str, Callable[[], Audio]] = {
    "virtual": lambda: Audio(input="virtual"),
    "sound card": lambda: VMIC,
}


@pytest.fixture(params=list(CONTRACT))
def source(request: pytest.FixtureRequest) -> Audio:
    if request.param == "sound card":
        request.getfixturevalue("card")
    return CONTRACT[request.param]()


class TestEverySource:
    """What the virtual and the real microphone both promise."""

    async def test_blocks_come_in_real_time_and_are_never_digital_silence(
        self, source: Audio, ring: Ring
    ) -> None:
        async with running(source, ring) as (microphone, _):
            assert microphone.ok
            head, began = ring.head, time.monotonic()
            await until_head(ring, head + SAMPLE_RATE_HZ)
            assert 0.8 < time.monotonic() - began < 1.6
            assert source.input == "virtual" or ring.flat_run == 0

    async def test_the_clock_goes_on_over_a_pause(self, source: Audio, ring: Ring) -> None:
        async with running(source, ring) as (microphone, _):
            await microphone.close_stream()
            head = ring.head
            await microphone.close_stream()
            await microphone.open_stream()
            await until_head(ring, head + 1)

    async def test_muting_again_and_again_leaks_no_descriptor(self, source: Audio, ring: Ring) -> None:
        async with running(source, ring) as (microphone, _):
            await microphone.close_stream()
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(3):
                await microphone.open_stream()
                await microphone.close_stream()
            assert len(os.listdir("/proc/self/fd")) == before

    async def test_muting_in_the_middle_of_opening_leaves_no_process(self, source: Audio, ring: Ring) -> None:
        async with running(source, ring) as (microphone, _):
            await microphone.close_stream()
            opening = asyncio.create_task(microphone.open_stream())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await microphone.close_stream()
            await opening
            assert children_of("voxd.audio.") == []

    async def test_closing_twice_leaves_no_process(self, source: Audio, ring: Ring) -> None:
        async with running(source, ring) as (microphone, _):
            await microphone.close()
        assert children_of("voxd.audio.") == []


def test_the_capture_process_loads_nothing_heavy() -> None:
    code = (
        "import sys, voxd.audio.capture_process, voxd.audio.virtual_process\n"
        "heavy = {'numpy', 'asyncio', 'soxr', 'dataclasses', 'msgspec', 'logging'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_the_capture_process_dies_with_its_parent(card: SoundCard) -> None:
    code = """
import asyncio, sys
from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.clock import SystemClock
from voxd.config.schema import Audio

async def main():
    microphone = Microphone(Audio(input="vmic"), Ring.create(1, 4.0), SystemClock(), lambda *a, **k: None)
    await microphone.start()
    print(microphone.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        capture = os.pidfd_open(int(daemon.stdout.readline()))
        daemon.kill()
    try:
        assert select.select([capture], [], [], 5.0)[0], "the capture process outlived the daemon"
    finally:
        os.close(capture)
