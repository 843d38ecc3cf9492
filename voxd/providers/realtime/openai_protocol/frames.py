"""The frames of an OpenAI Realtime server that voxd uses, as types that validate themselves.

Fields that are not used are not declared, unknown ones are ignored, and a type that is not listed here is
skipped: vendors add frames. ``bytes`` fields are base64 on the wire.

Servers that imitate the protocol send the names of its beta, leave ids out, or give a field another type. One
rule for all: a field that is ill-typed counts as missing, and only what a frame is about must be there.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

import msgspec

from voxd.json_text import decode_json
from voxd.net.faults import message_of
from voxd.providers.usage import Usage

TOKENS_PER_SECOND_IN = 10
"""Audio tokens of a second of input (OpenAI, pricing of Realtime), for transcription billed by the minute."""


class ErrorDetails(msgspec.Struct):
    """An error of the vendor; ``event_id`` is the frame of ours that it is about."""

    code: str | None = None
    message: str | None = None
    type: str | None = None
    event_id: str | None = None


class _Named(msgspec.Struct, frozen=True):
    id: str = ""


class SessionCreated(msgspec.Struct, tag="session.created"):
    """The first frame of a session."""

    session: _Named = _Named()


class SessionUpdated(msgspec.Struct, tag="session.updated"):
    """Our settings were applied."""

    session: _Named = _Named()


class InputSpeechStarted(msgspec.Struct, tag="input_audio_buffer.speech_started"):
    """The vendor detects that the user begins to speak."""

    # Milliseconds of all audio sent in this session, not of the utterance.
    audio_start_ms: float = 0


class InputSpeechStopped(msgspec.Struct, tag="input_audio_buffer.speech_stopped"):
    """The vendor detects that the user stops speaking."""

    audio_end_ms: float = 0


class Committed(msgspec.Struct, tag="input_audio_buffer.committed"):
    """The utterance is an item of the conversation."""

    item_id: str = ""


class TranscriptionDelta(msgspec.Struct, tag="conversation.item.input_audio_transcription.delta"):
    """A piece of the transcript of the user's words."""

    item_id: str = ""
    # Optional: OpenAI also sends pieces without text.
    delta: str | None = None


class _TokenDetails(msgspec.Struct):
    audio_tokens: int | None = None
    text_tokens: int | None = None


class _TranscriptionUsage(msgspec.Struct):
    seconds: float | None = None
    input_token_details: _TokenDetails | None = None


class TranscriptionCompleted(msgspec.Struct, tag="conversation.item.input_audio_transcription.completed"):
    """The transcript of the user's words; it is billed apart from the response."""

    transcript: str
    item_id: str = ""
    usage: _TranscriptionUsage | None = None

    def spent(self) -> Usage:
        """Return what this transcription used."""
        if self.usage is None:
            return Usage()
        if self.usage.seconds is not None:
            # Models billed by the minute report ``type: "duration"``, the others tokens.
            return Usage(transcribed_seconds=self.usage.seconds)
        details = self.usage.input_token_details or _TokenDetails()
        return Usage(transcribed_seconds=(details.audio_tokens or 0) / TOKENS_PER_SECOND_IN)


class TranscriptionFailed(msgspec.Struct, tag="conversation.item.input_audio_transcription.failed"):
    """The user's words could not be transcribed; the response does not depend on them."""

    item_id: str = ""
    error: ErrorDetails = msgspec.field(default_factory=ErrorDetails)


class _InputDetails(_TokenDetails):
    cached_tokens: int | None = None
    cached_tokens_details: _TokenDetails | None = None


class _ResponseUsage(msgspec.Struct):
    input_token_details: _InputDetails | None = None
    output_token_details: _TokenDetails | None = None


# "turn_detected" when the user spoke over it, "client_cancelled" after our `response.cancel`.
class StatusDetails(msgspec.Struct):
    """Why a response was cancelled, failed or incomplete."""

    reason: str | None = None
    error: ErrorDetails | None = None


class _Content(msgspec.Struct):
    text: str | None = None
    transcript: str | None = None
    refusal: str | None = None


class OutputItem(msgspec.Struct):
    """An item of a response: a message with ``content``, or the call of a tool.

    ``arguments`` is text with a JSON object, from some servers the object itself.
    """

    id: str = ""
    type: str = ""
    status: str | None = None
    content: list[_Content] | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: Any = None

    @property
    def words(self) -> str:
        """The text of a message."""
        parts = (each.transcript or each.text or each.refusal or "" for each in self.content or ())
        return " ".join(part.strip() for part in parts if part.strip())


