"""What voxd says to an OpenAI Realtime server, frame by frame."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.settings import SessionConfig, ToolSpec


def session(config: SessionConfig, extra: dict[str, Any] | None = None, voice: str = "") -> Any:
    return wire.update_session("update_1", config, extra or {}, voice=voice)["session"]


def test_a_session_declares_its_type_and_24_khz_audio() -> None:
    found = session(SessionConfig())
    assert found["type"] == "realtime"
    assert found["output_modalities"] == ["audio"]
    for way in ("input", "output"):
        assert found["audio"][way]["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_what_is_not_configured_is_left_to_the_vendor() -> None:
    found = session(SessionConfig())
    assert set(found) == {"type", "output_modalities", "audio", "tools"}
    assert set(found["audio"]["output"]) == {"format"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SessionConfig(), None),
        (
            SessionConfig(turn_detection="server", vad_threshold=0.4, vad_silence_ms=300),
            {
                "type": "server_vad",
                "threshold": 0.4,
                "silence_duration_ms": 300,
                "create_response": True,
                "interrupt_response": True,
            },
        ),
        (
            SessionConfig(turn_detection="semantic", vad_threshold=0.4),
            {
                "type": "semantic_vad",
                "eagerness": "auto",
                "create_response": True,
                "interrupt_response": True,
            },
        ),
    ],
)
def test_the_settings_of_the_turn_detection(config: SessionConfig, expected: Any) -> None:
    assert session(config)["audio"]["input"]["turn_detection"] == expected


def test_every_setting_reaches_its_place() -> None:
    tool = ToolSpec("f", "does", {"type": "object"})
    config = SessionConfig(
        instructions="be brief",
        language="de-AT",
        max_output_tokens=50,
        modalities=("text",),
        tools=(tool,),
        speed=1.2,
    )
    extra = {"transcription_model": "m", "noise_reduction": "far_field", "reasoning_effort": "low"}
    found = session(config, extra, voice="marin")
    assert found["instructions"] == "be brief"
    assert found["max_output_tokens"] == 50
    assert found["output_modalities"] == ["text"]
    assert found["reasoning"] == {"effort": "low"}
    assert found["audio"]["input"]["transcription"] == {"model": "m", "language": "de"}
    assert found["audio"]["input"]["noise_reduction"] == {"type": "far_field"}
    assert found["audio"]["output"]["voice"] == "marin"
    assert found["audio"]["output"]["speed"] == 1.2
    assert found["tools"] == [
        {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}}
    ]


@pytest.mark.parametrize(
    ("config", "extra"),
    [(SessionConfig(transcription=False), {"transcription_model": "m"}), (SessionConfig(), {})],
)
def test_transcription_needs_a_model_and_the_setting(config: SessionConfig, extra: Any) -> None:
    assert session(config, extra)["audio"]["input"]["transcription"] is None


@given(speed=st.floats(0.01, 100), tokens=st.integers(-5, 10**6))
@examples(50)
def test_numbers_stay_within_the_vendors_limits(speed: float, tokens: int) -> None:
    found = session(SessionConfig(speed=speed, max_output_tokens=tokens))
    assert 0.25 <= found["audio"]["output"]["speed"] <= 1.5
    assert 1 <= found["max_output_tokens"] <= 4096


@given(st.binary(max_size=200))
@examples(50)
def test_audio_survives_the_encoding(pcm: bytes) -> None:
    found = json.loads(wire.append_audio(pcm))
    assert found["type"] == "input_audio_buffer.append"
    assert base64.b64decode(found["audio"], validate=True) == pcm


@given(st.text(max_size=50))
@examples(50)
def test_any_text_survives_the_wire(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert json.loads(wire.encode(wire.message("user", text)))["item"]["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("role", "kind"), [("user", "input_text"), ("system", "input_text"), ("assistant", "output_text")]
)
def test_history_is_encoded_as_its_role_requires(role: str, kind: str) -> None:
    item = wire.message(role, "hi")["item"]
    assert (item["role"], item["content"]) == (role, [{"type": kind, "text": "hi"}])
