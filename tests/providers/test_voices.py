"""Voices of one vendor find their like at another."""

import pytest

from voxd.providers.voices import chosen_voice, voice_for

REALTIME = ["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]


@pytest.mark.parametrize(
    ("voice", "kind", "like"),
    [
        ("alloy", "azure_speech", "en-US-JennyNeural"),
        ("nova", "azure_speech", "en-US-AriaNeural"),
        ("echo", "azure_speech", "en-US-GuyNeural"),
        ("en-US-JennyNeural", "openai", "alloy"),
        ("en-US-JennyNeural", "gemini", "Kore"),
        ("alloy", "gemini", "Kore"),
        ("Puck", "openai", "echo"),
        ("Puck", "gemini", "Puck"),
        ("marin", "azure", "marin"),
        ("nova", "openai", "marin"),
        ("onyx", "azure", "cedar"),
        ("nova", "custom", "nova"),
        ("Aoede", "custom", "marin"),
        ("nova", "gemini", "Aoede"),
        ("", "gemini", ""),
        ("voice_mine", "openai", "voice_mine"),
        ("voice_mine", "parrot", "voice_mine"),
        ("alloy", "parrot", ""),
        ("alloy", "mock", ""),
    ],
)
def test_a_voice_becomes_the_one_most_like_it(voice: str, kind: str, like: str) -> None:
    assert voice_for(voice, kind) == like


@pytest.mark.parametrize("voice", REALTIME)
@pytest.mark.parametrize("kind", ["openai", "azure", "custom", "gpt_live"])
def test_a_vendor_keeps_its_own_voices(voice: str, kind: str) -> None:
    assert voice_for(voice, kind) == voice


@pytest.mark.parametrize("voice", REALTIME)
def test_a_voice_that_went_abroad_comes_back_as_one_that_speaks(voice: str) -> None:
    assert voice_for(voice_for(voice, "gemini"), "openai") in REALTIME


@pytest.mark.parametrize(
    ("voice", "kind", "called"),
    [("alloy", "parrot", "alloy"), ("alloy", "gemini", "Kore"), ("", "openai", "")],
)
def test_a_voice_that_was_chosen_for_a_stranger_is_left_to_him(voice: str, kind: str, called: str) -> None:
    assert chosen_voice(voice, kind) == called