class Response(msgspec.Struct):
    """A response, empty when it begins and whole when it is done."""

    id: str = ""
    status: str | None = None
    status_details: StatusDetails | None = None
    output: list[OutputItem] | None = None
    usage: _ResponseUsage | None = None

    def spent(self) -> Usage:
        """Return what this response used; cached tokens are part of the input."""
        used = self.usage or _ResponseUsage()
        sent = used.input_token_details or _InputDetails()
        received = used.output_token_details or _TokenDetails()
        # Without the details the cached tokens count as text, which every session has.
        cached = sent.cached_tokens_details or _TokenDetails(text_tokens=sent.cached_tokens)
        return Usage(
            responses=1,
            input_text_tokens=sent.text_tokens or 0,
            input_audio_tokens=sent.audio_tokens or 0,
            cached_text_tokens=cached.text_tokens or 0,
            cached_audio_tokens=cached.audio_tokens or 0,
            output_text_tokens=received.text_tokens or 0,
            output_audio_tokens=received.audio_tokens or 0,
        )


class ResponseCreated(msgspec.Struct, tag="response.created"):
    """A response begins."""

    response: Response = msgspec.field(default_factory=Response)


# Tools run only from here: ``function_call_arguments.done`` is also sent for a cancelled response.
class ResponseDone(msgspec.Struct, tag="response.done"):
    """A response has ended: completed, cancelled, failed or incomplete."""

    response: Response = msgspec.field(default_factory=Response)


class OutputItemDone(msgspec.Struct, tag="response.output_item.done"):
    """An item of a response is complete. Some servers name the calls of tools only here."""

    item: OutputItem
    response_id: str = ""


class ArgumentsDone(msgspec.Struct, tag="response.function_call_arguments.done"):
    """The arguments of a call are complete. Some servers send them only here."""

    arguments: Any
    response_id: str = ""
    item_id: str = ""
    call_id: str = ""
    name: str = ""


# GA names: in the beta this was ``response.audio.delta``.
class AudioDelta(msgspec.Struct, tag="response.output_audio.delta"):
    """A piece of the response's audio."""

    delta: bytes
    response_id: str = ""
    item_id: str = ""
    content_index: int = 0


class AudioDone(msgspec.Struct, tag="response.output_audio.done"):
    """The audio of an item is complete."""

    response_id: str = ""
    item_id: str = ""


class SpokenDelta(msgspec.Struct, tag="response.output_audio_transcript.delta"):
    """A piece of the transcript of the response's audio."""

    delta: str
    response_id: str = ""


class SpokenDone(msgspec.Struct, tag="response.output_audio_transcript.done"):
    """The transcript of the response's audio."""

    transcript: str
    response_id: str = ""


class TextDelta(msgspec.Struct, tag="response.output_text.delta"):
    """A piece of a response in text."""

    delta: str
    response_id: str = ""


class TextDone(msgspec.Struct, tag="response.output_text.done"):
    """A response in text."""

    text: str
    response_id: str = ""


class RateLimitFrame(msgspec.Struct):
    """What is left of ``limit`` until ``reset_seconds`` from now."""

    name: str = ""
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class RateLimitsUpdated(msgspec.Struct, tag="rate_limits.updated"):
    """What the vendor still allows."""

    rate_limits: list[RateLimitFrame]


class ErrorFrame(msgspec.Struct, tag="error"):
    """An error; the session mostly stays open."""

    error: ErrorDetails


ServerFrame = (
    SessionCreated
    | SessionUpdated
    | InputSpeechStarted
    | InputSpeechStopped
    | Committed
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | OutputItemDone
    | ArgumentsDone
    | AudioDelta
    | AudioDone
    | SpokenDelta
    | SpokenDone
    | TextDelta
    | TextDone
    | RateLimitsUpdated
    | ErrorFrame
)

KNOWN: Mapping[str, Any] = MappingProxyType(
    {kind.__struct_config__.tag: kind for kind in get_args(ServerFrame)}
)
"""The types of the frames that are decoded."""

# Names of the beta (until 2026-05-12), which local servers still use. The words of a refusal are words: they
# are spoken.
_BETA = {
    f"response.{old}.{step}": f"response.{new}.{step}"
    for old, new in (
        ("audio", "output_audio"),
        ("audio_transcript", "output_audio_transcript"),
        ("text", "output_text"),
        ("refusal", "output_text"),
    )
    for step in ("delta", "done")
}
# Other names of `response.done`, with the status that they stand for.
_ENDS = {
    f"response.{name}": status
    for name, status in (
        ("completed", "completed"),
        ("cancelled", "cancelled"),
        ("canceled", "cancelled"),
        ("failed", "failed"),
        ("incomplete", "incomplete"),
    )
}

