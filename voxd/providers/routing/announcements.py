"""What the device says when not the one answers who should: who fails, why, and what happens instead."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.config.vendors import LOCAL

_KEY = "{who} does not accept my key"
_ACCOUNT = "my account with {who} is used up"
_SETTINGS = "{who} does not work as it is set up"

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "invalid_api_key": _KEY,
        "rate_limited": "{who} takes no more questions for now",
        "insufficient_quota": _ACCOUNT,
        "billing_hard_limit_reached": _ACCOUNT,
        "spend_limit": "today's money for {who} is spent",
        "timeout": "{who} does not answer",
        "captive_portal": "the network wants a log-in before I can reach {who}",
        "clock_wrong": "my clock is wrong, so I can't reach {who}",
        "tls_untrusted": "I don't trust the place where {who} should be",
        "model_not_found": _SETTINGS,
        "refused": _SETTINGS,
        "bad_endpoint": _SETTINGS,
        "not_a_websocket": _SETTINGS,
        "config_invalid": _SETTINGS,
        "not_found": _SETTINGS,
        "middleware_failed": _SETTINGS,
    }
)
"""By error code, else `UNREACHABLE`."""

KEPT = "I have kept your question, and I will answer it later."

UNREACHABLE = "I can't reach {who}"


def notice(code: str, who: str, instead: str) -> str:
    """Return the sentence for an error ``code`` of provider ``who``, for whom ``instead`` answers."""
    answers = "I answer myself" if instead == LOCAL else f"{spoken(instead)} answers"
    return _sentence(f"{_reason(code, who)}, so {answers}.")


def reason(code: str, who: str) -> str:
    """Return the reason alone: what follows it is an answer, or is not known yet."""
    return _sentence(f"{_reason(code, who)}.")


def kept(code: str, who: str, *, told: bool = False) -> str:
    """Return the promise that the question is safe, with the reason unless the user was ``told`` just now."""
    return KEPT if told else f"{reason(code, who)} {KEPT}"


def spoken(name: str) -> str:
    """Return a name of the configuration as people say it."""
    return name.replace("_", " ").replace("-", " ")


def _reason(code: str, who: str) -> str:
    return REASONS.get(code, UNREACHABLE).format(who=spoken(who))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
