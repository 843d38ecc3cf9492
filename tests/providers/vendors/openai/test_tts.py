import pytest

from tests.providers.vendors.tts_contract import TEXT, clips_of, pcm_of
from tests.providers.vendors.tts_over_http import Build, Streamed
from tests.rig.transports import open_transport
from tests.servers.openai_speech import RATE_HZ, OpenAISpeechServer
from tests.servers.voices import sound_of, told
from voxd.errors import ProviderError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech
from voxd.providers.vendors.openai.tts import OpenAITts


class TestOpenAISpeech(Streamed):
    vendor = OpenAISpeechServer
    kind = OpenAITts

    @pytest.fixture
    async def transport(self, server: OpenAISpeechServer):  # type: ignore[no-untyped-def]
        async with open_transport(f"{server.url}/v1", self.key, name="den", stage="tts") as transport:
            yield transport

    @pytest.fixture
    async def make_refused(self, server: OpenAISpeechServer):  # type: ignore[no-untyped-def]
        async with open_transport(f"{server.url}/v1", self.wrong_key, name="den", stage="tts") as transport:
            yield lambda: OpenAITts(self.config(), transport)

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, RATE_HZ, tts.voice)

    async def test_it_requests_raw_pcm(self, build: Build, server: OpenAISpeechServer) -> None:
        await clips_of(build())
        assert server.bodies() == [
            {"model": "tts-1", "input": TEXT, "voice": "alloy", "response_format": "pcm"}
        ]

    async def test_its_settings_are_sent(self, build: Build, server: OpenAISpeechServer) -> None:
        options = {"speed": 1.5, "instructions": "Whisper."}
        await clips_of(build(model="kokoro", voice="af_sky", options=options))
        assert server.bodies()[0] == {
            "model": "kokoro",
            "input": TEXT,
            "voice": "af_sky",
            "response_format": "pcm",
            "speed": 1.5,
            "instructions": "Whisper.",
        }

    async def test_a_server_that_sends_wav_files_all_the_same_is_understood(
        self, build: Build, server: OpenAISpeechServer
    ) -> None:
        server.wav = True
        tts = build()
        assert pcm_of(await clips_of(tts)) == self.sound(tts, TEXT)

    async def test_a_server_at_home_needs_no_key(self, server: OpenAISpeechServer) -> None:
        server.key = ""
        async with open_transport(f"{server.url}/v1", "", name="den", stage="tts") as transport:
            assert await clips_of(OpenAITts(StageConfig("den", "openai"), transport))
        assert "authorization" not in server.spoken[0].headers

    async def test_a_server_without_a_list_of_models_is_healthy(
        self, build: Build, server: OpenAISpeechServer
    ) -> None:
        server.lists_models = False
        await build().check(Budget())

    async def test_a_model_that_was_shut_down_is_reported(
        self, build: Build, server: OpenAISpeechServer
    ) -> None:
        error = {"message": "The model `tts-1` has been deprecated", "code": "model_not_found", "type": "x"}
        server.faults.append(told({"error": error}, 404))
        with pytest.raises(ProviderError) as raised:
            await clips_of(build(), retries=2)
        assert (raised.value.code, raised.value.retryable) == ("model_not_found", False)
