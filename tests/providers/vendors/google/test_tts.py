import base64

import pytest

from tests.providers.vendors.tts_contract import TEXT, Make, clips_of, pcm_of
from tests.providers.vendors.tts_over_http import Build, OverHttp
from tests.servers.google_voice import GoogleVoiceServer
from tests.servers.plain_http import reply
from tests.servers.voices import Voice, sound_of, told, wav_of
from voxd.errors import ProviderError, RateLimited, StreamError
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.vendors.google.tts import GoogleTts


def audio(sound: bytes) -> str:
    return base64.b64encode(sound).decode()


class TestGoogleVoice(OverHttp):
    vendor = GoogleVoiceServer
    kind = GoogleTts

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 24_000, tts.voice or None)

    @pytest.fixture
    def make_mute(self, build: Build, server: Voice) -> Make:
        return self.faulty(server, build, told({"audioContent": ""}))

    async def test_it_asks_for_bare_pcm_in_a_language(self, build: Build, server: GoogleVoiceServer) -> None:
        await clips_of(build())
        assert server.bodies() == [
            {
                "input": {"text": TEXT},
                "voice": {"languageCode": "en-US"},
                "audioConfig": {"audioEncoding": "PCM", "sampleRateHertz": 24_000},
            }
        ]

    @pytest.mark.parametrize(
        ("language", "voice", "expected"),
        [
            ("de", "", {"languageCode": "de-DE"}),
            ("de", "en-GB-Neural2-A", {"languageCode": "en-GB", "name": "en-GB-Neural2-A"}),
            ("pt-BR", "Kore", {"languageCode": "pt-BR", "name": "Kore"}),
        ],
    )
    async def test_a_voice_determines_its_language(
        self, build: Build, server: GoogleVoiceServer, language: str, voice: str, expected: dict[str, str]
    ) -> None:
        await clips_of(build(language=language, voice=voice))
        assert server.bodies()[0]["voice"] == expected

    async def test_its_settings_are_sent(self, build: Build, server: GoogleVoiceServer) -> None:
        options = {
            "speaking_rate": 1.2,
            "pitch": -2,
            "volume_gain_db": 3,
            "effects": ["small-bluetooth-speaker"],
        }
        clips = await clips_of(build(options={**options, "sample_rate_hz": 16_000}))
        assert server.bodies()[0]["audioConfig"] == {
            "audioEncoding": "PCM",
            "sampleRateHertz": 16_000,
            "speakingRate": 1.2,
            "pitch": -2,
            "volumeGainDb": 3,
            "effectsProfileId": ["small-bluetooth-speaker"],
        }
        assert {clip.rate_hz for clip in clips} == {16_000}

    async def test_a_wav_file_is_understood_too(self, build: Build, server: GoogleVoiceServer) -> None:
        server.faults.append(told({"audioContent": audio(wav_of(bytes(200), 24_000))}))
        assert pcm_of(await clips_of(build())) == bytes(200)

    @pytest.mark.parametrize(
        "body", [b"{}", b"[]", b'{"audioContent": 7}', b'{"audioContent": "!"}', b"\xff"], ids=str
    )
    async def test_an_answer_without_sound_is_a_fault(
        self, build: Build, server: GoogleVoiceServer, body: bytes
    ) -> None:
        server.faults.append(reply(body, content_type="application/json"))
        with pytest.raises(StreamError) as raised:
            await clips_of(build())
        assert raised.value.code == "bad_answer"

    async def test_half_a_sample_at_the_end_costs_no_sound(
        self, build: Build, server: GoogleVoiceServer
    ) -> None:
        server.faults.append(told({"audioContent": audio(bytes(101))}))
        assert pcm_of(await clips_of(build())) == bytes(100)

    async def test_too_many_requests_are_a_rate_limit_error(
        self, build: Build, server: GoogleVoiceServer
    ) -> None:
        error = {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}
        server.faults.append(told({"error": error}, 429))
        with pytest.raises(RateLimited):
            await clips_of(build())

    async def test_a_wrong_request_reports_its_mistake(self, build: Build, server: GoogleVoiceServer) -> None:
        error = {"code": 400, "message": "Voice does not exist", "status": "INVALID_ARGUMENT"}
        server.faults.append(told({"error": error}, 400))
        with pytest.raises(ProviderError, match="Voice does not exist") as raised:
            await clips_of(build(), retries=2)
        assert not raised.value.retryable

    def test_the_longest_text_fits_whatever_its_letters(self, build: Build) -> None:
        assert build().max_chars * len("𝄞".encode()) <= 5000
