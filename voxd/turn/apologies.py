"""What the device says when it cannot answer: the reason in plain words, by error code."""

from collections.abc import Mapping
from types import MappingProxyType

APOLOGIES: Mapping[str, str] = MappingProxyType(
    {
        "device_unavailable": "I can't hear you: my microphone is not working.",
        "engine_failed": "Sorry, something went wrong inside me. Please try again.",
        "model_unavailable": "Sorry, a part of me is missing. Please check my status.",
        "provider_unavailable": "Sorry, I can't reach my assistant.",
        "timeout": "Sorry, that took too long.",
        "store_failed": "Sorry, I can't remember that: my memory can't be written.",
    }
)

UNKNOWN_REASON = "Sorry, that did not work."


def apology(code: str) -> str:
    """Return the sentence for an error ``code``."""
    return APOLOGIES.get(code, UNKNOWN_REASON)
