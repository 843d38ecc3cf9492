"""Finds another vendor's voice that is most like the one in use, so that a switch does not surprise."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from voxd.providers.settings import SessionConfig

_CHARACTERS: tuple[tuple[str, str, str], ...] = (
    # OpenAI Realtime, Gemini Live, Azure Speech
    ("marin", "Aoede", "en-US-AvaNeural"),
    ("cedar", "Charon", "en-US-AndrewNeural"),
    ("alloy", "Kore", "en-US-JennyNeural"),
    ("ash", "Orus", "en-US-DavisNeural"),
    ("ballad", "Fenrir", "en-GB-RyanNeural"),
    ("coral", "Leda", "en-US-AriaNeural"),
    ("echo", "Puck", "en-US-GuyNeural"),
    ("sage", "Zephyr", "en-US-SaraNeural"),
    ("shimmer", "Leda", "en-US-JaneNeural"),
    ("verse", "Fenrir", "en-US-JasonNeural"),
    ("fable", "Fenrir", "en-GB-RyanNeural"),
    ("onyx", "Charon", "en-US-DavisNeural"),
    ("nova", "Aoede", "en-US-AriaNeural"),
)
"""One row a character; each vendor's first row with a voice wins. Pairs are by the vendors' descriptions of
pitch and manner, a matter of taste. alloy, nova and echo to Azure are the pairs of seed 004."""

_FAMILY: Mapping[str, int] = MappingProxyType(
    {"openai": 0, "azure": 0, "custom": 0, "gpt_live": 0, "gemini": 1, "azure_speech": 2}
)
"""Which column a kind of provider speaks with; Azure OpenAI has OpenAI's voices, not Azure Speech's."""

_NEAREST: Mapping[str, str] = MappingProxyType({"fable": "ballad", "onyx": "cedar", "nova": "marin"})
"""OpenAI's voices that the Realtime API does not have (reference/providers.md, section 1), and their like."""


def voice_for(voice: str, kind: str) -> str:
    """Return the voice of ``kind`` most like ``voice``; "" stays the vendor's default.

    A voice no table knows is one of the owner's own, and goes as it is to a vendor no table knows; a vendor
    we know gets it too unless it is another's, for vendors add voices faster than we learn of them.
    """
    column = _FAMILY.get(kind)
    row = next((row for row in _CHARACTERS if voice in row), None)
    if not voice or row is None:
        return voice
    if column is None:
        return ""
    found = voice if row.index(voice) == column else row[column]
    return found if kind == "custom" else _NEAREST.get(found, found)


def chosen_voice(voice: str, kind: str) -> str:
    """Return what ``kind`` calls a ``voice`` that was chosen for it: at a vendor we do not know, the same."""
    return voice_for(voice, kind) or voice


def voiced(config: SessionConfig, kind: str) -> SessionConfig:
    """Return ``config`` with its voice as ``kind`` calls it."""
    return msgspec.structs.replace(config, voice=chosen_voice(config.voice, kind))
