"""Removes a key from what a vendor sends: some vendors repeat it in their refusals."""

from typing import TypeVar

from voxd.config.secrets import MASK

# A shorter text is not a key, and may be a part of any word.
LEAST_KEY_CHARS = 8

Text = TypeVar("Text", str, bytes, str | bytes)


def redact(said: Text, key: str) -> Text:
    """Return what a vendor said without ``key`` and without its parts, where it is one text of several."""
    for part in (key, *key.split(":")):
        if len(part) < LEAST_KEY_CHARS:
            continue
        said = (
            said.replace(part, MASK) if isinstance(said, str) else said.replace(part.encode(), MASK.encode())
        )
    return said
