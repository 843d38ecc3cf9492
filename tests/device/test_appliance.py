"""The API of a whole device in a quiet room."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.device.conftest import DeviceRig
from voxd import reports
from voxd.audio.files import wav_bytes
from voxd.config.schema import Audio, Endpoint, Log, Paths, Turn, Wake, WakeWord
from voxd.daemon import Daemon
from voxd.errors import Busy, DeviceError, InvalidRequest, Muted, NotFound, StoreError
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.store.settings import SavedSettings, SettingsFile
from voxd.turn.inputs import MuteRequested, Source, State


async def until(daemon: Daemon, state: State) -> None:
    with daemon.bus.subscribe(["state.changed"]) as events:
        if daemon.runner.machine.state is state:
            return
        async for event in events:
            if event.data["to"] == state.value:
                return


def payloads(daemon: Daemon, type: str) -> list[dict[str, Any]]:
    return [event.data for event in daemon.bus.history if event.type == type]


async def test_the_methods_of_the_device(rig: DeviceRig) -> None:
    """Many methods of one daemon, because each start takes a second."""
    daemon = await rig.start()
    device = daemon.appliance

    status = device.status()
    assert (status.state, status.muted, status.turns, status.problems) == ("idle", False, 0, ())
    assert status.summary == device.summary() == 'Listening for "hey jarvis" on virtual'
    assert device.spoken_summary() == "Everything works, and I listen for hey jarvis."
    with pytest.raises(NotFound):
        await device.last()

    answered = await device.ask("what time is it", speak=False)
    assert answered.outcome == "answered"
    assert answered.reply.startswith("It is ")
    assert (await device.last()).turn == answered.turn
    with pytest.raises(InvalidRequest):
        await device.ask_audio(wav_bytes(Clip(bytes(2 * 61 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)), speak=False)
    with pytest.raises(InvalidRequest):
        await device.ask_audio(b"not a wav", speak=False)

    saying = asyncio.create_task(device.say("one two three four five", wait=True))
    await until(daemon, State.SPEAKING)
    with pytest.raises(Busy):
        await device.ask("what time is it", speak=False)
    with pytest.raises(Busy):
        await device.say("not now", wait=False)
    device.stop()
    assert (await saying).outcome == "cancelled"

    assert await device.set_volume(30) == device.volume() == 30
    with pytest.raises(InvalidRequest):
        await device.set_volume(101)

    entry = device.set_wake_word("hey_jarvis", enabled=None, threshold=0.7, first_threshold=None)
    assert (entry.threshold, device.wake_words()) == (0.7, [entry])
    assert device.wake_candidates(5) == []
    with pytest.raises(NotFound):
        device.wake_clip(1)

    await device.ask("set a timer for ten minutes", speak=False)
    (timer,) = device.timers()
    await device.cancel_timer(timer.id)
    with pytest.raises(NotFound):
        await device.cancel_timer(timer.id)
    assert device.timers() == []

    await daemon.recorder.close()
    assert [turn.transcript for turn in await device.history(2)] == ["set a timer for ten minutes", ""]
    assert await device.forget() == 3
    assert payloads(daemon, "conversation.cleared") == [{"turns": 3}]
    assert "voxd_turns_total" in device.metrics()


async def test_a_text_is_accepted_before_it_is_heard_also_by_a_muted_device(rig: DeviceRig) -> None:
    daemon = await rig.start()
    daemon.post(MuteRequested(True, Source.SOCKET))
    accepted = await daemon.appliance.say("one two", wait=False)
    assert accepted.outcome == ""
    assert daemon.runner.turn is not None
    assert daemon.runner.turn.id == accepted.turn
    await until(daemon, State.MUTED)
    assert (await daemon.appliance.say("one two", wait=True)).outcome == "answered"


@pytest.mark.parametrize(
    ("text", "code"),
    [("🎉", "nothing_to_say"), ("мир", "script_not_spoken"), ("x" * 9000, "text_too_long")],
)
async def test_what_cannot_be_spoken_is_refused_with_a_code(rig: DeviceRig, text: str, code: str) -> None:
    daemon = await rig.start()
    for wait in (False, True):
        with pytest.raises(InvalidRequest) as refused:
            await daemon.appliance.say(text, wait=wait)
        assert refused.value.code == code
    assert daemon.runner.turn is None


async def test_without_a_loudspeaker_no_text_is_accepted(rig: DeviceRig) -> None:
    rig.change(audio=Audio(input="virtual", output="nowhere"))
    daemon = await rig.start()
    with pytest.raises(DeviceError, match="nowhere") as refused:
        await daemon.appliance.say("hello", wait=False)
    assert refused.value.code == "device_unavailable"
    assert daemon.runner.turn is None


async def test_volume_and_mute_outlive_a_restart(rig: DeviceRig) -> None:
    daemon = await rig.start()
    await daemon.appliance.set_volume(20)
    await daemon.appliance.set_muted(True)
    assert daemon.runner.machine.state is State.MUTED
    with pytest.raises(Muted):
        daemon.appliance.listen()
    await daemon.stop()

    again = await rig.start()
    assert (again.appliance.volume(), again.appliance.status().state) == (20, "muted")
    assert not again.microphone.is_open
    await again.stop()

    unmuted = await rig.start(heed_mute=False)
    assert unmuted.microphone.is_open, "a saved mute does not apply to a recording"
    await unmuted.stop()
    assert SettingsFile(rig.directory / "settings.json").values.muted


async def test_on_a_disk_that_refuses_the_volume_stays_and_muting_is_done_all_the_same(
    rig: DeviceRig, tmp_path: Path
) -> None:
    daemon = await rig.start()
    device = daemon.appliance
    await device.set_volume(60)
    path = tmp_path / "settings.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError):
        await device.set_volume(30)
    answered = await device.ask("set the volume to forty percent", speak=False)
    assert answered.reply.startswith("Sorry, that did not work: the settings cannot be saved")
    assert device.volume() == 60
    muted = await device.set_muted(True)
    assert muted.muted
    assert "the settings cannot be saved" in muted.problem
    assert device.status().state == "muted"
    assert any("cannot be saved" in problem for problem in device.status().problems)
    # The file never said "muted": nothing has to be written.
    assert (await device.set_muted(False)).problem == ""
    assert device.status().state == "idle"
    path.rmdir()
    await device.set_volume(30)
    assert device.status().problems == ()
    await daemon.stop()
    assert SettingsFile(path).values == SavedSettings(False, 30)


async def test_what_the_disk_holds_as_muted_is_not_opened_on_a_disk_that_refuses(
    rig: DeviceRig, tmp_path: Path
) -> None:
    daemon = await rig.start()
    await daemon.appliance.set_muted(True)
    path = tmp_path / "settings.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError):
        await daemon.appliance.set_muted(False)
    assert daemon.appliance.status().state == "muted"
    daemon.mute.press(False, Source.BUTTON)
    await daemon.mute.close()
    assert daemon.runner.turn is not None, "the reason is spoken"
    await until(daemon, State.MUTED)


async def test_a_voice_command_closes_the_microphone(rig: DeviceRig) -> None:
    daemon = await rig.start()
    answered = await daemon.appliance.ask("mute the microphone", speak=False)
    assert answered.outcome == "answered"
    assert daemon.appliance.status().state == "muted"
    async with asyncio.timeout(5):
        while daemon.microphone.pid is not None:
            await asyncio.sleep(0)


async def test_listening_right_after_unmuting_records_the_utterance(rig: DeviceRig) -> None:
    rig.change(endpoint=Endpoint(no_speech_s=0.5))
    daemon = await rig.start()
    daemon.post(MuteRequested(True, Source.SOCKET))
    daemon.post(MuteRequested(False, Source.SOCKET))
    daemon.appliance.listen()
    await until(daemon, State.IDLE)
    assert daemon.ledger.finished[0].outcome == "no_speech", "it listened until the limit"


async def test_a_reload_reports_the_keys_that_need_a_restart_until_there_was_one(rig: DeviceRig) -> None:
    daemon = await rig.start()
    rig.change(paths=Paths(runtime="/elsewhere"), turn=Turn(earcons=False, follow_up=False))
    first = await daemon.appliance.reload()
    assert first == reports.Reloaded(("turn.follow_up",), ("paths.runtime",))
    assert not daemon.runner.machine.follow_up
    rig.change(log=Log(level="warning"), wake=Wake(words=(WakeWord(name="alexa"),)))
    second = await daemon.appliance.reload()
    assert second == reports.Reloaded(("wake.words[0].name", "log.level"), ("paths.runtime",))
    assert daemon.appliance.status().wake_words == ("alexa",)
    await daemon.appliance.reload()
    changed = [data["changed"] for data in payloads(daemon, "settings.changed")]
    assert changed == [("turn.follow_up",), ("wake.words[0].name", "log.level")], "once for each change"
