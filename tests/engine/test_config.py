"""The configuration as a value: defaults, checks, keys, and providers to fail over to."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from voxd import EngineError, VoiceEngine, VoiceEngineConfig
from voxd.engine.config import failovers, other_provider, with_key
from voxd.errors import ConfigError

DEFAULTS: dict[str, Any] = {
    "provider": "openai",
    "mode": "fast",
    "input_device": None,
    "output_device": None,
    "sample_rate": 24_000,
    "chunk_duration_ms": 100,
    "vad_enabled": True,
    "vad_type": "client",
    "vad_threshold": 0.02,
    "vad_speech_start_ms": 100,
    "vad_speech_end_ms": 500,
    "voice": "alloy",
    "language": None,
    "latency_mode": "balanced",
    "enable_transcription": False,
    "enable_functions": False,
    "enable_multi_provider": False,
    "log_level": "INFO",
    "save_audio": False,
    "audio_save_path": None,
    "metadata": {},
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_the_defaults_are_the_documented_ones(name: str, value: object) -> None:
    assert getattr(VoiceEngineConfig(api_key="sk-x"), name) == value


@pytest.mark.parametrize(("mode", "on"), [("fast", False), ("big", True), ("provider", True)])
def test_the_mode_decides_on_features_that_were_not_set(mode: Any, on: bool) -> None:
    config = VoiceEngineConfig(mode=mode)
    assert (config.enable_transcription, config.enable_functions) == (on, on)
    asked = VoiceEngineConfig(mode=mode, enable_transcription=not on, enable_functions=not on)
    assert (asked.enable_transcription, asked.enable_functions) == (not on, not on)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "slow"},
        {"vad_type": "magic"},
        {"latency_mode": "low"},
        {"sample_rate": 100},
        {"sample_rate": "24000"},
        {"chunk_duration_ms": 0},
        {"vad_threshold": 2.0},
        {"vad_speech_end_ms": -1},
        {"vad_speech_start_ms": True},
        {"log_level": "LOUD"},
        {"provider": ""},
        {"audio_save_limit": 0},
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_field_and_what_to_do(wrong: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=next(iter(wrong))) as caught:
        VoiceEngineConfig(**wrong)
    assert caught.value.hint


def test_a_key_is_not_shown_and_the_value_cannot_be_changed() -> None:
    config = VoiceEngineConfig(api_key="sk-secret", metadata={"headers": {"X-Token": "sk-secret"}})
    assert "sk-secret" not in repr(config)
    assert "sk-secret" not in repr(VoiceEngine(config))
    with pytest.raises(FrozenInstanceError):
        config.voice = "echo"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("provider", "environment", "key"),
    [
        ("openai", {"OPENAI_API_KEY": "sk-env"}, "sk-env"),
        ("azure", {"OPENAI_API_KEY": "sk-env", "AZURE_OPENAI_API_KEY": "az"}, "az"),
        ("gemini", {"GOOGLE_API_KEY": "goo"}, "goo"),
        ("gemini", {"GOOGLE_API_KEY": "goo", "GEMINI_API_KEY": "gem"}, "gem"),
        ("mock", {"OPENAI_API_KEY": "sk-env"}, ""),
        ("openai", {}, ""),
    ],
)
def test_a_missing_key_is_the_vendors_own_variable(
    provider: str, environment: dict[str, str], key: str
) -> None:
    assert with_key(VoiceEngineConfig(provider=provider), environment).api_key == key
    assert with_key(VoiceEngineConfig(provider=provider, api_key="own"), environment).api_key == "own"


def test_failover_copies_neither_key_nor_metadata_nor_failover() -> None:
    config = VoiceEngineConfig(
        api_key="sk-openai",
        voice="echo",
        enable_multi_provider=True,
        metadata={"model": "m", "failover": ["mock", {"provider": "azure", "metadata": {"endpoint": "e"}}]},
    )
    mock, azure = failovers(config, {"AZURE_OPENAI_API_KEY": "az"})
    assert (mock.provider, mock.api_key, mock.metadata, mock.voice) == ("mock", "", {}, "echo")
    assert (azure.provider, azure.api_key, azure.metadata) == ("azure", "az", {"endpoint": "e"})
    assert not azure.enable_multi_provider


def test_without_multi_provider_the_list_is_ignored() -> None:
    assert failovers(VoiceEngineConfig(metadata={"failover": "nonsense"}), {}) == []


@pytest.mark.parametrize(
    "failover", [None, [], "mock", [{"api_key": "x"}], [{"provider": "mock", "vioce": "x"}]]
)
def test_a_malformed_list_is_a_clear_error(failover: object) -> None:
    config = VoiceEngineConfig(
        enable_multi_provider=True, metadata={"failover": failover} if failover else {}
    )
    with pytest.raises(ConfigError) as caught:
        VoiceEngine(config)
    assert caught.value.hint


def test_a_misspelt_field_is_guessed() -> None:
    entry = {"provider": "mock", "vioce": "x"}
    config = VoiceEngineConfig(enable_multi_provider=True, metadata={"failover": [entry]})
    with pytest.raises(ConfigError) as caught:
        failovers(config, {})
    assert caught.value.hint == 'did you mean "voice"?'


def test_another_mode_decides_again_on_features() -> None:
    fast = VoiceEngineConfig(provider="mock")
    assert other_provider(fast, {"provider": "mock", "mode": "big"}, {}).enable_functions
    assert not other_provider(fast, "mock", {}).enable_functions
