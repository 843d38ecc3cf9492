from typing import Any, ClassVar

import pytest

from tests.providers.vendors.tts_contract import TEXT, clips_of
from tests.providers.vendors.tts_over_http import Build, Streamed
from tests.servers.polly import KEY, PollyServer, refusal
from tests.servers.voices import sound_of
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, ProviderError, RateLimited
from voxd.net.transport import Access
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.vendors.aws.tts import AwsTts


class TestPolly(Streamed):
    vendor = PollyServer
    kind = AwsTts
    key = KEY
    wrong_key = "AKIAWRONG:secretsecretsecret"
    options: ClassVar[dict[str, Any]] = {"region": "eu-central-1"}

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 16_000, tts.voice)

    async def test_it_requests_raw_pcm(self, build: Build, server: PollyServer) -> None:
        await clips_of(build())
        assert server.bodies() == [
            {
                "Text": TEXT,
                "TextType": "text",
                "OutputFormat": "pcm",
                "SampleRate": "16000",
                "VoiceId": "Joanna",
                "Engine": "neural",
            }
        ]

    async def test_its_settings_are_sent(self, build: Build, server: PollyServer) -> None:
        options = {"engine": "generative", "sample_rate_hz": 8000}
        tts = build(voice="Kajal", language="en-IN", options=options)
        clips = await clips_of(tts)
        body = server.bodies()[0]
        assert (body["VoiceId"], body["LanguageCode"], body["Engine"]) == ("Kajal", "en-IN", "generative")
        assert {clip.rate_hz for clip in clips} == {8000}
        assert tts.model == "generative"

    async def test_every_request_is_signed_for_the_region(self, build: Build, server: PollyServer) -> None:
        await clips_of(build())
        signed = server.spoken[0].headers["authorization"]
        assert "/eu-central-1/polly/aws4_request" in signed
        assert "SignedHeaders=content-type;host;x-amz-date," in signed

    def test_the_region_is_that_of_the_endpoint(self, build: Build) -> None:
        tts = build(options={"region": ""}, endpoint="https://polly.sa-east-1.amazonaws.com")
        call = tts._call("Hello.", Access("https://polly.sa-east-1.amazonaws.com", KEY))
        assert "/sa-east-1/polly/" in call.headers["Authorization"]

    def test_the_region_selects_the_endpoint(self, build: Build) -> None:
        assert (
            build()._call("Hello.", Access("", KEY)).url
            == "https://polly.eu-central-1.amazonaws.com/v1/speech"
        )

    def test_without_a_region_it_is_not_configured(self, build: Build) -> None:
        with pytest.raises(ConfigError, match="region"):
            build(options={"region": ""})

    def test_a_key_of_another_vendor_is_reported_as_wrong(self, build: Build) -> None:
        with pytest.raises(AuthenticationError, match="not an AWS key"):
            build()._call("Hello.", Access("", "sk-1234567890"))

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (refusal("ThrottlingException"), RateLimited),
            (refusal("ThrottlingException", 429), RateLimited),
            (
                refusal("InvalidSignatureException", 403, "Signature expired: 1 is now earlier than 2"),
                ConnectionFailed,
            ),
            (refusal("ServiceFailureException", 500), ConnectionFailed),
            (refusal("TextLengthExceededException"), ProviderError),
        ],
    )
    async def test_each_refusal_of_the_vendor_is_a_distinct_error(
        self, build: Build, server: PollyServer, fault: object, kind: type[ProviderError]
    ) -> None:
        server.faults.append(fault)  # type: ignore[arg-type]
        with pytest.raises(ProviderError) as raised:
            await clips_of(build())
        assert type(raised.value) is kind
