"""Replies on a loudspeaker: the virtual one, in a real process and in real time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.audio.witness import Witness
from tests.engine.conftest import Make
from tests.engine.sounds import duration_ms, tone
from tests.rig.soundcard import SoundCard
from voxd import AudioError
from voxd.audio.playback import Playback
from voxd.clock import SystemClock
from voxd.engine.player import MAX_WAITING_S, Player, PlayingReply, open_player
from voxd.errors import DeviceError
from voxd.frames import Clip

PIECE = Clip(tone(20), 24_000)


async def collected(reply: PlayingReply) -> list[Clip]:
    return [clip async for clip in reply.clips()]


def reply_of(jitter_ms: float) -> PlayingReply:
    reply = PlayingReply("one", jitter_ms)
    reply.playback = Playback(reply.clips(), "reply", None)
    return reply


async def test_playback_begins_when_the_jitter_buffer_is_full() -> None:
    reply = reply_of(60)
    first = asyncio.ensure_future(anext(aiter(reply.clips())))
    for _ in range(2):
        reply.add(PIECE)
        await asyncio.sleep(0)
        assert not first.done()
    reply.add(PIECE)
    assert await first == PIECE


async def test_without_a_jitter_buffer_playback_begins_at_once() -> None:
    reply = reply_of(0)
    reply.add(PIECE)
    assert await anext(aiter(reply.clips())) == PIECE


async def test_a_reply_shorter_than_the_jitter_buffer_is_played_too() -> None:
    reply = reply_of(200)
    reply.add(PIECE)
    reply.complete()
    assert await collected(reply) == [PIECE]


async def test_an_endless_reply_is_bounded_and_its_dropped_clips_are_counted() -> None:
    reply = reply_of(0)
    minute = Clip(bytes(60 * 2 * 8_000), 8_000)
    for _ in range(int(MAX_WAITING_S / 60) + 2):
        reply.add(minute)
    reply.complete()
    assert reply.dropped_clips == 2
    assert len(await collected(reply)) == MAX_WAITING_S / 60


async def test_no_audio_is_queued_for_a_failed_loudspeaker() -> None:
    reply = reply_of(0)
    assert reply.playback is not None
    reply.playback.end(DeviceError("it is gone"))
    reply.add(PIECE)
    reply.complete()
    assert reply.dropped_clips == 1
    assert await collected(reply) == []


async def test_a_loudspeaker_that_cannot_be_opened_is_tried_once_a_reply(card: SoundCard) -> None:
    witness = Witness()
    player = await open_player("Jabra", jitter_ms=0, clock=SystemClock(), emit=witness)
    for response_id in ("one", "one", "two"):
        say(player, response_id, 100)
    player.complete("two")
    with pytest.raises(DeviceError, match="Jabra"):
        await player.drain()
    assert player.latency_ms == 0.0
    assert len(witness.of("output.lost")) == 1
    await player.close()


@pytest.fixture
async def player() -> AsyncIterator[tuple[Player, Witness]]:
    witness = Witness()
    player = await open_player("virtual", jitter_ms=60, clock=SystemClock(), emit=witness)
    yield player, witness
    await player.close()


def say(player: Player, response_id: str, milliseconds: int) -> None:
    for _ in range(milliseconds // 20):
        player.feed(response_id, PIECE)


async def test_a_reply_is_played_to_its_end(player: tuple[Player, Witness]) -> None:
    speaker, witness = player
    say(speaker, "one", 300)
    speaker.complete("one")
    assert speaker.playing
    await speaker.drain()
    assert not speaker.playing
    assert [type for type, _, _ in witness.events] == ["playback.started", "playback.finished"]
    assert 0 < speaker.latency_ms < 2000


async def test_stop_returns_how_much_was_played_and_drops_late_audio(
    player: tuple[Player, Witness],
) -> None:
    speaker, witness = player
    say(speaker, "one", 3000)
    await witness.wait("playback.started")
    heard_ms = await speaker.stop()
    assert heard_ms is not None
    assert 0 < heard_ms < 2900
    say(speaker, "one", 200)
    assert not speaker.playing
    assert await speaker.stop() is None
    say(speaker, "two", 200)
    assert speaker.playing


async def test_nothing_was_played_of_a_reply_that_still_waits(
    player: tuple[Player, Witness],
) -> None:
    speaker, witness = player
    say(speaker, "let me look", 3000)
    say(speaker, "it rains", 3000)
    await witness.wait("playback.started")
    assert await speaker.stop() == 0.0, "it is the last reply that is cut"
    assert [type for type, _, _ in witness.events].count("playback.started") == 1


async def test_replies_are_played_one_after_another(player: tuple[Player, Witness]) -> None:
    speaker, witness = player
    say(speaker, "one", 200)
    say(speaker, "two", 200)
    speaker.complete("two")
    await speaker.drain()
    assert len(witness.of("playback.finished")) == 2


async def test_more_audio_of_a_complete_reply_is_played_too(player: tuple[Player, Witness]) -> None:
    speaker, witness = player
    say(speaker, "one", 100)
    speaker.complete("one")
    say(speaker, "one", 100)
    speaker.complete("one")
    await speaker.drain()
    assert len(witness.of("playback.finished")) == 2


async def test_with_an_output_device_the_engine_plays_replies(make: Make) -> None:
    engine, log = make(output_device="virtual", metadata={"default_reply": "Yes."})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("playback.finished")
    assert engine.get_metrics()["audio"]["playback_latency"] > 0


async def test_without_an_output_device_the_caller_plays_the_audio(make: Make) -> None:
    engine, log = make(metadata={"default_reply": "Yes."})
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("response.completed")
    assert log.sound()
    assert "playback.started" not in log.types()


async def test_requested_audio_is_not_played(make: Make) -> None:
    engine, log = make(output_device="virtual", metadata={"default_reply": "Yes."})
    await engine.connect()
    await engine.text_2_audio_response("hello")
    await engine.send_text("hello")
    await log.wait("playback.finished")
    assert len(log.of("playback.started")) == 1


@pytest.mark.parametrize("vad_type", ["client", "server"])
async def test_speech_stops_the_reply_and_the_provider_gets_the_played_length(
    make: Make, vad_type: Any
) -> None:
    engine, log = make(
        output_device="virtual", vad_type=vad_type, metadata={"default_reply": "one two three " * 20}
    )
    await engine.connect()
    await engine.send_text("hello")
    await log.wait("playback.started")
    await engine.send_audio(tone(200))
    interrupted = await log.wait("conversation.interrupted")
    assert 0 <= interrupted.played_ms < duration_ms(log.sound())
    assert "playback.finished" not in log.types()
    heard = engine.history[-1].text
    assert len(heard) < len("one two three " * 20)


async def test_an_output_device_that_does_not_exist_is_an_audio_error(make: Make) -> None:
    engine, log = make(output_device=99)
    with pytest.raises(AudioError, match="99"):
        await engine.connect()
    assert not engine.is_connected
    assert log.types() == ["connection.starting", "connection.failed"]


async def test_a_loudspeaker_that_cannot_be_opened_is_reported_before_the_session(
    make: Make, card: SoundCard
) -> None:
    engine, log = make(output_device="Jabra")
    with pytest.raises(AudioError, match="Jabra"):
        await engine.connect()
    assert "connection.established" not in log.types()
    assert not engine.is_connected


async def test_ultra_low_latency_plays_what_quality_still_collects(make: Make) -> None:
    slow = {"output_device": "virtual", "metadata": {"chunk_delay_s": 60}}
    patient, patient_log = make(latency_mode="quality", **slow)
    quick, quick_log = make(latency_mode="ultra_low", **slow)
    for engine in (patient, quick):
        await engine.connect()
        await engine.send_text("hello")
    await patient_log.wait("audio.output_chunk")
    await quick_log.wait("playback.started")
    assert "playback.started" not in patient_log.types()


async def test_a_missing_loudspeaker_is_not_a_fault_of_the_provider(make: Make) -> None:
    engine, log = make(output_device=99, enable_multi_provider=True, metadata={"failover": ["openai"]})
    with pytest.raises(AudioError):
        await engine.connect()
    assert "provider.failed" not in log.types()
