"""The messages of Gemini Live, and the meaning of its close reasons, as pure values.

Wire: https://ai.google.dev/api/live. Everything is JSON; the server sends it in binary frames. Which
message carries text and history depends on the model, so that is a table here (`ModelGeneration`).
"""

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from voxd.errors import AuthenticationError, ContextTooLong, ProviderError, RateLimited, StreamError
from voxd.json_text import decode_json, json_or
from voxd.net import faults
from voxd.net.faults import CloseReason
from voxd.providers.settings import SessionConfig, ToolSpec

# 16 kHz in, 24 kHz out: the only rates without resampling at the vendor.
ENDPOINT = "wss://generativelanguage.googleapis.com"
INPUT_RATE_HZ = 16_000
OUTPUT_RATE_HZ = 24_000
NAME = "gemini"

Message = dict[str, Any]

OWN_CALL = "own-call-"
"""How the ids begin that we give to calls which have none."""


@dataclass(frozen=True, slots=True)
class ModelGeneration:
    """What a generation of models accepts.

    ``content_any_time``: `clientContent` after the beginning of a session. Other models close the socket
    (1007), or ignore audio after it; typed text goes to them as `realtimeInput`. ``behaviors``: what a
    function may declare; the first is the model's default.
    """

    content_any_time: bool
    behaviors: tuple[str, ...]


def generation_of(model: str) -> ModelGeneration:
    """Return what ``model`` accepts, by the generation in its name; an unknown name counts as the newest.

    Source: the vendor's notes on migrating to 3.1 (synchronous functions only, content only as initial
    history) and to 3.8 (functions run NON_BLOCKING unless declared BLOCKING, content at any time).
    """
    found = re.search(r"gemini-(?:live-)?(\d+)\.(\d+)", model)
    generation = (int(found[1]), int(found[2])) if found else (3, 8)
    if generation < (3, 0):
        return ModelGeneration(content_any_time=False, behaviors=("BLOCKING", "NON_BLOCKING"))
    if generation < (3, 8):
        return ModelGeneration(content_any_time=False, behaviors=("BLOCKING",))
    return ModelGeneration(content_any_time=True, behaviors=("NON_BLOCKING", "BLOCKING"))


def behavior_of(model: str, wanted: str) -> str:
    """Return how ``model`` runs functions, ``wanted`` or its default. Raises `ProviderError` if it cannot."""
    behaviors = generation_of(model).behaviors
    if wanted and wanted not in behaviors:
        msg = f"{model} runs functions as {' or '.join(behaviors)} only"
        error = ProviderError(msg, provider=NAME, code="bad_setting", hint="change metadata.behavior")
        error.retryable = False
        raise error
    return wanted or behaviors[0]


def url_and_headers(endpoint: str, api_key: str, version: str) -> tuple[str, dict[str, str]]:
    """Return the URL and headers; an ``endpoint`` with a path of its own is used unchanged.

    A short-lived token (``auth_tokens/…``) goes to the constrained method, which only v1alpha has.
    """
    method = "BidiGenerateContent"
    headers = {"x-goog-api-key": api_key}
    if api_key.startswith("auth_tokens/"):
        version, method = "v1alpha", "BidiGenerateContentConstrained"
        headers = {"Authorization": f"Token {api_key}"}
    if urlsplit(endpoint).path.strip("/"):
        return endpoint, headers
    service = f"google.ai.generativelanguage.{version}.GenerativeService.{method}"
    return f"{endpoint.rstrip('/')}/ws/{service}", headers


def setup(
    model: str,
    config: SessionConfig,
    *,
    voice: str = "",
    handle: str = "",
    history: bool = False,
    behavior: str,
) -> Message:
    """Return the first message of a session; ``handle`` resumes one, ``history`` announces `content`.

    Audio is always requested, because the present models have no other output: the text of the reply is the
    transcription of their speech.
    """
    body: Message = {
        "model": model if "/" in model else f"models/{model}",
        "generationConfig": _generation(config, voice),
        "realtimeInputConfig": {"automaticActivityDetection": _detection(config)},
        # An empty object asks for handles: without it a closed connection ends the session.
        "sessionResumption": {"handle": handle} if handle else {},
        # Without it an audio session ends after 15 minutes (ai.google.dev/gemini-api/docs/live-session).
        "contextWindowCompression": {"slidingWindow": {}},
        "outputAudioTranscription": {},
    }
    if config.transcription:
        body["inputAudioTranscription"] = {}
    # Native-audio models refuse a language code in `speechConfig`: they take it as an instruction.
    language = f"Answer in the language with the code {config.language}." if config.language else ""
    if instructions := [text for text in (config.instructions, language) if text]:
        body["systemInstruction"] = {"parts": [{"text": text} for text in instructions]}
    if config.tools:
        declared = "" if behavior == generation_of(model).behaviors[0] else behavior
        body["tools"] = [{"functionDeclarations": [_declaration(tool, declared) for tool in config.tools]}]
    if history:
        body["historyConfig"] = {"initialHistoryInClientContent": True}
    return {"setup": body}


def _generation(config: SessionConfig, voice: str) -> Message:
    # The present models have no other output: the text of a reply is the transcription of its audio.
    generation: Message = {"responseModalities": ["AUDIO"]}
    if config.temperature is not None:
        generation["temperature"] = config.temperature
    if config.max_output_tokens is not None:
        generation["maxOutputTokens"] = config.max_output_tokens
    if voice:
        generation["speechConfig"] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}
    return generation


