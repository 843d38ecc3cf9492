import pytest

from tests.providers.vendors.tts_contract import TEXT, clips_of
from tests.providers.vendors.tts_over_http import Build, Streamed
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.aura import Aura as Server
from tests.servers.voices import query_of, sound_of, streamed, told
from voxd.errors import ProviderError, RateLimited
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import TextToSpeech
from voxd.providers.vendors.deepgram.tts import DeepgramTts


class TestAura(Streamed):
    vendor = Server
    kind = DeepgramTts

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 24_000, tts.model)

    async def test_it_requests_raw_pcm(self, build: Build, server: Server) -> None:
        await clips_of(build())
        assert query_of(server.spoken[0]) == {
            "model": "aura-2-thalia-en",
            "encoding": "linear16",
            "sample_rate": "24000",
            "container": "none",
        }

    async def test_its_settings_are_sent(self, build: Build, server: Server) -> None:
        options = {"speed": 0.9, "sample_rate_hz": 16_000, "mip_opt_out": True}
        clips = await clips_of(build(voice="aura-2-zeus-en", options=options))
        asked = query_of(server.spoken[0])
        assert (asked["model"], asked["speed"], asked["mip_opt_out"]) == ("aura-2-zeus-en", "0.9", "true")
        assert {clip.rate_hz for clip in clips} == {16_000}

    @pytest.mark.parametrize(
        ("config", "model"),
        [
            ({}, "aura-2-thalia-en"),
            ({"model": "aura-2-zeus-en"}, "aura-2-zeus-en"),
            ({"model": "nova-3"}, "aura-2-thalia-en"),
            ({"model": "nova-3", "voice": "aura-2-zeus-en"}, "aura-2-zeus-en"),
        ],
    )
    def test_a_recognition_model_is_not_used_for_synthesis(
        self, build: Build, config: dict[str, str], model: str
    ) -> None:
        tts = build(**config)
        assert (tts.model, tts.voice) == (model, model)

    async def test_characters_the_vendor_bills_are_reported(
        self, build: Build, server: Server, transport: RecordedTransport
    ) -> None:
        server.faults.append(streamed(bytes(320), {"dg-char-count": "99"}))
        await clips_of(build())
        await clips_of(build())
        (note,) = transport.data("provider.note")
        assert (note["kind"], note["details"]) == ("billed", {"characters": 99})

    async def test_missing_credit_is_not_a_bad_key(self, build: Build, server: Server) -> None:
        body = {"err_code": "ASR_PAYMENT_REQUIRED", "err_msg": "Project does not have enough credits."}
        server.faults.append(told(body, 402))
        with pytest.raises(ProviderError) as raised:
            await clips_of(build(), retries=2)
        assert (raised.value.code, raised.value.retryable) == ("insufficient_quota", False)
        assert len(server.spoken) == 1

    async def test_too_many_requests_are_a_rate_limit_error(self, build: Build, server: Server) -> None:
        server.faults.append(told({"err_code": "TOO_MANY_REQUESTS", "err_msg": "slow down"}, 429))
        with pytest.raises(RateLimited):
            await clips_of(build())

    async def test_an_endpoint_written_for_listening_does_for_speaking(
        self, build: Build, server: Server
    ) -> None:
        url = server.url.replace("http://", "ws://")
        async with open_transport(f"{url}/v1/listen", self.key, name="den", stage="tts") as transport:
            tts = DeepgramTts(self.config(), transport)
            await clips_of(tts, TEXT)
            await tts.check(Budget(retries=0))
        assert [asked.target.partition("?")[0] for asked in server.plain.requests] == [
            "/v1/speak",
            "/v1/projects",
        ]
