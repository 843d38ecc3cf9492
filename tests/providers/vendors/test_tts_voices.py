from importlib.metadata import entry_points

import pytest

from voxd.providers.pipeline.stages.contract import TextToSpeech

KINDS = (
    "aws",
    "azure",
    "deepgram",
    "elevenlabs",
    "elevenlabs_stream",
    "google",
    "openai",
    "openai_realtime",
    "wyoming",
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_voice_is_found_through_the_public_entry_point(kind: str) -> None:
    (found,) = entry_points(group="voxd.tts", name=kind)
    assert issubclass(found.load(), TextToSpeech)
