"""The frames of an OpenAI Realtime server that voxd uses, as types that validate themselves.

Fields that are not used are not declared, unknown ones are ignored, and a type that is not listed here is
skipped: vendors add frames. ``bytes`` fields are base64 on the wire.
"""

from typing import get_args

import msgspec

from voxd.providers.usage import Usage

TOKENS_PER_SECOND_IN = 10
"""Audio tokens of a second of input (OpenAI, pricing of Realtime), for transcription billed by the minute."""


class ErrorDetails(msgspec.Struct):
    """An error of the vendor; ``event_id`` is the frame of ours that it is about."""

    code: str | None = None
    message: str | None = None
    type: str | None = None
    event_id: str | None = None


class _Named(msgspec.Struct):
    id: str = ""


class SessionCreated(msgspec.Struct, tag="session.created"):
    """The first frame of a session."""

    session: _Named


class SessionUpdated(msgspec.Struct, tag="session.updated"):
    """Our settings were applied."""

    session: _Named


class InputSpeechStarted(msgspec.Struct, tag="input_audio_buffer.speech_started"):
    """The vendor detects that the user begins to speak."""

    # Milliseconds of all audio sent in this session, not of the utterance.
    audio_start_ms: float = 0


class InputSpeechStopped(msgspec.Struct, tag="input_audio_buffer.speech_stopped"):
    """The vendor detects that the user stops speaking."""

    audio_end_ms: float = 0


class Committed(msgspec.Struct, tag="input_audio_buffer.committed"):
    """The utterance is an item of the conversation."""

    item_id: str


class TranscriptionDelta(msgspec.Struct, tag="conversation.item.input_audio_transcription.delta"):
    """A piece of the transcript of the user's words."""

    item_id: str
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

    item_id: str
    transcript: str
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

    item_id: str
    error: ErrorDetails


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


class OutputItem(msgspec.Struct):
    """An item of a response; only calls of tools carry the fields below."""

    type: str = ""
    status: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: str | None = None


class Response(msgspec.Struct):
    """A response, empty when it begins and whole when it is done."""

    id: str
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

    response: Response


# Tools run only from here: ``function_call_arguments.done`` is also sent for a cancelled response.
class ResponseDone(msgspec.Struct, tag="response.done"):
    """A response has ended: completed, cancelled, failed or incomplete."""

    response: Response


# GA names: in the beta this was ``response.audio.delta``.
class AudioDelta(msgspec.Struct, tag="response.output_audio.delta"):
    """A piece of the response's audio."""

    response_id: str
    item_id: str
    delta: bytes
    content_index: int = 0


class AudioDone(msgspec.Struct, tag="response.output_audio.done"):
    """The audio of an item is complete."""

    response_id: str
    item_id: str


class SpokenDelta(msgspec.Struct, tag="response.output_audio_transcript.delta"):
    """A piece of the transcript of the response's audio."""

    response_id: str
    delta: str


class SpokenDone(msgspec.Struct, tag="response.output_audio_transcript.done"):
    """The transcript of the response's audio."""

    response_id: str
    transcript: str


class TextDelta(msgspec.Struct, tag="response.output_text.delta"):
    """A piece of a response in text."""

    response_id: str
    delta: str


class TextDone(msgspec.Struct, tag="response.output_text.done"):
    """A response in text."""

    response_id: str
    text: str


class RateLimit(msgspec.Struct):
    """What is left of ``limit`` until ``reset_seconds`` from now."""

    name: str = ""
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class RateLimitsUpdated(msgspec.Struct, tag="rate_limits.updated"):
    """What the vendor still allows."""

    rate_limits: list[RateLimit]


class ErrorFrame(msgspec.Struct, tag="error"):
    """An error; the session mostly stays open."""

    error: ErrorDetails


class _Head(msgspec.Struct):
    type: str


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
    | AudioDelta
    | AudioDone
    | SpokenDelta
    | SpokenDone
    | TextDelta
    | TextDone
    | RateLimitsUpdated
    | ErrorFrame
)

KNOWN = frozenset(kind.__struct_config__.tag for kind in get_args(ServerFrame))
"""The types of the frames that are decoded."""

_DECODER: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)
_HEAD = msgspec.json.Decoder(_Head)


def decode(text: str | bytes) -> ServerFrame | None:
    """Return the frame in ``text``, None for a type that is not listed here.

    Raises `ValueError` when it is not a frame, or lacks what its type requires.
    """
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError as error:
        # An unknown type looks like a malformed frame to msgspec: vendors add types, so it is not an error.
        if _type_of(text) not in KNOWN:
            return None
        # msgspec's text names fields, never their values: those may hold the user's words.
        msg = f"a frame of the vendor is malformed: {error}"
        raise ValueError(msg) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        msg = "the vendor sent something that is not JSON"
        raise ValueError(msg) from None


def _type_of(text: str | bytes) -> str:
    try:
        return _HEAD.decode(text).type
    except msgspec.ValidationError:
        msg = "the vendor sent a frame without a type"
        raise ValueError(msg) from None
