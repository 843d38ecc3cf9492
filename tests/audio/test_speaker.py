"""The loudspeaker against a virtual sound card and the virtual output: real processes, real PortAudio."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.audio.witness import Witness, children_of
from tests.rig.soundcard import SPEAKER_RATE_HZ, SoundCard
from voxd.audio.files import read_wav
from voxd.audio.output_ring import OutputRing
from voxd.audio.speaker import Speaker
from voxd.clock import SystemClock
from voxd.config.schema import Audio
from voxd.errors import Busy, DeviceError, ProviderError
from voxd.frames import Clip

RATE_HZ = 24_000
VSPEAKER = Audio(output="vspeaker", volume_percent=100)
VIRTUAL = Audio(output="virtual", volume_percent=100)


def tone(pitch_hz: float, seconds: float, rate_hz: int = RATE_HZ, peak: int = 8000) -> Clip:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return Clip((peak * np.sin(2 * np.pi * pitch_hz * time_s)).astype("<i2").tobytes(), rate_hz)


async def clips(*items: Clip) -> AsyncIterator[Clip]:
    for item in items:
        yield item


@asynccontextmanager
async def running(config: Audio, **options: object) -> AsyncIterator[tuple[Speaker, Witness]]:
    witness = Witness()
    speaker = Speaker(config, SystemClock(), witness, **options)  # type: ignore[arg-type]
    try:
        yield speaker, witness
    finally:
        await speaker.close()


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, np.int16).astype(float)


def loudest_hz(pcm: bytes, rate_hz: int = SPEAKER_RATE_HZ) -> float:
    heard = samples(pcm)
    return float(np.abs(np.fft.rfft(heard)).argmax() * rate_hz / len(heard))


def sounding_s(pcm: bytes, rate_hz: int = SPEAKER_RATE_HZ) -> float:
    return float((np.abs(samples(pcm)) > 50).sum() / rate_hz)


async def test_a_reply_is_heard_at_its_pitch_and_to_its_end(card: SoundCard) -> None:
    recording = card.record()
    async with running(VSPEAKER) as (speaker, witness):
        playback = speaker.play(clips(tone(440, 0.4), tone(440, 0.4)), kind="reply")
        started_s = await playback.started()
        assert abs(time.monotonic() - started_s) < 0.2
        await playback.finished()
        await asyncio.to_thread(recording.more, 0.2)
        heard = recording.stop()
        assert loudest_hz(heard) == pytest.approx(440, abs=2)
        # A sine spends under 1 % of its time below the threshold: nothing is lost at either end.
        assert sounding_s(heard) == pytest.approx(0.8, abs=0.02)
        assert playback.played_ms == pytest.approx(800, abs=1)
        assert playback.wav_path is None
        assert [type for type, _, _ in witness.events] == ["playback.started", "playback.finished"]
        assert speaker.device == "vspeaker"


async def test_stop_silences_within_a_quarter_second(card: SoundCard) -> None:
    recording = card.record()
    async with running(VSPEAKER) as (speaker, witness):
        playback = speaker.play(clips(tone(440, 5)), kind="reply")
        await playback.started()
        await asyncio.to_thread(recording.more, 0.3)
        played_ms = await playback.stop()
        await asyncio.to_thread(recording.more, 0.25)
        after = await asyncio.to_thread(recording.more, 0.3)
        assert np.abs(samples(after)).max() == 0
        assert 200 < played_ms < 900
        assert await playback.stop() == played_ms
        await playback.finished()
        assert witness.of("playback.finished") == []


async def test_volume_changes_what_is_queued_already(card: SoundCard) -> None:
    recording = card.record()
    async with running(VSPEAKER) as (speaker, _):
        playback = speaker.play(clips(tone(440, 1.6)), kind="reply")
        await playback.started()
        await asyncio.to_thread(recording.more, 0.3)
        loud = await asyncio.to_thread(recording.more, 0.2)
        speaker.volume_percent = 50
        await asyncio.to_thread(recording.more, 0.25)
        soft = await asyncio.to_thread(recording.more, 0.2)
        await playback.stop()
    ratio = np.abs(samples(soft)).max() / np.abs(samples(loud)).max()
    assert ratio == pytest.approx(0.25, abs=0.02)


async def test_a_lost_loudspeaker_fails_the_playback_and_is_announced_when_back(card: SoundCard) -> None:
    async with running(VSPEAKER) as (speaker, witness):
        playback = speaker.play(clips(tone(440, 20)), kind="reply")
        await playback.started()
        card.stop_server()
        with pytest.raises(DeviceError):
            async with asyncio.timeout(5):
                await playback.finished()
        lost, _ = await witness.wait("output.lost")
        assert lost["device"] == "vspeaker"
        assert not speaker.ok
        card.continue_server()
        await witness.wait("output.restored")
        assert speaker.ok
        assert len(witness.of("output.lost")) == 1


async def test_auto_falls_back_to_the_virtual_loudspeaker_on_a_machine_without_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tmp_path / "asound.conf"
    cards.write_text("pcm.absent { type hw card 31 hint { show on description absent } }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(cards))
    async with running(Audio(output="auto")) as (speaker, witness):
        await speaker.start()
        assert (speaker.device, speaker.virtual, speaker.ok) == ("virtual", True, True)
        assert witness.events == []


async def test_a_missing_device_is_said_once_and_no_other_is_taken(card: SoundCard) -> None:
    async with running(Audio(output="Jabra")) as (speaker, witness):
        await speaker.start()
        with pytest.raises(DeviceError, match="Jabra"):
            await speaker.play(clips(tone(440, 0.1)), kind="reply").started()
        assert len(witness.of("output.lost")) == 1
        assert "voxctl devices" in speaker.problem
        assert speaker.device == "Jabra"


async def test_the_virtual_loudspeaker_writes_each_reply_into_a_file(tmp_path: Path) -> None:
    async with running(VIRTUAL, wav_dir=tmp_path / "out") as (speaker, _):
        reply = speaker.play(clips(tone(440, 0.3)), kind="reply")
        earcon = speaker.play(clips(tone(880, 0.1)), kind="earcon")
        await reply.finished()
        await earcon.finished()
        assert earcon.wav_path is None
        assert reply.wav_path is not None
        heard = read_wav(reply.wav_path)
    assert heard.duration_s == pytest.approx(0.3, abs=0.001)
    assert loudest_hz(heard.pcm, heard.rate_hz) == pytest.approx(440, abs=4)


async def test_what_was_cut_off_is_not_in_the_file(tmp_path: Path) -> None:
    async with running(VIRTUAL, wav_dir=tmp_path) as (speaker, _):
        reply = speaker.play(clips(tone(440, 5)), kind="reply")
        await reply.started()
        played_ms = await reply.stop()
        assert reply.wav_path is not None
        assert read_wav(reply.wav_path).duration_s * 1000 == pytest.approx(played_ms, abs=1)
        assert played_ms < 1000


SINKS: dict[str, Audio] = {"virtual": VIRTUAL, "sound card": VSPEAKER}


@pytest.fixture(params=list(SINKS))
def sink(request: pytest.FixtureRequest) -> Audio:
    if request.param == "sound card":
        request.getfixturevalue("card")
    return SINKS[request.param]


class TestEverySink:
    """What the virtual and the real loudspeaker both promise."""

    async def test_sounds_play_in_order_and_in_real_time(self, sink: Audio) -> None:
        async with running(sink) as (speaker, witness):
            first = speaker.play(clips(tone(440, 0.3)), kind="earcon")
            second = speaker.play(clips(tone(440, 0.3)), kind="reply")
            first_s, second_s = await first.started(), await second.started()
            await second.finished()
            assert second_s - first_s >= 0.29
            assert time.monotonic() - first_s >= 0.59
            kinds = [(type, data["kind"]) for type, data, _ in witness.events]
            assert kinds == [
                ("playback.started", "earcon"),
                ("playback.finished", "earcon"),
                ("playback.started", "reply"),
                ("playback.finished", "reply"),
            ]

    async def test_a_prepared_loudspeaker_starts_without_waiting_for_a_process(self, sink: Audio) -> None:
        async with running(sink) as (speaker, _):
            await speaker.start()
            playback = speaker.play(clips(tone(440, 0.1)), kind="reply")
            started_s = await playback.started()
            assert playback.first_clip_s is not None
            assert started_s - playback.first_clip_s < 0.2
            assert len(playback.handoff_ms) == 1
            await playback.finished()

    async def test_the_source_is_pulled_less_than_a_second_ahead(self, sink: Audio) -> None:
        pulled = 0

        async def endless() -> AsyncIterator[Clip]:
            nonlocal pulled
            while True:
                pulled += 1
                yield tone(440, 0.1)

        async with running(sink) as (speaker, _):
            playback = speaker.play(endless(), kind="reply")
            await playback.started()
            played_ms = await playback.stop()
            assert pulled * 100 <= played_ms + 1100

    async def test_a_slow_source_is_announced_as_soon_as_it_sounds(self, sink: Audio) -> None:
        more = asyncio.Event()

        async def slow() -> AsyncIterator[Clip]:
            yield tone(440, 0.2)
            await more.wait()
            yield tone(440, 0.2)

        async with running(sink) as (speaker, _):
            playback = speaker.play(slow(), kind="reply")
            async with asyncio.timeout(3):
                await playback.started()
            more.set()
            await playback.finished()
            assert playback.played_ms == pytest.approx(400, abs=1)

    async def test_a_source_that_fails_ends_the_playback_with_its_error(self, sink: Audio) -> None:
        async def broken() -> AsyncIterator[Clip]:
            yield tone(440, 0.1)
            raise ProviderError("gone")

        async with running(sink) as (speaker, witness):
            with pytest.raises(ProviderError):
                await speaker.play(broken(), kind="reply").finished()
            await speaker.play(clips(tone(440, 0.05)), kind="reply").finished()
            assert witness.of("output.lost") == []

    async def test_stopping_closes_the_source(self, sink: Audio) -> None:
        closed = asyncio.Event()

        async def source() -> AsyncIterator[Clip]:
            try:
                while True:
                    yield tone(440, 0.5)
            finally:
                closed.set()

        async with running(sink) as (speaker, _):
            playback = speaker.play(source(), kind="reply")
            await playback.started()
            await playback.stop()
            assert closed.is_set()

    async def test_a_sound_stopped_before_its_turn_is_never_heard(self, sink: Audio) -> None:
        async with running(sink) as (speaker, witness):
            first = speaker.play(clips(tone(440, 0.2)), kind="reply")
            second = speaker.play(clips(tone(440, 0.2)), kind="earcon")
            assert await second.stop() == 0
            with pytest.raises(DeviceError):
                await second.started()
            await first.finished()
            assert {data["kind"] for _, data, _ in witness.events} == {"reply"}

    async def test_a_killed_process_fails_the_playback_and_the_next_one_works(self, sink: Audio) -> None:
        async with running(sink) as (speaker, witness):
            playback = speaker.play(clips(tone(440, 20)), kind="reply")
            await playback.started()
            assert speaker.pid is not None
            os.kill(speaker.pid, signal.SIGKILL)
            with pytest.raises(DeviceError):
                async with asyncio.timeout(3):
                    await playback.finished()
            await speaker.play(clips(tone(440, 0.1)), kind="reply").finished()
            assert [type for type, _, _ in witness.events if type.startswith("output")] == [
                "output.lost",
                "output.restored",
            ]

    async def test_an_idle_process_is_ended(self, sink: Audio) -> None:
        async with running(sink, idle_s=0.05) as (speaker, _):
            await speaker.start()
            assert speaker.pid is not None
            process = os.pidfd_open(speaker.pid)
            try:
                await readable(process)
            finally:
                os.close(process)

    async def test_an_empty_sound_ends_without_starting(self, sink: Audio) -> None:
        async with running(sink) as (speaker, witness):
            playback = speaker.play(clips(), kind="reply")
            await playback.finished()
            with pytest.raises(DeviceError):
                await playback.started()
            assert witness.events == []

    async def test_closing_ends_what_plays_and_what_waits(self, sink: Audio) -> None:
        async with running(sink) as (speaker, _):
            playing = speaker.play(clips(tone(440, 20)), kind="reply")
            waiting = speaker.play(clips(tone(440, 20)), kind="reply")
            await playing.started()
            await speaker.close()
            await speaker.close()
            await playing.finished()
            with pytest.raises(DeviceError):
                await waiting.finished()
            with pytest.raises(Busy):
                speaker.play(clips(), kind="reply")
        assert children_of("voxd.audio.") == []


async def readable(fd: int, timeout_s: float = 5.0) -> None:
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, ready.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ready.wait()
    finally:
        loop.remove_reader(fd)


async def test_too_many_waiting_sounds_are_refused() -> None:
    async with running(VIRTUAL) as (speaker, _):
        for _ in range(32):
            speaker.play(clips(tone(440, 1)), kind="reply")
        with pytest.raises(Busy):
            speaker.play(clips(tone(440, 1)), kind="reply")


async def test_a_machine_out_of_descriptors_is_a_lost_loudspeaker_and_no_silence_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(size: int) -> OutputRing:
        raise OSError(24, "Too many open files")

    async with running(VIRTUAL) as (speaker, witness):
        with monkeypatch.context() as patched:
            patched.setattr(OutputRing, "create", full)
            await speaker.start()
            await witness.wait("output.lost")
        async with asyncio.timeout(8):
            await speaker.play(clips(tone(440, 0.05)), kind="reply").finished()
        await witness.wait("output.restored")
