"""The names that other voice libraries gave their events, with ours, so that their registrations work here.

Upper case names are VoxEngine's, names with a colon and single words are voide's. What voide calls a message
is one turn of the conversation, what it calls a command is a call of a tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from voxd.events import EventType


@dataclass(frozen=True, slots=True)
class EventAlias:
    """One of our types, and what its data must say for the alias's name to be meant."""

    type: EventType
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", MappingProxyType(dict(self.where)))


_FINAL = {"is_partial": False}

# VoxEngine's names, which are also those of our members.
_SAME_NAME = """
    CONNECTION_STARTING CONNECTION_ESTABLISHED CONNECTION_FAILED CONNECTION_LOST CONNECTION_CLOSED
    AUDIO_INPUT_STARTED AUDIO_INPUT_CHUNK AUDIO_INPUT_STOPPED AUDIO_OUTPUT_STARTED AUDIO_OUTPUT_CHUNK
    AUDIO_OUTPUT_STOPPED TEXT_INPUT TEXT_OUTPUT CONVERSATION_STARTED CONVERSATION_TURN_DETECTED
    CONVERSATION_INTERRUPTED CONVERSATION_ENDED RESPONSE_STARTED RESPONSE_COMPLETED RESPONSE_CANCELLED
    FUNCTION_CALL_INVOKED ERROR_GENERAL
""".split()  # noqa: SIM905 - a list would be a line a name

EVENT_ALIASES: Mapping[str, EventAlias] = MappingProxyType(
    {
        **{name: EventAlias(EventType[name]) for name in _SAME_NAME},
        "ready": EventAlias(EventType.CONNECTION_ESTABLISHED),
        "message": EventAlias(EventType.TEXT_OUTPUT, _FINAL),
        "transcript": EventAlias(EventType.TEXT_TRANSCRIPTION, _FINAL),
        "voice:start": EventAlias(EventType.CONVERSATION_TURN_DETECTED, {"speaking": True}),
        "voice:end": EventAlias(EventType.CONVERSATION_TURN_DETECTED, {"speaking": False}),
        "voice:transcript": EventAlias(EventType.TEXT_TRANSCRIPTION, _FINAL),
        "voice:error": EventAlias(EventType.AUDIO_LOST),
        # One event when the message has been sent: the two names mean the same moment.
        "message:sending": EventAlias(EventType.TEXT_INPUT),
        "message:sent": EventAlias(EventType.TEXT_INPUT),
        "message:receiving": EventAlias(EventType.RESPONSE_STARTED),
        "message:received": EventAlias(EventType.TEXT_OUTPUT, _FINAL),
        "message:error": EventAlias(EventType.ERROR_GENERAL),
        "command:detected": EventAlias(EventType.FUNCTION_CALL_INVOKED),
        "command:executed": EventAlias(EventType.FUNCTION_CALL_COMPLETED, {"ok": True}),
        "command:error": EventAlias(EventType.FUNCTION_CALL_COMPLETED, {"ok": False}),
        "tts:start": EventAlias(EventType.AUDIO_OUTPUT_STARTED),
        "tts:end": EventAlias(EventType.AUDIO_OUTPUT_STOPPED),
        "conversation:cleared": EventAlias(EventType.CONVERSATION_CLEARED),
        "settings:changed": EventAlias(EventType.SETTINGS_CHANGED),
    }
)
