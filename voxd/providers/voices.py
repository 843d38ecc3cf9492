"""Finds another vendor's voice that is most like the one in use, so that a switch does not surprise."""

from collections.abc import Mapping
from types import MappingProxyType

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

_REALTIME = frozenset(
    {"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"}
)
"""The voices of the Realtime API (reference/providers.md, section 1); fable, onyx, nova only speak files."""

_NEAREST = MappingProxyType({"fable": "ballad", "onyx": "cedar", "nova": "marin"})


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
    if column == 0 and found not in _REALTIME:
        return _NEAREST[found]
    return found
