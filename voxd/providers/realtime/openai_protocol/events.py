"""The events of voxd that the frames of an OpenAI Realtime server lead to."""

from typing import Any

import msgspec

from voxd.errors import ProviderError
from voxd.events import EventType
from voxd.providers.base import ProviderEvent
from voxd.providers.realtime.openai_protocol import frames
from voxd.providers.realtime.openai_protocol.wire import RATE_HZ
from voxd.providers.usage import Usage


def error(fault: ProviderError) -> ProviderEvent:
    """Return what tells a user of ``fault``."""
    return ProviderEvent(
        EventType.ERROR_GENERAL, {"code": fault.code, "message": str(fault), "hint": fault.hint}
    )


def turn(*, speaking: bool, at_ms: float) -> ProviderEvent:
    """Return what tells that the vendor heard the user begin or end."""
    return ProviderEvent(EventType.CONVERSATION_TURN_DETECTED, {"speaking": speaking, "at_ms": at_ms})


def transcription(text: str, item_id: str, *, partial: bool) -> ProviderEvent:
    """Return what tells the user's words: a piece when ``partial``, else all of them."""
    return ProviderEvent(
        EventType.TEXT_TRANSCRIPTION, {"text": text, "is_partial": partial, "item_id": item_id}
    )


def words(text: str, response_id: str, *, partial: bool) -> ProviderEvent:
    """Return what tells the assistant's words: a piece when ``partial``, else all of them."""
    return ProviderEvent(
        EventType.TEXT_OUTPUT, {"text": text, "is_partial": partial, "response_id": response_id}
    )


def sound_started(response_id: str, item_id: str) -> ProviderEvent:
    """Return what tells that the sound of an item begins."""
    data = {"response_id": response_id, "item_id": item_id, "sample_rate": RATE_HZ}
    return ProviderEvent(EventType.AUDIO_OUTPUT_STARTED, data)


def sound(pcm: bytes, response_id: str, item_id: str) -> ProviderEvent:
    """Return a piece of the sound of an item."""
    data = {
        "audio_data": pcm,
        "sample_rate": RATE_HZ,
        "channels": 1,
        "response_id": response_id,
        "item_id": item_id,
    }
    return ProviderEvent(EventType.AUDIO_OUTPUT_CHUNK, data)


def sound_stopped(response_id: str, item_id: str, duration_ms: float) -> ProviderEvent:
    """Return what tells that no more sound of an item comes."""
    data = {"response_id": response_id, "item_id": item_id, "duration_ms": duration_ms}
    return ProviderEvent(EventType.AUDIO_OUTPUT_STOPPED, data)


def interrupted(played_ms: float | None, response_id: str) -> ProviderEvent:
    """Return what tells that a reply was cut."""
    return ProviderEvent(
        EventType.CONVERSATION_INTERRUPTED, {"played_ms": played_ms, "response_id": response_id}
    )


def used(provider: str, usage: Usage) -> ProviderEvent:
    """Return what tells the sums of a session."""
    return ProviderEvent(EventType.USAGE_UPDATED, {"provider": provider, "usage": usage})


def rate_limit(limit: frames.RateLimit) -> ProviderEvent:
    """Return what tells how much the vendor still allows."""
    data = {
        "name": limit.name,
        "limit": limit.limit,
        "remaining": limit.remaining,
        "reset_s": limit.reset_seconds,
    }
    return ProviderEvent(EventType.RATE_LIMIT_UPDATED, data)


def started(response_id: str) -> ProviderEvent:
    """Return what tells that the assistant begins to answer."""
    return ProviderEvent(EventType.RESPONSE_STARTED, {"response_id": response_id})


def completed(response_id: str, usage: Usage) -> ProviderEvent:
    """Return what tells that an answer is whole; calls of tools come before it."""
    return ProviderEvent(EventType.RESPONSE_COMPLETED, {"response_id": response_id, "usage": usage})


def cancelled(response_id: str, reason: str) -> ProviderEvent:
    """Return what tells that an answer was given up."""
    return ProviderEvent(EventType.RESPONSE_CANCELLED, {"response_id": response_id, "reason": reason})


def calls(response: frames.Response) -> list[ProviderEvent]:
    """Return the calls of tools in a completed ``response``."""
    return [
        ProviderEvent(
            EventType.FUNCTION_CALL_INVOKED,
            {"function_name": item.name or "", "arguments": _arguments(item), "call_id": item.call_id},
        )
        for item in response.output or ()
        if item.type == "function_call" and item.call_id and item.status in {"completed", None}
    ]


def _arguments(call: frames.OutputItem) -> dict[str, Any]:
    """Return the arguments; text that is no JSON object becomes one that no tool accepts."""
    try:
        return msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"malformed_json": call.arguments}
