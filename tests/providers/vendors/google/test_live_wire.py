"""What goes to Gemini Live and what its closes mean, as tables."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    ContextTooLong,
    ProviderError,
    RateLimited,
    StreamError,
    VoxdError,
)
from voxd.net.faults import CloseReason
from voxd.providers.settings import SessionConfig, ToolSpec
from voxd.providers.usage import Usage
from voxd.providers.vendors.google import live_wire as wire
from voxd.providers.vendors.google.live_reader import usage_of

TOOL = ToolSpec("lamp", "Switches the lamp.", {"type": "object", "properties": {"on": {"type": "boolean"}}})


@pytest.mark.parametrize(
    ("model", "any_time", "behaviors"),
    [
        ("gemini-3.8-live", True, ("NON_BLOCKING", "BLOCKING")),
        ("models/gemini-3.8-live", True, ("NON_BLOCKING", "BLOCKING")),
        ("gemini-4.0-live", True, ("NON_BLOCKING", "BLOCKING")),
        ("gemini-3.1-flash-live-preview", False, ("BLOCKING",)),
        ("gemini-2.5-flash-native-audio-preview-12-2025", False, ("BLOCKING", "NON_BLOCKING")),
        ("gemini-live-2.5-flash-preview", False, ("BLOCKING", "NON_BLOCKING")),
        ("something-new", True, ("NON_BLOCKING", "BLOCKING")),
    ],
)
def test_what_a_model_accepts_depends_on_its_generation(
    model: str, any_time: bool, behaviors: tuple[str, ...]
) -> None:
    assert wire.generation_of(model) == wire.ModelGeneration(any_time, behaviors)
    assert wire.behavior_of(model, "") == behaviors[0]


def test_an_unsupported_behavior_is_refused_before_connecting() -> None:
    with pytest.raises(ProviderError) as raised:
        wire.behavior_of("gemini-3.1-flash-live-preview", "NON_BLOCKING")
    assert (raised.value.code, raised.value.retryable) == ("bad_setting", False)


HOST = "wss://generativelanguage.googleapis.com"
SERVICE = "/ws/google.ai.generativelanguage"
METHOD = "GenerativeService.BidiGenerateContent"


@pytest.mark.parametrize(
    ("endpoint", "key", "version", "url", "headers"),
    [
        (HOST, "k", "v1", f"{HOST}{SERVICE}.v1.{METHOD}", {"x-goog-api-key": "k"}),
        (f"{HOST}/", "k", "v1beta", f"{HOST}{SERVICE}.v1beta.{METHOD}", {"x-goog-api-key": "k"}),
        ("wss://proxy.example/gemini", "k", "v1", "wss://proxy.example/gemini", {"x-goog-api-key": "k"}),
        (
            HOST,
            "auth_tokens/t",
            "v1",
            f"{HOST}{SERVICE}.v1alpha.{METHOD}Constrained",
            {"Authorization": "Token auth_tokens/t"},
        ),
    ],
)
def test_the_key_goes_into_a_header_and_never_into_the_url(
    endpoint: str, key: str, version: str, url: str, headers: dict[str, str]
) -> None:
    assert wire.url_and_headers(endpoint, key, version) == (url, headers)


def setup(config: SessionConfig, **named: Any) -> Any:
    message = wire.setup("gemini-3.8-live", config, **{"behavior": "NON_BLOCKING", **named})
    assert list(message) == ["setup"]
    return message["setup"]


def test_the_smallest_setup() -> None:
    assert setup(SessionConfig(transcription=False)) == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "realtimeInputConfig": {"automaticActivityDetection": {"disabled": True}},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
        "outputAudioTranscription": {},
    }


@pytest.mark.parametrize(
    ("config", "named", "path", "value"),
    [
        ({"temperature": 0.0}, {}, "generationConfig.temperature", 0.0),
        ({"max_output_tokens": 99}, {}, "generationConfig.maxOutputTokens", 99),
        ({"modalities": ("text",)}, {}, "generationConfig.responseModalities", ["AUDIO"]),
        (
            {},
            {"voice": "Kore"},
            "generationConfig.speechConfig.voiceConfig.prebuiltVoiceConfig.voiceName",
            "Kore",
        ),
        ({"instructions": "be brief"}, {}, "systemInstruction.parts", [{"text": "be brief"}]),
        ({"transcription": True}, {}, "inputAudioTranscription", {}),
        ({"turn_detection": "server"}, {}, "realtimeInputConfig.automaticActivityDetection", {}),
        (
            {"turn_detection": "semantic", "vad_silence_ms": 500, "vad_threshold": 0.3},
            {},
            "realtimeInputConfig.automaticActivityDetection",
            {"silenceDurationMs": 500, "startOfSpeechSensitivity": "START_SENSITIVITY_HIGH"},
        ),
        (
            {"turn_detection": "server", "vad_threshold": 0.5},
            {},
            "realtimeInputConfig.automaticActivityDetection.startOfSpeechSensitivity",
            "START_SENSITIVITY_LOW",
        ),
        ({}, {"handle": "h"}, "sessionResumption", {"handle": "h"}),
        ({}, {"history": True}, "historyConfig", {"initialHistoryInClientContent": True}),
    ],
)
def test_each_setting_has_its_place(
    config: dict[str, Any], named: dict[str, Any], path: str, value: Any
) -> None:
    found = setup(SessionConfig(**config), **named)
    for key in path.split("."):
        found = found[key]
    assert found == value


def test_the_language_is_an_instruction_because_models_refuse_a_code() -> None:
    parts = setup(SessionConfig(instructions="be brief", language="de"))["systemInstruction"]["parts"]
    assert [part["text"] for part in parts] == ["be brief", "Answer in the language with the code de."]


@pytest.mark.parametrize(
    ("behavior", "declared"), [("NON_BLOCKING", {}), ("BLOCKING", {"behavior": "BLOCKING"})]
)
def test_a_function_declares_only_a_behavior_that_is_not_the_default(
    behavior: str, declared: dict[str, str]
) -> None:
    [tools] = setup(SessionConfig(tools=(TOOL,)), behavior=behavior)["tools"]
    assert tools["functionDeclarations"] == [
        {
            "name": "lamp",
            "description": "Switches the lamp.",
            "parametersJsonSchema": TOOL.parameters,
            **declared,
        }
    ]


def test_a_function_without_parameters_declares_none() -> None:
    tool = ToolSpec("time", "Tells the time.", {"type": "object", "properties": {}})
    [tools] = setup(SessionConfig(tools=(tool,)))["tools"]
    assert tools["functionDeclarations"] == [{"name": "time", "description": "Tells the time."}]


def test_audio_carries_its_mime_type() -> None:
    blob = wire.audio(b"\x01\x02")["realtimeInput"]["audio"]
    assert blob["mimeType"] == "audio/pcm;rate=16000"
    assert base64.b64decode(blob["data"]) == b"\x01\x02"


def test_the_assistant_is_the_vendors_model() -> None:
    message = wire.content([("user", "a"), ("assistant", "b")], complete=False)
    assert message == {
        "clientContent": {
            "turns": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
            ],
            "turnComplete": False,
        }
    }


@pytest.mark.parametrize(
    ("output", "response"),
    [
        ("it rains", {"output": "it rains"}),
        ('{"rain": true}', {"rain": True}),
        ("[1]", {"output": "[1]"}),
        ("3", {"output": "3"}),
        ("[" * 100_000, {"output": "[" * 100_000}),
    ],
)
def test_a_tool_result_is_an_object_as_the_vendor_requires(output: str, response: dict[str, Any]) -> None:
    [answer] = wire.tool_response("1", "rain", output)["toolResponse"]["functionResponses"]
    assert answer == {"id": "1", "name": "rain", "response": response}
    [silent] = wire.tool_response("1", "rain", output, silent=True)["toolResponse"]["functionResponses"]
    assert silent == {**answer, "scheduling": "SILENT"}


@pytest.mark.parametrize("frame", [b"", "{", b"\xff\xfe", "[]", "3", b"[" * 100_000, '"a"', "null"])
def test_an_invalid_message_is_an_error_with_a_code(frame: bytes | str) -> None:
    with pytest.raises(StreamError) as raised:
        wire.decode(frame)
    assert raised.value.code == "bad_frame"


def test_messages_come_in_binary_frames_and_in_text_ones() -> None:
    message = wire.activity_end()
    assert wire.decode(wire.encode(message)) == wire.decode(wire.encode(message).encode()) == message


@pytest.mark.parametrize(
    ("duration", "expected_s"),
    [("10s", 10.0), ("9.500s", 9.5), ("0s", 0.0), ("", 3.0), (None, 3.0), ({}, 3.0), ("-1s", 3.0)],
)
def test_the_time_left_is_a_protobuf_duration(duration: object, expected_s: float) -> None:
    assert wire.seconds(duration, 3.0) == expected_s


@pytest.mark.parametrize(
    ("code", "reason", "kind", "named", "retryable"),
    [
        (
            "bad_frame",
            "API key not valid. Please pass a valid API key.",
            AuthenticationError,
            "invalid_api_key",
            False,
        ),
        (
            "bad_frame",
            "API key expired. Please renew the API key.",
            AuthenticationError,
            "invalid_api_key",
            False,
        ),
        (
            "policy",
            "Your API key was reported as leaked.",
            AuthenticationError,
            "invalid_api_key",
            False,
        ),
        ("server_error", "You exceeded your current quota, please", RateLimited, "rate_limited", True),
        ("policy", "RESOURCE_EXHAUSTED", RateLimited, "rate_limited", True),
        ("policy", "models/x is not found for API version v1", ProviderError, "model_not_found", False),
        (
            "bad_frame",
            "The input token count exceeds the limit",
            ContextTooLong,
            "context_too_long",
            False,
        ),
        (
            "bad_frame",
            "Request contains an invalid argument.",
            StreamError,
            "bad_frame",
            False,
        ),
        ("policy", "Requested entity was refused", StreamError, "policy", False),
        (
            "server_error",
            "Deadline expired before operation",
            ConnectionFailed,
            "session_expired",
            True,
        ),
        ("server_error", "Internal error occurred.", ConnectionFailed, "server_error", True),
        ("network_error", "the connection broke", ConnectionFailed, "network_error", True),
        ("timeout", "the vendor did not answer in time", ConnectionFailed, "timeout", True),
    ],
)
def test_the_reason_of_a_close_decides_on_its_code(
    code: str, reason: str, kind: type[VoxdError], named: str, retryable: bool
) -> None:
    error = wire.error_of(CloseReason(code, reason))
    assert (type(error), error.code, error.retryable) == (kind, named, retryable)
    assert (error.provider, str(error)) == ("gemini", reason)
    assert wire.meaning(CloseReason(code, reason)).code == named


def test_only_an_error_message_is_a_refusal() -> None:
    body = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
    assert isinstance(wire.refusal(body), RateLimited)
    assert wire.refusal({"setupComplete": {}}) is None


def test_tokens_are_counted_by_what_they_carry() -> None:
    counted = {
        "promptTokenCount": 120,
        "cachedContentTokenCount": 30,
        "toolUsePromptTokenCount": 5,
        "responseTokenCount": 60,
        "thoughtsTokenCount": 7,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 90},
            {"modality": "VIDEO", "tokenCount": 10},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
    }
    assert usage_of(counted) == Usage(
        input_text_tokens=35,
        input_audio_tokens=90,
        cached_text_tokens=20,
        cached_audio_tokens=10,
        output_text_tokens=7,
        output_audio_tokens=60,
    )


@examples(50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["promptTokenCount", "responseTokenCount", "promptTokensDetails"]),
        st.integers() | st.text() | st.lists(st.dictionaries(st.text(), st.integers())),
    )
)
def test_usage_is_never_negative(counted: dict[str, Any]) -> None:
    usage = usage_of(counted)
    assert all(getattr(usage, name) >= 0 for name in usage.__struct_fields__)
