"""Reads fields of decoded JSON by hand: a value of another type than its protocol says counts as absent.

For protocols whose objects have no fixed shape; `lenient` reads those that have one into types.
"""

import math
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# Deeper content has no words of an answer.
_MAX_DEPTH = 6

# Names for the field of a content part that holds its words, by Anthropic and OpenAI, Cohere, and Assistants.
_WORDS = ("text", "content", "value", "refusal")


def rows(value: Any) -> list[Json]:
    """Return the objects of a list; one that came without its list counts as one."""
    each = value if isinstance(value, list) else [value]
    return [found for found in each if isinstance(found, dict)]


def mapping(value: Any) -> Json:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def label(value: Any) -> str:
    """Return a name or an id, "" when it is none; ids may be numbers."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def count(*values: Any) -> int:
    """Return the first of ``values`` that is a number of tokens, 0 when there is none."""
    for value in values:
        try:
            number = float(value) if isinstance(value, int | float | str) else math.nan
        except (ValueError, OverflowError):
            continue
        if not isinstance(value, bool) and math.isfinite(number) and number >= 0:
            return round(number)
    return 0


def number(value: Any) -> int | None:
    """Return an index, None when there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def words(content: Any) -> str:
    """Return the words of a message: text, or those of its parts; thoughts are left out."""
    return "".join(_words(content, _MAX_DEPTH))


def _words(content: Any, depth: int) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list) and depth:
        for part in content:
            yield from _words(part, depth - 1)
    elif isinstance(content, dict) and depth and not _is_thought(content):
        found = next((content[name] for name in _WORDS if content.get(name)), None)
        yield from _words(found, depth - 1)
    # A model that is asked for a number may send one.
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield str(content)


def _is_thought(part: Json) -> bool:
    # Mistral's "thinking", Anthropic's "redacted_thinking", "reasoning" of others; Google marks a part.
    kind = label(part.get("type")).lower()
    return "think" in kind or "reason" in kind or "thought" in kind or part.get("thought") is True