def _detection(config: SessionConfig) -> Message:
    if config.turn_detection == "client":
        return {"disabled": True}
    detection: Message = {}
    if config.vad_threshold is not None:
        # The vendor has two levels; a high threshold is a low sensitivity.
        level = "LOW" if config.vad_threshold >= 0.5 else "HIGH"
        detection["startOfSpeechSensitivity"] = f"START_SENSITIVITY_{level}"
    if config.vad_silence_ms is not None:
        detection["silenceDurationMs"] = config.vad_silence_ms
    return detection


def _declaration(tool: ToolSpec, behavior: str) -> Message:
    declared: Message = {"name": tool.name, "description": tool.description}
    # The vendor refuses an object without properties.
    if tool.parameters.get("properties"):
        declared["parametersJsonSchema"] = tool.parameters
    if behavior:
        declared["behavior"] = behavior
    return declared


def audio(pcm: bytes) -> Message:
    """Return a piece of the microphone's audio: mono s16le at `INPUT_RATE_HZ`."""
    data = base64.b64encode(pcm).decode("ascii")
    return {"realtimeInput": {"audio": {"data": data, "mimeType": f"audio/pcm;rate={INPUT_RATE_HZ}"}}}


def activity_start() -> Message:
    """Return that the user begins to speak; it interrupts a response in progress."""
    return {"realtimeInput": {"activityStart": {}}}


def activity_end() -> Message:
    """Return that the user has finished and a response is due."""
    return {"realtimeInput": {"activityEnd": {}}}


def stream_end() -> Message:
    """Return that the microphone pauses: the vendor's detection need not wait for more silence."""
    return {"realtimeInput": {"audioStreamEnd": True}}


def realtime_text(text: str) -> Message:
    """Return typed words, handled like spoken ones."""
    return {"realtimeInput": {"text": text}}


def content(turns: Iterable[tuple[str, str]], *, complete: bool) -> Message:
    """Return ``turns``, (role, text) pairs of user and assistant; ``complete`` requests a response.

    As initial history (`setup`) it has to be complete and gets no response.
    """
    contents = [
        {"role": "model" if role == "assistant" else "user", "parts": [{"text": text}]}
        for role, text in turns
    ]
    return {"clientContent": {"turns": contents, "turnComplete": complete}}


def tool_response(call_id: str, name: str, output: str, *, silent: bool = False) -> Message:
    """Return the result of a tool: the object if ``output`` is one in JSON, else the text.

    ``silent``: a model whose functions do not block takes it without a spoken response.
    """
    value = json_or(output, None)
    response = value if isinstance(value, dict) else {"output": output}
    result: Message = {"name": name, "response": response}
    if not call_id.startswith(OWN_CALL):
        result["id"] = call_id
    if silent:
        result["scheduling"] = "SILENT"
    return {"toolResponse": {"functionResponses": [result]}}


def encode(message: Message) -> str:
    """Return ``message`` as the text of a frame."""
    return msgspec.json.encode(message).decode()


def decode(frame: bytes | str) -> Message:
    """Return the message in ``frame``, binary or text. Raises `StreamError` if it is not one."""
    try:
        message = decode_json(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreamError("the vendor sent invalid JSON", provider=NAME, code="bad_frame") from error
    if not isinstance(message, dict):
        raise StreamError("the vendor sent JSON that is not an object", provider=NAME, code="bad_frame")
    return message


def seconds(duration: object, default_s: float) -> float:
    """Return a protobuf duration in JSON (``"9.5s"``) in seconds, ``default_s`` if it is not one."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", duration) if isinstance(duration, str) else None
    return float(found[1]) if found else default_s


# The reason of a close is free text; these phrases were seen in it, or are documented.
_MEANINGS = (
    (re.compile(r"quota|resource.?exhausted|rate.?limit|credits", re.IGNORECASE), "rate_limited"),
    (re.compile(r"api.?key|unauthenticated|credential|auth_?token", re.IGNORECASE), "invalid_api_key"),
    (re.compile(r"is not found|not supported for bidi", re.IGNORECASE), "model_not_found"),
    (re.compile(r"context (?:window|length)|token (?:count|limit)", re.IGNORECASE), "context_too_long"),
    (re.compile(r"deadline expired|session (?:expired|not found)", re.IGNORECASE), "session_expired"),
)
# Permanent: close code 1007 is an invalid argument, 1008 a policy violation (RFC 6455, 7.4.1).
_FINAL = frozenset({"bad_frame", "policy"})


def meaning(end: CloseReason) -> CloseReason:
    """Return ``end`` with the code for what its reason says.

    The close code is not enough: a refused key was seen with 1007 and 1008, a used-up quota with 1008 and
    1011.
    """
    found = (code for pattern, code in _MEANINGS if pattern.search(end.reason))
    return CloseReason(next(found, end.code), end.reason)


def error_of(end: CloseReason) -> ProviderError:
    """Return the error for a session that ended, or could not begin, with ``end``."""
    match meaning(end):
        case CloseReason("rate_limited", reason):
            return RateLimited(reason, provider=NAME)
        case CloseReason("invalid_api_key", reason):
            return AuthenticationError(reason, provider=NAME)
        case CloseReason("context_too_long", reason):
            return ContextTooLong(reason, provider=NAME)
        case CloseReason(code, reason) if code in _FINAL:
            hint = "check the provider's model, voice and tools"
            error = StreamError(reason, provider=NAME, code=code, hint=hint)
            error.retryable = False
            return error
        case known:
            return faults.error_for_close(NAME, known)


def refusal(message: Mapping[str, Any]) -> ProviderError | None:
    """Return the error a message of the form ``{"error": {…}}`` stands for, None if it is another one."""
    error = message.get("error")
    if not isinstance(error, dict):
        return None
    reason = f"{error.get('status', '')} {error.get('message', '')}".strip()[:300]
    return error_of(CloseReason("server_error", reason))