_DECODER: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)


def decode(text: str | bytes) -> ServerFrame | None:
    """Return the frame in ``text``, None for a type that is not listed here.

    Raises `ValueError` when it is not a frame, or lacks what its type is about.
    """
    try:
        try:
            frame = _DECODER.decode(text)
            # Its message may be somewhere else.
            is_odd = isinstance(frame, ErrorFrame) and not frame.error.message
            return _decode_odd(decode_json(text)) if is_odd else frame
        except msgspec.DecodeError:
            return _decode_odd(decode_json(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        msg = "the vendor sent something that is not JSON"
        raise ValueError(msg) from None


def _decode_odd(data: Any) -> ServerFrame | None:
    """Return a frame that is not exactly as the vendor's own, field by field."""
    name = data.get("type") if isinstance(data, dict) else None
    if name is None and isinstance(data, dict) and (data.get("error") or data.get("detail")):
        # A gateway between the vendor and us reports in its own words that the answer will not come.
        name, data = "error", {"message": data.get("detail"), **data}
    if not isinstance(name, str):
        msg = "the vendor sent a frame without a type"
        raise ValueError(msg)
    kind = KNOWN.get("response.done" if name in _ENDS else _BETA.get(name, name))
    # An unknown type: vendors add some, so it is not an error.
    if kind is None:
        return None
    if kind is ErrorFrame:
        # The error as text, or its fields in the frame itself; its message in any shape.
        error = data.get("error")
        details = error if isinstance(error, Mapping) else {**data, "type": None}
        data = {"error": {**details, "message": message_of(error) or message_of({**data, "type": None})}}
    if kind is TextDone and "text" not in data:
        data = {**data, "text": data.get("refusal")}
    if kind is ResponseDone and not isinstance(data.get("response"), dict):
        data = {"response": {**data, "id": data.get("response_id")}}
    frame: ServerFrame = _read(data, kind)
    if isinstance(frame, ResponseDone) and name in _ENDS:
        frame.response.status = frame.response.status or _ENDS[name]
    return frame


def _read(data: Mapping[str, Any], kind: Any) -> Any:
    values = {}
    for each in msgspec.structs.fields(kind):
        is_required = each.default is msgspec.NODEFAULT and each.default_factory is msgspec.NODEFAULT
        value = _converted(data[each.encode_name], each.type) if each.encode_name in data else None
        if value is not None:
            values[each.name] = value
        elif is_required:
            # Names fields, never their values: those may hold the user's words.
            msg = f"a frame of the vendor is malformed: {kind.__struct_config__.tag} without {each.name}"
            raise ValueError(msg)
    return kind(**values)


def _converted(value: Any, type: Any) -> Any:
    """Return ``value`` as ``type``, None where it cannot be."""
    kinds = [each for each in (type, *get_args(type)) if isinstance(each, _StructType)]
    if kinds and isinstance(value, Mapping):
        return _read(value, kinds[0])
    lists = [each for each in (type, *get_args(type)) if getattr(each, "__origin__", None) is list]
    if value is None and type in _EMPTY:
        # Nothing to add, as with OpenAI's own pieces without text.
        return _EMPTY[type]
    if str in (type, *get_args(type)) and isinstance(value, Mapping | list):
        return _text_of(value)
    if lists:
        entries = value if isinstance(value, list) else []
        if get_args(lists[0])[0] is _Content:
            # The text of a message alone.
            entries = [{"text": each} if isinstance(each, str) else each for each in entries or [value]]
        return [_read(each, get_args(lists[0])[0]) for each in entries if isinstance(each, Mapping)]
    if str in (type, *get_args(type)) and isinstance(value, int | float):
        # A number as the code of an error.
        value = str(value)
    if isinstance(value, float) and math.isfinite(value) and int in (type, *get_args(type)):
        # Counts of tokens that were averaged, or went through JavaScript or YAML.
        value = round(value)
    try:
        return msgspec.convert(value, type, strict=False)
    except msgspec.ValidationError:
        return None


def _text_of(value: Any) -> str | None:
    """Return the text in content parts, None without any."""
    parts = value if isinstance(value, list) else [value]
    texts = [each.get("text") if isinstance(each, Mapping) else each for each in parts]
    return "".join(each for each in texts if isinstance(each, str)) or None


_EMPTY: Mapping[Any, Any] = MappingProxyType({str: "", bytes: b""})
_StructType = type(msgspec.Struct)
