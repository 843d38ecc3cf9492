"""Counts the tokens of one `usageMetadata` of Gemini Live in our terms."""

from collections.abc import Mapping
from typing import Any

from voxd.providers.usage import Usage


def usage_of(counted: Mapping[str, Any]) -> Usage:
    """Return one report of tokens. Thoughts, and every modality but sound, count as text.

    Fields: https://ai.google.dev/api/live, UsageMetadata. What is no number counts as nothing.
    """
    prompt = _count(counted, "promptTokenCount") + _count(counted, "toolUsePromptTokenCount")
    reply = _count(counted, "responseTokenCount") + _count(counted, "thoughtsTokenCount")
    cached = _count(counted, "cachedContentTokenCount")
    heard, spoken = _sound(counted, "promptTokensDetails"), _sound(counted, "responseTokensDetails")
    kept = _sound(counted, "cacheTokensDetails")
    return Usage(
        input_text_tokens=max(0, prompt - heard),
        input_audio_tokens=heard,
        cached_text_tokens=max(0, cached - kept),
        cached_audio_tokens=kept,
        output_text_tokens=max(0, reply - spoken),
        output_audio_tokens=spoken,
    )


def _sound(counted: Mapping[str, Any], name: str) -> int:
    details = counted.get(name)
    rows = [row for row in details if isinstance(row, dict)] if isinstance(details, list) else []
    return sum(_count(row, "tokenCount") for row in rows if row.get("modality") == "AUDIO")


def _count(counted: Mapping[str, Any], name: str) -> int:
    value = counted.get(name)
    return value if isinstance(value, int) and value > 0 else 0
