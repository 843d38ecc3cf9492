"""The daemon as a real process with real audio: what a person in the room and an administrator would see."""

import asyncio
import base64
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.rig.process import VoxdProcess, children
from tests.rig.soundcard import SoundCard, missing, sound_card
from tests.rig.speech import question, recognised, say, trimmed
from voxd.audio.files import wav_bytes, write_wav
from voxd.audio.sound import to_rate
from voxd.errors import Busy, InvalidRequest
from voxd.frames import SAMPLE_RATE_HZ, Clip

CARD = ('audio.input="vmic"', 'audio.output="vspeaker"')
VIRTUAL = ('audio.input="virtual"', 'audio.output="virtual"', 'audio.virtual_input="quiet.wav"')


@pytest.fixture
def card(tmp_path: Path) -> Iterator[SoundCard]:
    if reason := missing():
        pytest.skip(reason)
    directory = tmp_path / "card"
    directory.mkdir()
    yield from sound_card(directory)


@pytest.fixture
async def voxd(tmp_path: Path, card: SoundCard) -> AsyncIterator[VoxdProcess]:
    """A daemon on the virtual sound card."""
    process = VoxdProcess(tmp_path, env=card.env, sets=CARD)
    yield await process.start()
    await process.close()


async def test_a_spoken_question_is_answered_aloud(
    voxd: VoxdProcess, card: SoundCard, tmp_path: Path
) -> None:
    recording = card.record()
    async with voxd.events() as events:
        card.speak(question("what can you do", tmp_path, gap_s=0.0))
        await events.until("wake.detected", word="hey_jarvis")
        transcript = await events.until("turn.transcript")
        assert transcript["text"] == "what can you do"
        reply = (await events.until("turn.reply"))["text"]
        ended = await events.until("turn.ended")
    assert ended["outcome"] == "answered"
    heard = trimmed(to_rate(Clip(recording.stop(), 48_000), SAMPLE_RATE_HZ))
    assert heard.duration_s > 1, "the reply was played"
    assert "timers" in reply
    async with voxd.client() as client:
        last = await client.call("turn.last")
        assert {stage["name"] for stage in last["stages"]} >= {"speech", "endpoint", "transcribe", "play"}
        entry = (await client.call("history.list", limit=1))[0]
        assert entry["transcript"] == "what can you do"


async def test_the_reply_can_be_understood(voxd: VoxdProcess, card: SoundCard) -> None:
    recording = card.record()
    async with voxd.client() as client:
        await client.call("say", text="the timer is set", wait=True)
    heard = trimmed(to_rate(Clip(recording.stop(), 48_000), SAMPLE_RATE_HZ))
    assert recognised(heard, ["the timer is set", "the light is off", "good morning"]) == "the timer is set"


async def test_a_source_that_goes_in_mid_listen_is_announced_and_comes_back(
    voxd: VoxdProcess, card: SoundCard
) -> None:
    async with voxd.events() as events, voxd.client() as client:
        await client.call("turn.listen")
        await events.until("state.changed", to="listening")
        card.unload_mic()
        await events.until("audio.lost", timeout_s=5)
        await events.until("turn.ended", outcome="device_unavailable")
        assert (await client.call("system.status"))["audio"]["ok"] is False
        card.load_mic()
        await events.until("audio.restored", timeout_s=10)
        await events.until("state.changed", to="idle")


async def test_a_sound_server_that_hangs_is_survived(
    voxd: VoxdProcess, card: SoundCard, tmp_path: Path
) -> None:
    async with voxd.events() as events:
        card.stop_server()
        await events.until("audio.lost", timeout_s=5)
        card.continue_server()
        await events.until("audio.restored", timeout_s=10)
        card.speak(question("what time is it", tmp_path))
        assert (await events.until("turn.transcript"))["text"] == "what time is it"


async def test_a_recogniser_killed_at_work_ends_in_an_answer_or_a_reason(
    voxd: VoxdProcess, tmp_path: Path
) -> None:
    async with voxd.events() as events, voxd.client() as client:
        encoded = base64.b64encode(wav_bytes(say("what time is it", tmp_path))).decode()
        asking = asyncio.create_task(client.call("turn.ask_audio", wav_base64=encoded, speak=False))
        await events.until("turn.started")
        while not (workers := [pid for pid, line in children(voxd.pid).items() if "local.serve" in line]):
            await asyncio.sleep(0)
        os.kill(workers[0], signal.SIGKILL)
        answered = await asking
        assert answered["outcome"] in {"answered", "engine_failed"}
        again = await client.call("turn.ask_audio", wav_base64=encoded, speak=False)
        assert again["transcript"] == "what time is it"


