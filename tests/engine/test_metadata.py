"""What may stand in ``metadata``, and that it counts."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tests.providers.pipeline.made import KIND, register
from tests.servers.chat import Chat
from tests.servers.scripted import KEY, Reply, scripted
from voxd import BaseProvider, VoiceEngine, VoiceEngineConfig, register_provider
from voxd.engine import tuning
from voxd.errors import ConfigError
from voxd.providers.vendors.mock.realtime import MockProvider


@pytest.mark.parametrize(
    ("provider", "metadata", "message", "hint"),
    [
        (
            "openai",
            {"noise_reducton": "near_field"},
            "metadata.noise_reducton",
            'did you mean "noise_reduction"?',
        ),
        ("openai", {"temprature": 0.7}, "metadata.temprature", 'did you mean "temperature"?'),
        ("openai", {"temperature": "hot"}, "expected a number from 0 to 2", ""),
        ("openai", {"max_tokens": 0}, "expected an integer of at least 1", "max_tokens = 1"),
        ("openai", {"stt": []}, "metadata.stt", ""),
        ("gemini", {"behaviour": "BLOCKING"}, "metadata.behaviour", 'did you mean "behavior"?'),
        ("custom", {"auth_type": "kerberos"}, 'expected one of "bearer"', ""),
        ("custom", {"endpont": "wss://x"}, "metadata.endpont", 'did you mean "endpoint"?'),
        ("mock", {"default_replay": "x"}, "metadata.default_replay", 'did you mean "default_reply"?'),
        ("mock", {"replies": {"a": {"txt": "b"}}}, 'unknown key "txt"', 'did you mean "text"?'),
        ("mock", {"openings": 1}, "metadata.openings", ""),
        ("pipeline", {"history": "trimm"}, "metadata: ", ""),
        ("pipeline", {"stt": [{"kind": "local", "modell": "base"}]}, 'no "modell"', 'did you mean "model"?'),
        ("pipeline", {"ltm": []}, 'metadata has no "ltm"', 'did you mean "llm"?'),
        (
            "pipeline",
            {"stt": [{"kind": "deepgram", "diarise": True}]},
            'no "diarise"',
            'did you mean "diarize"?',
        ),
        (
            "pipeline",
            {"tts": [{"kind": "elevenlabs", "voice_settings": {"stabillity": 0.5}}]},
            "voice_settings.stabillity",
            'did you mean "stability"?',
        ),
        (
            "pipeline",
            {"tts": [{"kind": "elevenlabs", "options": {"stability": 5}}]},
            'metadata["tts"][0].stability: expected a number from 0 to 1, got 5',
            "stability = 1",
        ),
    ],
)
def test_what_nobody_reads_is_refused(
    provider: str, metadata: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        VoiceEngineConfig(provider=provider, metadata=metadata)
    assert message in str(raised.value)
    assert hint in raised.value.hint
    with pytest.raises(ConfigError):
        VoiceEngine(provider=provider, metadata=metadata)
    other = {"provider": provider, "metadata": metadata}
    with pytest.raises(ConfigError):
        VoiceEngine(provider="mock", enable_multi_provider=True, metadata={"failover": [other]})


# As the reference texts have them.
@pytest.mark.parametrize(
    ("provider", "metadata"),
    [
        ("openai", {"model": "gpt-4-turbo", "temperature": 0.7, "max_tokens": 150}),
        ("azure", {"region": "eastus", "voice": "en-US-JennyNeural"}),
        ("azure", {"endpoint": "wss://speech.azure.com/realtime", "region": "westus2"}),
        (
            "custom",
            {"endpoint": "wss://your-api.com/realtime", "auth_type": "bearer", "model": "v1"},
        ),
        ("mock", {"mock_responses": {"Hello": "Hi there! How can I help?"}}),
        ("a_third_party", {"anything": [1]}),
        (
            "pipeline",
            {
                "stt": [
                    {"kind": "deepgram", "encoding": "linear16", "sample_rate": 16_000, "channels": 1}
                    | {"language": "en-US", "model": "nova", "interim_results": True},
                    {"kind": "aws", "region": "us-east-1", "language_code": "en-US"}
                    | {"vocabulary_name": "medical-terms"},
                    {"kind": "google", "language_code": "en-US", "enable_word_time_offsets": True}
                    | {"model": "latest_long"},
                ],
                "tts": [
                    {"kind": "elevenlabs", "model": "eleven_monolingual_v1"}
                    | {"voice_settings": {"stability": 0.5, "similarity_boost": 0.75}},
                ],
            },
        ),
    ],
)
def test_what_the_reference_texts_write_is_accepted(provider: str, metadata: dict[str, Any]) -> None:
    VoiceEngineConfig(provider=provider, metadata=metadata)


def test_voice_language_and_limits_of_the_metadata_count() -> None:
    metadata = {"voice": "sage", "language_code": "de-DE", "maxTokens": 150, "model_id": "m"}
    config = VoiceEngineConfig(provider="azure", metadata=metadata)
    session = tuning.session_config(config, server_vad=True)
    assert (session.voice, session.language, session.max_output_tokens) == ("sage", "de-DE", 150)
    settings = tuning.provider_settings(config)
    assert (settings["voice"], settings["model"]) == ("sage", "m")
    own = VoiceEngineConfig(provider="azure", voice="coral", language="fr", metadata=metadata)
    session = tuning.session_config(own, server_vad=True)
    assert (session.voice, session.language) == ("coral", "fr")


class Settings(msgspec.Struct):
    volume: int = 3


class Described(MockProvider):
    options_type = Settings

    def __init__(self, config: Any) -> None:
        super().__init__({**config, "metadata": {}})


def test_a_third_party_may_declare_its_entries() -> None:
    described: type[BaseProvider] = Described
    register_provider("described", described)
    VoiceEngineConfig(provider="described", metadata={"volume": 4})
    with pytest.raises(ConfigError) as raised:
        VoiceEngineConfig(provider="described", metadata={"volumme": 4})
    assert raised.value.hint == 'did you mean "volume"?'


def test_an_option_of_a_stage_without_a_schema_must_stand_in_options() -> None:
    register()
    VoiceEngineConfig(provider="pipeline", metadata={"llm": [{"kind": KIND, "options": {"text": "x"}}]})
    with pytest.raises(ConfigError, match='no "text"'):
        VoiceEngineConfig(provider="pipeline", metadata={"llm": [{"kind": KIND, "text": "x"}]})


async def test_limits_of_one_model_precede_those_of_the_pipeline() -> None:
    register()
    async with asyncio.timeout(5), scripted(Chat(), Reply(("Good ", "day."))) as server:
        model = {"kind": "openai", "endpoint": f"{server.url}/v1", "api_key": KEY}
        model["options"] = {"temperature": 0.2, "max_completion_tokens": 42, "top_p": 0.5, "seed": 7}
        engine = VoiceEngine(
            provider="pipeline",
            metadata={
                "stt": [{"kind": KIND, "name": "ears"}],
                "llm": [model],
                "tts": [{"kind": KIND, "name": "voice"}],
                "temperature": 0.9,
                "max_tokens": 7,
            },
        )
        done = asyncio.Event()
        engine.on_response_done = done.set
        async with engine:
            await engine.send_text("hello")
            await done.wait()
        body = json.loads(server.asked.body)
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["seed"]) == (0.2, 42, 0.5, 7)
