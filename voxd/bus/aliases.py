"""The names that other voice libraries gave their events, with ours, so that their listeners work here.

Upper case names are VoxEngine's, names with a colon and single words are voide's. What voide calls a message
is one turn of the conversation, what it calls a command is a call of a tool.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from voxd.events import EventType


@dataclass(frozen=True, slots=True)
class SeedName:
    """One of our types, and what its data must say for the seed's name to be meant."""

    type: EventType
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", MappingProxyType(dict(self.where)))


_FINAL = {"is_partial": False}

SEED_NAMES: Mapping[str, SeedName] = MappingProxyType(
    {
        "CONNECTION_STARTING": SeedName(EventType.CONNECTION_STARTING),
        "CONNECTION_ESTABLISHED": SeedName(EventType.CONNECTION_ESTABLISHED),
        "CONNECTION_FAILED": SeedName(EventType.CONNECTION_FAILED),
        "CONNECTION_LOST": SeedName(EventType.CONNECTION_LOST),
        "CONNECTION_CLOSED": SeedName(EventType.CONNECTION_CLOSED),
        "AUDIO_INPUT_STARTED": SeedName(EventType.AUDIO_INPUT_STARTED),
        "AUDIO_INPUT_CHUNK": SeedName(EventType.AUDIO_INPUT_CHUNK),
        "AUDIO_INPUT_STOPPED": SeedName(EventType.AUDIO_INPUT_STOPPED),
        "AUDIO_OUTPUT_STARTED": SeedName(EventType.AUDIO_OUTPUT_STARTED),
        "AUDIO_OUTPUT_CHUNK": SeedName(EventType.AUDIO_OUTPUT_CHUNK),
        "AUDIO_OUTPUT_STOPPED": SeedName(EventType.AUDIO_OUTPUT_STOPPED),
        "TEXT_INPUT": SeedName(EventType.TEXT_INPUT),
        "TEXT_OUTPUT": SeedName(EventType.TEXT_OUTPUT),
        "CONVERSATION_STARTED": SeedName(EventType.CONVERSATION_STARTED),
        "CONVERSATION_TURN_DETECTED": SeedName(EventType.CONVERSATION_TURN_DETECTED),
        "CONVERSATION_INTERRUPTED": SeedName(EventType.CONVERSATION_INTERRUPTED),
        "CONVERSATION_ENDED": SeedName(EventType.CONVERSATION_ENDED),
        "RESPONSE_STARTED": SeedName(EventType.RESPONSE_STARTED),
        "RESPONSE_COMPLETED": SeedName(EventType.RESPONSE_COMPLETED),
        "RESPONSE_CANCELLED": SeedName(EventType.RESPONSE_CANCELLED),
        "FUNCTION_CALL_INVOKED": SeedName(EventType.FUNCTION_CALL_INVOKED),
        "ERROR_GENERAL": SeedName(EventType.ERROR_GENERAL),
        "ready": SeedName(EventType.CONNECTION_ESTABLISHED),
        "message": SeedName(EventType.TEXT_OUTPUT, _FINAL),
        "transcript": SeedName(EventType.TEXT_TRANSCRIPTION, _FINAL),
        "voice:start": SeedName(EventType.CONVERSATION_TURN_DETECTED, {"speaking": True}),
        "voice:end": SeedName(EventType.CONVERSATION_TURN_DETECTED, {"speaking": False}),
        "voice:transcript": SeedName(EventType.TEXT_TRANSCRIPTION, _FINAL),
        "voice:error": SeedName(EventType.AUDIO_LOST),
        # A message is told once, when it has been handed over: there is no moment between the two.
        "message:sending": SeedName(EventType.TEXT_INPUT),
        "message:sent": SeedName(EventType.TEXT_INPUT),
        "message:receiving": SeedName(EventType.RESPONSE_STARTED),
        "message:received": SeedName(EventType.TEXT_OUTPUT, _FINAL),
        "message:error": SeedName(EventType.ERROR_GENERAL),
        "command:detected": SeedName(EventType.FUNCTION_CALL_INVOKED),
        "command:executed": SeedName(EventType.FUNCTION_CALL_COMPLETED, {"ok": True}),
        "command:error": SeedName(EventType.FUNCTION_CALL_COMPLETED, {"ok": False}),
        "tts:start": SeedName(EventType.AUDIO_OUTPUT_STARTED),
        "tts:end": SeedName(EventType.AUDIO_OUTPUT_STOPPED),
        "conversation:cleared": SeedName(EventType.CONVERSATION_CLEARED),
        "settings:changed": SeedName(EventType.SETTINGS_CHANGED),
    }
)
"""Seed name -> ours. The last name of voide's list, ``error``, is ours as well."""
