"""Google's own client speaks with our fake, and its types take every request of voxd."""

import asyncio
import json
import warnings
from typing import Any

import pytest

from tests.rig.transports import open_transport
from tests.servers.google_voice import GoogleVoiceServer
from tests.servers.voices import KEY, served, sound_of, wav_of
from voxd.net.transport import Access, Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.google.tts import GoogleTts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("google.cloud.texttospeech", reason="the extra `conformance` is not installed")
    from google.api_core.client_options import ClientOptions
    from google.api_core.exceptions import BadRequest
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import texttospeech
    from google.protobuf.json_format import ParseDict, ParseError

TEXT = "Grüße & <tea>"


def client_of(url: str) -> Any:
    options = ClientOptions(api_endpoint=url)
    return texttospeech.TextToSpeechClient(
        transport="rest", credentials=AnonymousCredentials(), client_options=options
    )


def request_of(**config: Any) -> Any:
    tts = GoogleTts(StageConfig("den", "google", **config), None)  # type: ignore[arg-type]
    return tts._call(TEXT, Access("", KEY)).json


async def test_googles_own_client_is_spoken_to_by_the_fake() -> None:
    def spoken(url: str) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = client_of(url).synthesize_speech(
                input=texttospeech.SynthesisInput(text=TEXT),
                voice=texttospeech.VoiceSelectionParams(language_code="en-US"),
                audio_config=texttospeech.AudioConfig(
                    audio_encoding=texttospeech.AudioEncoding.LINEAR16, sample_rate_hertz=16_000
                ),
                metadata=[("x-goog-api-key", KEY)],
            )
        return bytes(answer.audio_content)

    async with served(GoogleVoiceServer) as server:
        assert await asyncio.to_thread(spoken, server.url) == wav_of(sound_of(TEXT, 16_000, None), 16_000)
        (asked,) = server.spoken
        assert asked.method == "POST"
        assert asked.target.partition("?")[0] == "/v1/text:synthesize"
        assert server.violations == []


async def test_googles_own_client_is_refused_with_a_wrong_key() -> None:
    def refused(url: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            client_of(url).list_voices(metadata=[("x-goog-api-key", "wrong")])

    async with served(GoogleVoiceServer) as server:
        with pytest.raises(BadRequest, match="API key not valid"):
            await asyncio.to_thread(refused, server.url)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"voice": "en-GB-Neural2-A", "language": "de"},
        {
            "options": {
                "speaking_rate": 1.2,
                "pitch": -2.0,
                "volume_gain_db": 3.0,
                "effects": ["small-bluetooth-speaker"],
                "sample_rate_hz": 16_000,
            }
        },
    ],
    ids=str,
)
def test_googles_types_take_every_request_of_voxd(config: dict[str, Any]) -> None:
    found = ParseDict(request_of(**config), texttospeech.SynthesizeSpeechRequest()._pb)
    assert found.input.text == TEXT
    assert found.audio_config.audio_encoding == texttospeech.AudioEncoding.PCM
    assert found.voice.language_code


def test_googles_types_catch_what_does_not_exist() -> None:
    request = json.loads(json.dumps(request_of()))
    request["audioConfig"]["audioEncoding"] = "RAW"
    with pytest.raises(ParseError):
        ParseDict(request, texttospeech.SynthesizeSpeechRequest()._pb)


async def test_voxd_receives_the_sound_of_the_fake() -> None:
    async with served(GoogleVoiceServer) as server, open_transport(server.url, KEY) as transport:
        tts = GoogleTts(StageConfig("den", "google"), transport)
        assert b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget())]) == sound_of(
            TEXT, 24_000, None
        )
