"""Hides a key in what a vendor says: some of them repeat it in their refusals."""

from typing import TypeVar

from voxd.config.secrets import MASK

LEAST_KEY_CHARS = 8
"""A shorter key is nobody's, and might be a part of any word."""

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
