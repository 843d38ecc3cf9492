"""The microphone of an engine: the virtual one, in a real process and in real time."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.audio.witness import Witness, children_of
from tests.engine.conftest import Make
from tests.engine.sounds import duration_ms, silence, tone
from tests.rig.soundcard import SoundCard
from voxd import AudioError, EngineState, VoiceEngine
from voxd.audio.files import write_wav
from voxd.clock import SystemClock
from voxd.engine import microphone as module
from voxd.engine.microphone import MicrophoneStream, block_ms
from voxd.frames import Clip


@pytest.fixture
def spoken(tmp_path: Path) -> str:
    """A microphone that hears 400 ms of speech, then silence."""
    write_wav(tmp_path / "said.wav", Clip(tone(400, rate_hz=16_000) + silence(800, rate_hz=16_000), 16_000))
    return f"virtual:{tmp_path / 'said.wav'}"


@pytest.mark.parametrize(
    ("chunk", "block"), [(10, 10), (50, 50), (100, 100), (200, 100), (250, 83), (1000, 100)]
)
def test_a_long_chunk_is_captured_in_equal_blocks(chunk: int, block: int) -> None:
    assert block_ms(chunk) == block


@pytest.mark.parametrize("sample_rate", [16_000, 24_000])
async def test_chunks_come_at_the_callers_rate_and_length(make: Make, sample_rate: int) -> None:
    engine, log = make(input_device="virtual", sample_rate=sample_rate, chunk_duration_ms=60)
    await engine.connect()
    await engine.start_listening()
    assert engine.is_listening
    assert engine.get_state() is EngineState.LISTENING
    await log.wait("audio.input_chunk", 6)
    assert log.of("audio.input_started")[0].sample_rate == sample_rate
    assert engine.get_metrics()["audio"]["capture_rate"] > 0
    await engine.stop_listening()
    await engine.stop_listening()
    assert not engine.is_listening
    chunks = log.of("audio.input_chunk")
    # A resampler keeps its first milliseconds back, and the last chunk is what was left.
    assert [event.duration_ms for event in chunks[1:-1]] == pytest.approx([60.0] * (len(chunks) - 2), abs=1)
    for event in chunks:
        assert duration_ms(event.audio_data, sample_rate) == pytest.approx(event.duration_ms)
    assert log.types().count("audio.input_stopped") == 1
    assert children_of("voxd.audio.") == []


@pytest.mark.parametrize(
    "options",
    [
        {"latency_mode": "ultra_low", "chunk_duration_ms": 40},
        {"mode": "fast", "chunk_duration_ms": 20},
    ],
)
async def test_the_modes_set_the_length_of_the_chunks(make: Make, options: dict[str, Any]) -> None:
    engine, log = make(input_device="virtual", sample_rate=16_000, **options)
    await engine.connect()
    await engine.start_listening()
    chunk = await log.wait("audio.input_chunk", 3)
    assert chunk.duration_ms == 20


@pytest.mark.parametrize("vad_type", ["client", "server"])
async def test_a_spoken_question_is_answered(make: Make, spoken: str, vad_type: Any) -> None:
    engine, log = make(input_device=spoken, vad_type=vad_type, chunk_duration_ms=40)
    await engine.connect()
    await engine.start_listening()
    await log.wait("response.completed")
    turns = [event.speaking for event in log.of("conversation.turn_detected")]
    assert turns == [True, False]
    processing = engine.get_metrics()["processing"]
    assert 0 < processing["audio_processing"] < 500


async def test_silence_is_not_sent(make: Make) -> None:
    engine, log = make(input_device="virtual", chunk_duration_ms=20)
    await engine.connect()
    await engine.start_listening()
    await log.wait("audio.input_chunk", 5)
    assert (await engine.get_usage()).audio_seconds == 0.0


async def test_without_a_vad_everything_is_sent_and_answered_on_commit(make: Make) -> None:
    engine, log = make(input_device="virtual", vad_enabled=False, chunk_duration_ms=40)
    await engine.connect()
    await engine.start_listening()
    await log.wait("audio.input_chunk", 5)
    await engine.stop_listening()
    await engine.commit()
    await log.wait("response.completed")
    heard_ms = sum(event.duration_ms for event in log.of("audio.input_chunk"))
    assert (await engine.get_usage()).input_audio_tokens == pytest.approx(heard_ms / 100, abs=1)


async def test_during_a_reply_the_state_is_responding_also_while_listening(make: Make) -> None:
    engine, log = make(input_device="virtual", metadata={"chunk_delay_s": 60})
    await engine.connect()
    await engine.start_listening()
    await engine.send_text("hello")
    await log.wait("audio.output_chunk")
    assert (engine.is_listening, engine.get_state()) == (True, EngineState.RESPONDING)


async def test_disconnecting_stops_listening(make: Make) -> None:
    engine, log = make(input_device="virtual")
    async with engine:
        await engine.start_listening()
        await engine.start_listening()
    assert log.types().count("audio.input_started") == 1
    assert log.types().index("audio.input_stopped") < log.types().index("connection.closed")
    assert children_of("voxd.audio.") == []


@pytest.mark.parametrize("device", [99, "Jabra", "virtual:/nowhere.wav"])
async def test_an_unavailable_microphone_is_an_audio_error(make: Make, device: Any) -> None:
    engine, log = make(input_device=device)
    await engine.connect()
    with pytest.raises(AudioError):
        await engine.start_listening()
    assert not engine.is_listening
    assert "audio.input_started" not in log.types()
    assert children_of("voxd.audio.") == []


async def test_without_a_microphone_a_virtual_one_is_used_and_reported(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tmp_path / "asound.conf"
    cards.write_text("pcm.absent { type hw card 31 hint { show on description absent } }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(cards))
    engine, log = make()
    await engine.connect()
    await engine.start_listening()
    error = log.of("error")[0]
    assert (error.code, error.hint) == ("no_device", "set input_device")
    assert engine.is_listening


async def test_a_real_microphone_is_selected_by_index_and_by_name(make: Make, card: SoundCard) -> None:
    engine, log = make(input_device=0, vad_type="client")
    await engine.connect()
    await engine.start_listening()
    await log.wait("audio.input_chunk", 3)
    card.speak_pcm(tone(600, rate_hz=16_000))
    await log.wait("response.completed")
    await engine.disconnect()
    again: VoiceEngine
    again, log = make(input_device="vmic", output_device="vspeaker")
    await again.connect()
    await again.start_listening()
    await log.wait("audio.input_chunk", 3)
    card.speak_pcm(tone(600, rate_hz=16_000))
    await log.wait("playback.finished")


async def test_overwritten_audio_is_counted_and_capture_continues_with_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    witness = Witness()
    heard: list[bytes] = []
    stuck, going = asyncio.Event(), asyncio.Event()

    async def slow(pcm: bytes, captured_s: float) -> None:
        heard.append(pcm)
        if len(heard) == 1:
            stuck.set()
            await going.wait()

    monkeypatch.setattr(module, "RING_S", 0.2)
    stream = MicrophoneStream("virtual", rate_hz=16_000, chunk_ms=20, clock=SystemClock(), emit=witness)
    await stream.start(slow)
    await stuck.wait()
    async with asyncio.timeout(5):
        while stream.free_share > -0.2:
            await asyncio.to_thread(os.sched_yield)
    going.set()
    lost, _ = await witness.wait("audio.overrun")
    await stream.stop()
    assert lost["count"] == stream.lost_samples > 0
    assert {len(pcm) for pcm in heard[:-1]} == {640}


async def test_a_fault_of_one_chunk_does_not_end_the_capture() -> None:
    heard = asyncio.Event()
    calls = 0

    async def broken(pcm: bytes, captured_s: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        heard.set()

    stream = MicrophoneStream("virtual", rate_hz=16_000, chunk_ms=20, clock=SystemClock(), emit=Witness())
    await stream.start(broken)
    async with asyncio.timeout(5):
        await heard.wait()
    await stream.stop()


async def test_a_stop_during_the_start_leaves_the_microphone_closed(make: Make) -> None:
    engine, log = make(input_device="virtual")
    await engine.connect()
    for _ in range(2):
        starting = asyncio.create_task(engine.start_listening())
        await asyncio.sleep(0)
        await engine.stop_listening()
        await starting
        assert not engine.is_listening
    assert children_of("voxd.audio.") == []
    assert log.types().count("audio.input_started") == log.types().count("audio.input_stopped")


async def test_a_cancelled_start_leaves_the_microphone_closed(make: Make) -> None:
    engine, _ = make(input_device="virtual")
    await engine.connect()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(engine.start_listening(), 0.01)
    assert not engine.is_listening
    assert children_of("voxd.audio.") == []
    assert asyncio.all_tasks() == before
    await engine.start_listening()
    assert engine.is_listening


def spoken_with_a_pause(path: Path) -> str:
    """Two words with 0.8 s between them, which ends a turn of hands-free use."""
    write_wav(path, Clip(tone(400) + silence(800) + tone(400) + silence(1500), 24_000))
    return f"virtual:{path}"


@pytest.mark.parametrize("vad_type", ["client", "server"])
@pytest.mark.parametrize("asked", [True, None])
async def test_a_pause_while_the_key_is_held_does_not_end_the_turn(
    make: Make, tmp_path: Path, vad_type: str, asked: bool | None
) -> None:
    device = spoken_with_a_pause(tmp_path / "spoken.wav")
    engine, log = make(input_device=device, vad_type=vad_type, chunk_duration_ms=40)
    await engine.connect()
    recording: list[bytes] = []
    engine.events.on("audio.input_chunk", lambda event: recording.append(event.audio_data))
    await engine.start_listening(asked)
    await log.until(lambda: len(recording) > 1800 / 40)
    await engine.stop_listening()
    assert not {"conversation.turn_detected", "response.started"} & {*log.types()}
    await (engine.commit() if asked else engine.send_recorded_audio(b"".join(recording)))
    await log.wait("response.completed")
    assert log.types().count("response.started") == 1


async def test_hands_free_use_with_a_level_meter_still_detects_turns(make: Make, tmp_path: Path) -> None:
    device = spoken_with_a_pause(tmp_path / "spoken.wav")
    engine, log = make(input_device=device, chunk_duration_ms=40)
    await engine.connect()
    engine.events.on("audio.input_chunk", lambda event: None)
    engine.on_text_response = lambda text: None
    await engine.start_listening()
    await log.wait("response.completed")
    await engine.stop_listening()
    await engine.start_listening(push_to_talk=True)
    assert engine.is_listening
