"""Volume, silence and microphone by voice: every way up goes up, every way down goes down."""

import pytest

from tests.skills.talk import Talk

START = 70


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("turn the volume up", 80),
        ("louder", 80),
        ("turn it up a little", 80),
        ("speak up", 80),
        ("I can't hear you", 80),
        ("it's too quiet", 80),
        ("much louder", 100),
        ("turn it up by twenty percent", 90),
        ("turn it up two notches", 90),
        ("increase the volume by 15", 85),
        ("turn the volume down", 60),
        ("quieter", 60),
        ("make it lower", 60),
        ("speak lower", 60),
        ("a little lower", 60),
        ("lower the volume", 60),
        ("you're too loud", 60),
        ("not so loud", 60),
        ("a lot quieter", 40),
        ("turn it down by thirty percent", 40),
        ("three steps quieter", 40),
        ("set the volume to 20%", 20),
        ("volume thirty", 30),
        ("half volume", 50),
        ("halve the volume", 35),
        ("double the volume", 100),
        ("full volume", 100),
        ("turn it all the way up", 100),
        ("as quiet as possible", 10),
        ("minimum volume", 10),
        ("mute", 0),
        ("turn the sound off", 0),
        ("set the volume to zero", 0),
    ],
)
async def test_the_volume_is_changed_and_undone(talk: Talk, text: str, level: int) -> None:
    reply = await talk.ask(text)
    assert talk.device_state() == (level, []), reply
    await talk.ask("undo that")
    assert talk.device_state() == (START, [])


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("what is the volume", "Volume seventy percent."),
        ("test the volume", "Volume seventy percent."),
        ("is the sound on", "Volume seventy percent."),
        ("are you muted", "Volume seventy percent."),
        ("is the volume at forty percent", "Volume seventy percent."),
        ("unmute", "Volume seventy percent."),
        ("set the volume to 150 percent", "The volume goes from zero to one hundred percent."),
        ("test the microphone", "The microphone is on. I can hear you."),
        ("is the microphone muted", "The microphone is on. I can hear you."),
        ("unmute the microphone", "The microphone is on. I can hear you."),
        ("unmute yourself", "The microphone is on. I can hear you."),
        ("can you hear me", "The microphone is on. I can hear you."),
        ("how are you", "I am well."),
        ("repeat that", "I have not said anything yet."),
    ],
)
async def test_what_only_asks_changes_nothing(talk: Talk, text: str, reply: str) -> None:
    assert await talk.says(text) == reply
    assert talk.device_state() == (START, [])


@pytest.mark.parametrize(
    ("text", "done", "level"),
    [
        ("stop", ["stop"], START),
        ("be quiet", ["stop"], START),
        ("mute the microphone", ["mute"], START),
        ("stop listening", ["mute"], START),
        # The device closes its microphone: "yourself" is who listens. "Mute" alone is the sound.
        ("mute yourself", ["mute"], START),
        ("mute", [], 0),
        ("mute the sound", [], 0),
        ("mute everything", [], 0),
    ],
)
async def test_silence_is_answered_with_silence(talk: Talk, text: str, done: list[str], level: int) -> None:
    assert await talk.says(text) == ""
    assert talk.device_state() == (level, done)


@pytest.mark.parametrize("text", ["unmute", "turn the sound back on", "unmute yourself", "sound on"])
async def test_the_sound_comes_back_as_loud_as_it_was(talk: Talk, text: str) -> None:
    await talk.ask("set the volume to forty percent // mute // mute")
    assert talk.device_state() == (0, [])
    assert await talk.says(text) == "Volume forty percent."


async def test_no_sentence_opens_a_closed_microphone(talk: Talk) -> None:
    await talk.ask("mute the microphone")
    for text in ("unmute the microphone", "unmute yourself", "is the microphone muted", "undo that"):
        await talk.ask(text)
        assert talk.device.is_muted()
    assert (await talk.says("test the microphone")).startswith("The microphone is off.")


async def test_the_volume_stays_between_its_limits(talk: Talk) -> None:
    await talk.ask("set the volume to 95 percent // louder")
    assert talk.device.level == 100
    await talk.ask("set the volume to 5 percent // quieter")
    assert talk.device.level == 0


async def test_repeat_speaks_the_last_reply(talk: Talk) -> None:
    talk.device.said = "It is nine."
    for text in ("say that again", "repeat that", "pardon"):
        assert await talk.says(text) == "It is nine."
