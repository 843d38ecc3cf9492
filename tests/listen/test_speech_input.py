"""Speech input from the ring to inputs, with the real models, on spoken words."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from tests.fakes import settle
from tests.listen.speech import Spoken, needs_flite, quiet, say, spoken
from tests.payloads import problem
from voxd.audio.ring import Ring, RingOverrun
from voxd.config.schema import Endpoint, Wake, WakeWord
from voxd.errors import DeviceError, InvalidRequest, NotFound
from voxd.frames import samples_from_ms, samples_from_s
from voxd.listen.speech_input import SpeechInput
from voxd.turn.inputs import (
    AwaitingSpeech,
    CaptureFailed,
    Input,
    NoSpeechDetected,
    UserSpeechEnded,
    UserSpeechStarted,
    WakeWordDetected,
)

BLOCK = 640
TIMEOUT_S = 20

pytestmark = needs_flite


class Rig:
    """SpeechInput on a ring that the test fills, with what they say in queues."""

    def __init__(self, wake: Wake | None = None, channels: int = 1) -> None:
        self.ring = Ring.create(channels, 12.0)
        self.channels = channels
        self.inputs: asyncio.Queue[Input] = asyncio.Queue()
        self.events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.speech_input = SpeechInput(
            self.ring,
            channel=channels - 1,
            wake=wake or Wake(),
            endpoint=Endpoint(),
            post=self.inputs.put_nowait,
            note=lambda type, data: self.events.put_nowait((type, data)),
        )

    def play(self, samples: np.ndarray) -> None:
        """Append ``samples`` block by block, on the last channel; the others hold noise."""
        for start in range(0, len(samples), BLOCK):
            block = samples[start : start + BLOCK]
            wide = np.random.default_rng(start).normal(0, 300, (len(block), self.channels)).astype(np.int16)
            wide[:, -1] = block
            self.ring.append(wide.tobytes())

    async def next(self) -> Input:
        return await asyncio.wait_for(self.inputs.get(), TIMEOUT_S)

    async def event(self) -> tuple[str, dict[str, Any]]:
        return await asyncio.wait_for(self.events.get(), TIMEOUT_S)

    def close(self) -> None:
        self.speech_input.stop()
        self.ring.close()

    async def woken(self, clip: Spoken) -> WakeWordDetected:
        self.play(clip.samples)
        woken = await self.next()
        assert isinstance(woken, WakeWordDetected)
        return woken


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    made.speech_input.start()
    yield made
    made.close()


@pytest.fixture
def clip() -> Spoken:
    return spoken("hey jarvis", "What time is it?", 0.0)


async def test_a_command_right_after_the_wake_word_is_captured_whole(rig: Rig, clip: Spoken) -> None:
    woken = await rig.woken(clip)
    assert woken.word == "hey_jarvis"
    assert abs(woken.end_sample - clip.word_end) <= samples_from_ms(80)
    utterance = rig.speech_input.capture(woken.end_sample)
    assert isinstance(await rig.next(), UserSpeechStarted)
    ended = await rig.next()
    assert isinstance(ended, UserSpeechEnded)
    assert ended.reason == "silence"
    assert abs(ended.sample - clip.command_end) < samples_from_ms(250)
    sound = await utterance.clip()
    assert (utterance.start_sample, utterance.from_sample) == (woken.end_sample, woken.end_sample)
    assert utterance.end_sample is not None
    expected = clip.samples[woken.end_sample : utterance.end_sample]
    assert sound.pcm == expected.tobytes()


async def test_a_pause_after_the_wake_word_is_announced_and_left_out(rig: Rig) -> None:
    clip = spoken("hey jarvis", "What time is it?", 1.5)
    woken = await rig.woken(clip)
    utterance = rig.speech_input.capture(woken.end_sample)
    assert await rig.next() == AwaitingSpeech()
    started = await rig.next()
    assert isinstance(started, UserSpeechStarted)
    assert abs(started.sample - clip.command_start) < samples_from_ms(150)
    assert isinstance(await rig.next(), UserSpeechEnded)
    await utterance.clip()
    assert utterance.start_sample == started.sample - samples_from_s(0.5)


async def test_silence_ends_the_capture(rig: Rig) -> None:
    utterance = rig.speech_input.capture(None, follow_up_s=1.0)
    rig.play(quiet(2.0))
    assert await rig.next() == AwaitingSpeech()
    assert await rig.next() == NoSpeechDetected()
    assert (await utterance.clip()).pcm == b""


async def test_a_held_capture_ends_when_it_is_told(rig: Rig) -> None:
    utterance = rig.speech_input.capture(None, hold=True)
    question = say("What time is it?")
    rig.play(np.concatenate([question, quiet(3.0)]))
    assert isinstance(await rig.next(), UserSpeechStarted)
    rig.speech_input.end_capture(None)
    assert await rig.next() == UserSpeechEnded(rig.ring.head, "released")
    assert len((await utterance.clip()).pcm) == 2 * rig.ring.head


async def test_the_quality_of_what_was_said_is_told_when_it_was_said(rig: Rig, clip: Spoken) -> None:
    woken = await rig.woken(clip)
    rig.speech_input.capture(woken.end_sample)
    assert isinstance(await rig.next(), UserSpeechStarted)
    assert isinstance(await rig.next(), UserSpeechEnded)
    types = []
    while not types or types[-1] != "audio.quality":
        type, data = await rig.event()
        types.append(type)
    assert types == ["wake.candidate", "wake.detected", "audio.quality"]
    assert problem(type, data) == ""
    assert -35 < data["level_dbfs"] < data["peak_dbfs"] <= 0
    assert data["snr_db"] > 10
    assert (data["clipped_percent"], data["dropouts"]) == (0.0, 0)


async def test_a_dropped_capture_posts_nothing_more(rig: Rig, clip: Spoken) -> None:
    woken = await rig.woken(clip)
    utterance = rig.speech_input.capture(None)
    rig.speech_input.drop_capture()
    assert (await utterance.clip()).pcm == b""
    rig.play(clip.samples)
    again = await rig.next()
    assert isinstance(again, WakeWordDetected)
    assert again.end_sample > woken.end_sample


async def test_the_wake_word_is_heard_while_something_is_captured(rig: Rig, clip: Spoken) -> None:
    rig.speech_input.capture(None, hold=True)
    rig.play(clip.samples)
    heard = [await rig.next(), await rig.next()]
    assert {type(one) for one in heard} == {WakeWordDetected, UserSpeechStarted}


async def test_the_events_of_a_wake_word_and_its_clip(rig: Rig, clip: Spoken) -> None:
    await rig.woken(clip)
    assert (await rig.event())[0] == "wake.candidate"
    type_, data = await rig.event()
    assert type_ == "wake.detected"
    assert set(data) == {"word", "score", "first_score", "agent", "end_sample"}
    (candidate,) = rig.speech_input.candidates.newest(5, 0.0)
    assert candidate.accepted
    assert candidate.clip_s == 2.5
    (entry,) = rig.speech_input.words()
    assert (entry.detections, entry.first_stage) == (1, "microwakeword")


async def test_a_rejected_candidate_is_reported_with_its_reason(rig: Rig, clip: Spoken) -> None:
    rig.speech_input.set_word("hey_jarvis", threshold=1.0)
    rig.play(np.concatenate([clip.samples, quiet(1.0)]))
    assert (await rig.event())[0] == "wake.candidate"
    type_, data = await rig.event()
    assert (type_, data["reason"]) == ("wake.rejected", "second stage below threshold")
    assert rig.speech_input.words()[0].rejections == 1


async def test_a_word_is_switched_off_and_on_again_live(rig: Rig, clip: Spoken) -> None:
    rig.speech_input.set_word("hey_jarvis", enabled=False)
    rig.play(clip.samples)
    rig.speech_input.capture(None, follow_up_s=0.5)
    rig.play(quiet(1.0))
    assert isinstance(await rig.next(), AwaitingSpeech | NoSpeechDetected), "it woke"
    rig.speech_input.set_word("hey_jarvis", enabled=True)
    rig.play(clip.samples)
    while not isinstance(await rig.next(), WakeWordDetected):
        pass


async def test_words_that_do_not_exist_and_thresholds_that_are_none_are_refused(rig: Rig) -> None:
    with pytest.raises(NotFound):
        rig.speech_input.set_word("alexa", enabled=True)
    with pytest.raises(InvalidRequest):
        rig.speech_input.set_word("hey_jarvis", threshold=1.5)


async def test_a_reload_brings_a_new_word(rig: Rig) -> None:
    rig.speech_input.configure(Wake(words=(WakeWord(name="alexa", agent="house"),)), Endpoint())
    woken = await rig.woken(spoken("alexa", "What time is it?", 0.3))
    assert (woken.word, woken.agent) == ("alexa", "house")


async def test_a_word_without_a_first_stage_is_heard() -> None:
    wake = Wake(words=(WakeWord(name="hey_rhasspy"), WakeWord(name="hey_jarvis")))
    rig = Rig(wake)
    rig.speech_input.start()
    woken = await rig.woken(spoken("hey raspy", "What time is it?", 0.5))
    assert woken.word == "hey_rhasspy"
    rig.close()


async def test_the_configured_channel_is_heard(clip: Spoken) -> None:
    rig = Rig(channels=2)
    rig.speech_input.start()
    assert (await rig.woken(clip)).word == "hey_jarvis"
    rig.close()


async def test_after_a_failure_the_ears_go_on_and_say_so(
    rig: Rig, clip: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterance = rig.speech_input.capture(None)

    def broken(*_: object) -> None:
        message = "no such luck"
        raise RuntimeError(message)

    with monkeypatch.context() as patch:
        patch.setattr(rig.speech_input._processor._detector, "feed", broken)
        rig.play(quiet(0.1))
        type_, data = await rig.event()
        assert (type_, data["code"]) == ("error", "internal")
        with pytest.raises(DeviceError):
            await utterance.clip()
        assert await rig.next() == CaptureFailed("device_unavailable")
    # All sound that is skipped during the recovery is before this point.
    rig.speech_input.reset()
    assert (await rig.woken(clip)).word == "hey_jarvis"


async def test_sound_lost_before_it_was_heard_is_an_error_that_is_counted() -> None:
    rig = Rig()
    rig.speech_input._processor.start_over(-1)
    rig.play(quiet(13.0))
    with pytest.raises(RingOverrun):
        rig.speech_input._processor.step(0)
    assert rig.speech_input.lost_samples == rig.ring.head + 1
    rig.close()


async def test_after_a_new_microphone_stale_sound_is_not_heard(clip: Spoken) -> None:
    rig = Rig()
    rig.play(clip.samples)
    rig.speech_input.reset()
    rig.speech_input.start()
    rig.speech_input.capture(None, follow_up_s=0.5)
    rig.play(quiet(1.0))
    assert [await rig.next(), await rig.next()] == [AwaitingSpeech(), NoSpeechDetected()]
    rig.close()


async def test_what_a_dropped_capture_heard_does_not_end_the_next_one() -> None:
    rig = Rig()
    rig.speech_input.capture(None, follow_up_s=0.2)
    rig.play(quiet(1.0))
    while rig.speech_input._processor._capture:
        rig.speech_input._processor.step(0)
    # On its way to the loop, which has meanwhile decided otherwise: the wake word was said again.
    second = rig.speech_input.capture(None)
    await settle()
    assert rig.inputs.empty()
    rig.speech_input.drop_capture()
    assert (await second.clip()).pcm == b""
    rig.close()


async def test_a_capture_that_cannot_begin_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.speech_input.start()

    def broken(*_: object) -> None:
        message = "no memory"
        raise RuntimeError(message)

    monkeypatch.setattr("voxd.listen.audio_processor.Vad", broken)
    utterance = rig.speech_input.capture(None, follow_up_s=5.0)
    assert await rig.next() == CaptureFailed("device_unavailable")
    with pytest.raises(DeviceError):
        await utterance.clip()
    rig.close()


async def test_a_thread_that_hangs_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig()
    go, hangs = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        go.wait(TIMEOUT_S)

    monkeypatch.setattr(rig.speech_input._processor._detector, "feed", hang)
    monkeypatch.setattr("voxd.listen.speech_input._STOP_S", 0.1)
    rig.speech_input.start()
    rig.play(quiet(0.5))
    assert hangs.wait(TIMEOUT_S)
    rig.speech_input.stop()
    assert "the listening thread hangs" in caplog.text
    rig.ring.close()
    go.set()
    thread = rig.speech_input._thread
    assert thread is not None
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    rig.speech_input._processor.close()


async def test_a_sample_has_a_time(rig: Rig) -> None:
    rig.play(quiet(1.0))
    head = rig.ring.head
    assert rig.speech_input.time_of(head) - rig.speech_input.time_of(head - 16_000) == pytest.approx(1.0)
    assert rig.speech_input.time_of(head) == rig.ring.heartbeat_s


async def test_the_thread_shows_that_it_makes_progress(rig: Rig) -> None:
    before = rig.speech_input.progress_ns
    rig.speech_input.capture(None, follow_up_s=0.2)
    rig.play(quiet(1.0))
    await rig.next()
    assert rig.speech_input.progress_ns > before


async def test_ears_may_be_stopped_twice_and_before_they_were_started() -> None:
    rig = Rig()
    rig.speech_input.stop()
    rig.close()