async def test_muted_means_that_no_process_holds_the_microphone(voxd: VoxdProcess) -> None:
    async with voxd.events() as events, voxd.client() as client:
        await client.call("mute.set", muted=True)
        await events.until("state.changed", to="muted")
        async with asyncio.timeout(5):
            while any("audio.capture" in line for line in children(voxd.pid).values()):
                await asyncio.sleep(0)
    assert await voxd.stop() == 0
    await voxd.start()
    async with voxd.client() as client:
        assert (await client.call("system.status"))["state"] == "muted"
        assert not any("audio.capture" in line for line in children(voxd.pid).values())


async def test_systemd_hears_ready_status_watchdog_reload_and_stop(
    tmp_path: Path, silent: VoxdProcess
) -> None:
    assert any("STATUS=Listening" in message for message in silent.notified)
    await silent.wait_notified("WATCHDOG=1")
    os.kill(silent.pid, signal.SIGHUP)
    await silent.wait_notified("RELOADING=1")
    await silent.wait_notified("READY=1")
    assert await silent.stop() == 0
    await silent.wait_notified("STOPPING=1")


async def test_a_second_daemon_steps_aside(silent: VoxdProcess, tmp_path: Path) -> None:
    async with silent.client() as client:
        (tmp_path / "second").mkdir()
        second = VoxdProcess(tmp_path / "second", env={"RUNTIME_DIRECTORY": str(tmp_path)}, sets=VIRTUAL)
        process = await second.launch()
        assert await process.wait() == 69
        assert "another voxd is running" in second.log
        await second.close()
        assert (await client.call("system.status"))["state"] == "idle"


async def test_garbage_on_the_socket_disturbs_no_other_client(silent: VoxdProcess) -> None:
    async with silent.client() as client:
        for junk in (b"\x00\xff\n", b"{\n", b"[" * 5000 + b"\n", b'{"jsonrpc": "2.0"', b"x" * 70_000):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(silent.socket_path))
                sock.sendall(junk)
        with pytest.raises(InvalidRequest):
            await client.call("volume.set", percent="loud")
        assert (await client.call("system.status"))["state"] == "idle"


async def test_questions_do_not_overlap(silent: VoxdProcess) -> None:
    async with silent.client() as client:
        saying = asyncio.create_task(client.call("say", text="one two three four five six seven", wait=True))
        async with silent.client() as other:
            async with asyncio.timeout(20):
                while (await other.call("system.status"))["state"] == "idle":
                    pass
            with pytest.raises(Busy):
                await other.call("turn.ask", text="what time is it")
            await other.call("turn.stop")
        await saying
        assert (await client.call("turn.ask", text="what time is it"))["outcome"] == "answered"


async def test_a_question_for_a_model_is_told_from_one_that_was_not_understood(silent: VoxdProcess) -> None:
    async with silent.client() as client:
        asked = {
            text: (await client.call("turn.ask", text=text))["refusal"]
            for text in ("who wrote hamlet", "colourless green ideas", "what time is it")
        }
    assert [*asked.values()] == ["needs_model", "not_understood", ""]


async def test_the_log_holds_no_words_of_the_user(silent: VoxdProcess) -> None:
    async with silent.client() as client:
        await client.call("say", text="the canary sings xylophone", wait=True)
        await client.call("turn.ask", text="remind me to feed the zebra in ten minutes")
    assert await silent.stop() == 0
    assert "xylophone" not in silent.log
    assert "zebra" not in silent.log


async def test_a_broken_configuration_is_explained_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "voxd.toml"
    broken.write_text(
        '[audio]\nchanels = 2\nblock_ms = "long"\n[wake]\nwords = []\n[endpoint]\nmode = "fast"\n'
        "[turn]\nfollow_up_s = -1\n[lights]\n"
    )
    process = VoxdProcess(tmp_path)
    started = await process.launch("--config", str(broken))
    assert await started.wait() == 78
    for line, word in ((2, "channels"), (3, "block_ms"), (7, "mode"), (9, "follow_up_s"), (10, "lights")):
        assert f"{broken}:{line}: error" in process.log, process.log
        assert word in process.log
    await process.close()


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[VoxdProcess]:
    """A daemon with the virtual microphone in a quiet room."""
    write_wav(tmp_path / "quiet.wav", Clip(bytes(32_000), SAMPLE_RATE_HZ))
    process = VoxdProcess(tmp_path, sets=VIRTUAL)
    yield await process.start()
    await process.close()


ONCE = [("what time is it", 0.0), ("set a timer for five minutes", 1.0)]


@pytest.mark.parametrize(("text", "gap_s"), ONCE)
async def test_once_answers_a_recording_and_ends(tmp_path: Path, text: str, gap_s: float) -> None:
    process = VoxdProcess(tmp_path)
    started = await process.launch("--show", "--once", str(question(text, tmp_path, gap_s=gap_s)))
    assert await started.wait() == 0
    assert f'heard      "{text}"' in process.log
    await process.close()


async def test_once_without_a_wake_word_ends_with_one(tmp_path: Path) -> None:
    process = VoxdProcess(tmp_path)
    started = await process.launch("--once", str(question("what time is it", tmp_path, wake_word="good day")))
    assert await started.wait() == 1
    await process.close()
