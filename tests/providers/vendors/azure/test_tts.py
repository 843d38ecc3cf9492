import re
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.providers.vendors.tts_contract import clips_of
from tests.providers.vendors.tts_over_http import Build, Streamed
from tests.servers.azure_voice import AzureVoiceServer
from tests.servers.plain_http import reply
from tests.servers.voices import sound_of
from voxd.errors import ConfigError, RateLimited
from voxd.net.transport import Access
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.vendors.azure.tts import AzureTts, ssml


class TestAzureVoice(Streamed):
    vendor = AzureVoiceServer
    kind = AzureTts
    options: ClassVar[dict[str, Any]] = {"region": "westeurope"}

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 24_000, tts.voice)

    async def test_it_requests_raw_pcm(self, build: Build, server: AzureVoiceServer) -> None:
        await clips_of(build())
        headers = server.spoken[0].headers
        assert headers["x-microsoft-outputformat"] == "raw-24khz-16bit-mono-pcm"
        assert headers["user-agent"] == "voxd"

    @pytest.mark.parametrize(
        ("rate_hz", "name"),
        [(16_000, "raw-16khz-16bit-mono-pcm"), (22_050, "raw-22050hz-16bit-mono-pcm")],
    )
    async def test_its_rate_is_what_is_configured(
        self, build: Build, server: AzureVoiceServer, rate_hz: int, name: str
    ) -> None:
        clips = await clips_of(build(options={"sample_rate_hz": rate_hz}))
        assert server.spoken[0].headers["x-microsoft-outputformat"] == name
        assert {clip.rate_hz for clip in clips} == {rate_hz}

    @pytest.mark.parametrize(
        ("language", "voice", "expected"),
        [("", "de-DE-KatjaNeural", "de-DE"), ("fr", "", "fr-FR"), ("", "", "en-US")],
    )
    async def test_it_sends_the_language_of_the_text(
        self, build: Build, server: AzureVoiceServer, language: str, voice: str, expected: str
    ) -> None:
        await clips_of(build(language=language, voice=voice))
        found = ElementTree.fromstring(server.spoken[0].body)
        assert found.get("{http://www.w3.org/XML/1998/namespace}lang") == expected

    def test_without_a_region_or_an_endpoint_it_is_not_configured(self, build: Build) -> None:
        with pytest.raises(ConfigError, match="region"):
            build(options={"region": ""})

    def test_the_region_selects_the_endpoint(self, build: Build) -> None:
        call = build()._call("Hello.", Access("", "sk-1234"))
        assert call.url == "https://westeurope.tts.speech.microsoft.com/cognitiveservices/v1"

    async def test_too_many_requests_are_a_rate_limit_error(
        self, build: Build, server: AzureVoiceServer
    ) -> None:
        server.faults.append(reply(b"", status=429))
        with pytest.raises(RateLimited):
            await clips_of(build())


SSML = "{http://www.w3.org/2001/10/synthesis}"
ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document.encode())


@examples(60)
@given(st.text(), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_comes_out_as_it_went_in(text: str, voice: str, style: str, rate: str) -> None:
    speak = parsed(
        ssml(text, voice=voice, language="en-US", express={"style": style}, prosody={"rate": rate})
    )
    assert "".join(speak.itertext()) == ILLEGAL.sub("", text)
    found = speak.find(f"{SSML}voice")
    assert found is not None
    wanted = ILLEGAL.sub("", voice)
    assert re.sub(r"\s", " ", found.get("name", "")) == re.sub(r"\s", " ", wanted)


@pytest.mark.parametrize(
    "text",
    ["</voice></speak>", "a & b", "]]>", "<break time='9s'/>", "\r\n\t x", "&amp;", "\x00\x1b[0m", "\ud800"],
)
def test_no_text_is_taken_for_markup(text: str) -> None:
    speak = parsed(ssml(text, voice='v"><audio src="x"/>', language="en-US"))
    assert "".join(speak.itertext()) == ILLEGAL.sub("", text)
    assert [element.tag for element in speak.iter()] == [f"{SSML}speak", f"{SSML}voice"]


def test_what_is_not_configured_is_not_said() -> None:
    speak = parsed(ssml("Hello.", voice="v", language="en-US", prosody={"rate": "", "pitch": ""}))
    assert [element.tag for element in speak.iter()] == [f"{SSML}speak", f"{SSML}voice"]
    assert speak.get("version") == "1.0"


def test_style_and_prosody_stand_around_the_text() -> None:
    document = ssml(
        "Hi.",
        voice="v",
        language="en-US",
        express={"style": "cheerful", "role": ""},
        prosody={"rate": "slow", "volume": "+5%"},
    )
    express, prosody = list(parsed(document).iter())[2:]
    assert (express.tag, express.attrib) == (
        "{https://www.w3.org/2001/mstts}express-as",
        {"style": "cheerful"},
    )
    assert (prosody.tag, prosody.attrib) == (f"{SSML}prosody", {"rate": "slow", "volume": "+5%"})
    assert prosody.text == "Hi."
