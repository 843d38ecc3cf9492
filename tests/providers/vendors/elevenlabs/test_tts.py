import json
import zlib
from typing import Any

import pytest

from tests.providers.vendors.tts_contract import TEXT, clips_of, heard_until_it_breaks, pcm_of
from tests.providers.vendors.tts_over_http import Build, Streamed
from tests.rig.transports import RecordedTransport
from tests.servers.elevenlabs_voice import ElevenLabsVoice, refusal
from tests.servers.voices import broken, query_of, sound_of, streamed, told
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    StreamError,
)
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.facts import default_voice
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.vendors.elevenlabs.tts import ElevenLabsTts

SOUND = sound_of(TEXT, 24_000, (default_voice("elevenlabs"), zlib.crc32(TEXT.encode())))


class TestElevenLabs(Streamed):
    vendor = ElevenLabsVoice
    kind = ElevenLabsTts

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 24_000, (tts.voice, zlib.crc32(text.encode())))

    async def test_the_defaults_are_those_of_the_seed(self, build: Build, server: ElevenLabsVoice) -> None:
        await clips_of(build())
        assert server.bodies() == [
            {
                "text": TEXT,
                "model_id": "eleven_flash_v2_5",
                "voice_settings": {"stability": 0.5, "similarity_boost": 0.75},
                "seed": zlib.crc32(TEXT.encode()),
            }
        ]
        assert query_of(server.spoken[0]) == {"output_format": "pcm_24000"}

    @pytest.mark.parametrize(
        "options",
        [
            {"voice_settings": {"stability": 0.3, "similarity_boost": 0.9}, "output_format": "pcm_16000"},
            {"voiceSettings": {"stability": 0.3, "similarityBoost": 0.9}, "outputFormat": "pcm_16000"},
            {"voice_settings": {"stability": 0.3}, "similarity_boost": 0.9, "sample_rate": 16_000},
        ],
    )
    async def test_other_spellings_of_the_settings_are_sent(
        self, build: Build, server: ElevenLabsVoice, options: dict[str, Any]
    ) -> None:
        more = {"model_id": "eleven_monolingual_v1", "voice_id": "v", "enable_logging": False}
        clips = await clips_of(build(options={**options, **more}))
        [body] = server.bodies()
        assert body["voice_settings"] == {"stability": 0.3, "similarity_boost": 0.9}
        assert body["model_id"] == "eleven_monolingual_v1"
        assert "/v/stream" in server.spoken[0].target
        assert query_of(server.spoken[0]) == {"output_format": "pcm_16000", "enable_logging": "false"}
        assert {clip.rate_hz for clip in clips} == {16_000}

    async def test_its_settings_are_sent(self, build: Build, server: ElevenLabsVoice) -> None:
        settings = {
            "stability": 0.1,
            "similarity_boost": 0.2,
            "style": 0.3,
            "use_speaker_boost": True,
            "speed": 1.1,
        }
        options = {**settings, "seed": 7, "apply_text_normalization": "off", "sample_rate_hz": 16_000}
        clips = await clips_of(
            build(voice="a/b", language="de-AT", options=options), previous="Good morning."
        )
        assert server.bodies()[0] == {
            "text": TEXT,
            "model_id": "eleven_flash_v2_5",
            "voice_settings": settings,
            "seed": 7,
            "language_code": "de",
            "previous_text": "Good morning.",
            "apply_text_normalization": "off",
        }
        assert "/v1/text-to-speech/a%2Fb/stream?output_format=pcm_16000" in server.spoken[0].target
        assert {clip.rate_hz for clip in clips} == {16_000}

    async def test_a_model_that_detects_languages_gets_no_language(
        self, build: Build, server: ElevenLabsVoice
    ) -> None:
        await clips_of(build(model="eleven_multilingual_v2", language="de"))
        assert "language_code" not in server.bodies()[0]

    @pytest.mark.parametrize("model", ["eleven_v3", "eleven_v3_conversational"])
    async def test_a_model_that_refuses_previous_text_gets_none(
        self, build: Build, server: ElevenLabsVoice, model: str
    ) -> None:
        tts = build(model=model)
        assert not tts.heeds_previous
        assert pcm_of(await clips_of(tts, previous="Good morning.")) == self.sound(tts, TEXT)

    def test_a_recognition_model_is_not_used_for_synthesis(self, build: Build) -> None:
        assert build(model="scribe_v2_realtime").model == "eleven_flash_v2_5"

    @pytest.mark.parametrize(
        "options", [{"stability": 2}, {"speed": 2}, {"seed": -1}, {"sample_rate_hz": 11_025}]
    )
    def test_a_setting_out_of_its_range_is_named(self, build: Build, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match=next(iter(options))):
            build(options=options)

    async def test_sound_that_breaks_off_goes_on_where_it_broke_off(
        self, build: Build, server: ElevenLabsVoice, transport: RecordedTransport
    ) -> None:
        server.faults.extend([broken(SOUND[:4001]), broken(SOUND[:5000])])
        clips = await clips_of(build(), retries=2)
        assert pcm_of(clips) == SOUND
        assert len({json.dumps(body) for body in server.bodies()}) == 1
        assert [note["details"] for note in transport.data("provider.note")] == [
            {"code": "truncated", "used_bytes": 4000},
            {"code": "truncated", "used_bytes": 5000},
        ]

    async def test_it_does_not_go_on_with_another_sound(self, build: Build, server: ElevenLabsVoice) -> None:
        server.fickle = True
        server.faults.append(broken(SOUND[:4000]))
        heard: list[Clip] = []
        with pytest.raises(StreamError) as raised:
            await heard_until_it_breaks(build(), heard, retries=2)
        assert raised.value.code == "truncated"
        assert pcm_of(heard) == SOUND[:4000]

    async def test_it_does_not_go_on_with_a_shorter_sound(
        self, build: Build, server: ElevenLabsVoice
    ) -> None:
        server.faults.extend([broken(SOUND[:4000]), streamed(SOUND[:2000])])
        heard: list[Clip] = []
        with pytest.raises(StreamError) as raised:
            await heard_until_it_breaks(build(), heard, retries=2)
        assert raised.value.code == "truncated"
        assert pcm_of(heard) == SOUND[:4000]

    async def test_it_sends_no_more_requests_than_the_turn_allows(
        self, build: Build, server: ElevenLabsVoice
    ) -> None:
        server.faults.extend([broken(SOUND[:4000])] * 3)
        with pytest.raises(StreamError):
            await clips_of(build(), retries=1)
        assert len(server.spoken) == 2

    @pytest.mark.parametrize(
        ("status", "http", "kind", "code", "retryable"),
        [
            ("quota_exceeded", 401, ProviderError, "insufficient_quota", False),
            ("invalid_api_key", 401, AuthenticationError, "invalid_api_key", False),
            ("missing_permissions", 401, AuthenticationError, "missing_permissions", False),
            ("too_many_concurrent_requests", 429, RateLimited, "too_many_concurrent", True),
            ("system_busy", 429, ConnectionFailed, "overloaded", True),
            ("unsupported_model", 400, ProviderError, "unsupported_model", False),
            ("voice_not_found", 404, ProviderError, "voice_not_found", False),
            ("max_character_limit_exceeded", 400, ProviderError, "text_too_long", False),
        ],
    )
    async def test_each_refusal_of_the_vendor_is_a_distinct_error(
        self,
        build: Build,
        server: ElevenLabsVoice,
        status: str,
        http: int,
        kind: type[ProviderError],
        code: str,
        retryable: bool,
    ) -> None:
        server.faults.append(refusal(status, http))
        with pytest.raises(ProviderError) as raised:
            await clips_of(build())
        error = raised.value
        assert (type(error), error.code, error.retryable) == (kind, code, retryable)

    async def test_a_malformed_request_reports_its_mistake(
        self, build: Build, server: ElevenLabsVoice
    ) -> None:
        server.faults.append(
            told({"detail": [{"loc": ["body", "text"], "msg": "too short", "type": "x"}]}, 422)
        )
        with pytest.raises(ProviderError, match="too short") as raised:
            await clips_of(build(), retries=2)
        assert not raised.value.retryable

    async def test_an_account_without_characters_is_not_healthy(
        self, build: Build, server: ElevenLabsVoice
    ) -> None:
        server.subscription |= {"character_count": 10_000}
        with pytest.raises(ProviderError) as raised:
            await build().check(Budget())
        assert raised.value.code == "insufficient_quota"
        more = {"can_extend_character_limit": True, "allowed_to_extend_character_limit": True}
        server.subscription |= more  # type: ignore[arg-type]
        await build().check(Budget())

    async def test_a_key_that_may_only_speak_is_a_good_one(
        self, build: Build, server: ElevenLabsVoice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "state", lambda: refusal("missing_permissions"))
        await build().check(Budget())

    async def test_an_odd_state_of_the_account_is_a_fault(
        self, build: Build, server: ElevenLabsVoice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "state", lambda: told({"character_count": "many"}))
        with pytest.raises(StreamError) as raised:
            await build().check(Budget())
        assert raised.value.code == "bad_answer"
