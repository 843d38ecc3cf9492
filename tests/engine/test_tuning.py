"""What modes and latency modes change, as tables."""

from typing import Any

import pytest

from voxd import SessionConfig, SessionPresets, VoiceEngineConfig
from voxd.engine import tuning
from voxd.providers.settings import ToolSpec


@pytest.mark.parametrize(
    ("options", "chunk", "jitter", "silence"),
    [
        ({}, 100, 60, 500),
        ({"latency_mode": "ultra_low"}, 50, 0, 300),
        ({"latency_mode": "quality"}, 200, 200, 750),
        ({"latency_mode": "ultra_low", "chunk_duration_ms": 50}, 25, 0, 300),
        ({"latency_mode": "ultra_low", "chunk_duration_ms": 10}, 10, 0, 300),
        ({"mode": "big", "chunk_duration_ms": 20}, 60, 60, 500),
        ({"mode": "fast", "chunk_duration_ms": 20}, 20, 60, 500),
        ({"mode": "provider", "chunk_duration_ms": 20}, 20, 60, 500),
        ({"vad_speech_end_ms": 800}, 100, 60, 800),
    ],
)
def test_modes_and_latency_modes_set_the_timing(
    options: dict[str, Any], chunk: int, jitter: int, silence: int
) -> None:
    config = VoiceEngineConfig(**options)
    assert tuning.chunk_ms(config) == chunk
    assert tuning.jitter_ms(config) == jitter
    assert tuning.silence_ms(config) == silence


@pytest.mark.parametrize(
    ("options", "server_vad", "detection"),
    [
        ({}, True, "client"),
        ({"vad_type": "server"}, True, "server"),
        ({"vad_type": "server"}, False, "client"),
        ({"vad_type": "server", "vad_enabled": False}, True, "client"),
        ({"mode": "provider"}, True, "server"),
        ({"mode": "provider"}, False, "client"),
        ({"mode": "big"}, True, "client"),
        ({"session": SessionConfig(turn_detection="semantic")}, True, "semantic"),
        ({"session": SessionConfig(turn_detection="server")}, True, "server"),
        ({"session": SessionConfig(turn_detection="semantic")}, False, "client"),
    ],
)
def test_how_the_end_of_a_turn_is_detected(options: dict[str, Any], server_vad: bool, detection: str) -> None:
    assert tuning.turn_detection(VoiceEngineConfig(**options), server_vad=server_vad) == detection


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, {"voice": "alloy", "language": "", "transcription": False, "vad_silence_ms": 500}),
        ({"voice": "echo", "language": "es"}, {"voice": "echo", "language": "es"}),
        ({"mode": "big"}, {"voice": "alloy", "transcription": True}),
        ({"mode": "big", "enable_transcription": False}, {"transcription": False}),
        ({"mode": "provider"}, {"voice": "", "vad_silence_ms": None, "transcription": True}),
        ({"mode": "provider", "voice": "echo"}, {"voice": "echo"}),
        ({"mode": "provider", "vad_speech_end_ms": 700}, {"vad_silence_ms": 700}),
        ({"vad_type": "server"}, {"vad_threshold": None, "turn_detection": "server"}),
        ({"vad_type": "server", "vad_threshold": 0.6}, {"vad_threshold": 0.6}),
        ({"vad_threshold": 0.6}, {"vad_threshold": None}),
        ({"latency_mode": "ultra_low", "vad_type": "server"}, {"vad_silence_ms": 300}),
        (
            {"metadata": {"temperature": 0.7, "max_tokens": 150}},
            {"temperature": 0.7, "max_output_tokens": 150},
        ),
        ({"metadata": {"instructions": "Be brief."}}, {"instructions": "Be brief."}),
        (
            {"voice": "echo", "session": SessionConfig(voice="marin", temperature=0.1, max_output_tokens=9)},
            {"voice": "marin", "temperature": 0.1, "max_output_tokens": 9},
        ),
        ({"mode": "big", "session": SessionConfig(transcription=False)}, {"transcription": False}),
        ({"session": SessionPresets.ASSISTANT}, {"instructions": SessionPresets.ASSISTANT.instructions}),
        ({"session": SessionPresets.TRANSCRIPTION}, {"modalities": ("text",)}),
    ],
)
def test_the_configuration_of_the_provider(options: dict[str, Any], said: dict[str, Any]) -> None:
    session = tuning.session_config(VoiceEngineConfig(**options), server_vad=True)
    assert {name: getattr(session, name) for name in said} == said


@pytest.mark.parametrize(("mode", "sent"), [("fast", 0), ("big", 1), ("provider", 1)])
def test_tools_are_declared_when_functions_are_on(mode: Any, sent: int) -> None:
    spec = ToolSpec("look", "Look.", {"type": "object", "properties": {}})
    config = VoiceEngineConfig(mode=mode, session=SessionConfig(tools=(spec,)))
    assert len(tuning.session_config(config, server_vad=True).tools) == sent


def test_the_presets_differ() -> None:
    presets = [value for value in vars(SessionPresets).values() if isinstance(value, SessionConfig)]
    assert len(presets) >= 4
    assert len({preset.instructions for preset in presets}) == len(presets)
    assert all(preset.instructions for preset in presets)


def test_a_provider_gets_its_endpoint_model_voice_and_metadata() -> None:
    config = VoiceEngineConfig(
        api_key="k",
        provider="custom",
        metadata={
            "endpoint": "wss://x",
            "model": "m",
            "auth_type": "bearer",
            "failover": ["mock"],
            "temperature": 0.7,
            "max_tokens": 150,
            "instructions": "Be brief.",
        },
    )
    settings = tuning.provider_settings(config)
    # A third party's provider may read any other field.
    assert (settings["sample_rate"], settings["mode"], settings["language"]) == (24_000, "fast", None)
    named = ("api_key", "endpoint", "model", "voice", "metadata")
    assert {name: settings[name] for name in named} == {
        "api_key": "k",
        "endpoint": "wss://x",
        "model": "m",
        "voice": "alloy",
        "metadata": {"endpoint": "wss://x", "model": "m", "auth_type": "bearer"},
    }
