"""The sentences the device says when the preferred provider is unavailable: which one, why, what instead."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.config.provider_schema import LOCAL
from voxd.errors import NO_ANSWER_CODES

_KEY = "{name} does not accept my key"
_ACCOUNT = "my account with {name} is used up"
_SETTINGS = "{name} does not work with my settings"

SETTINGS_CODES = (
    "model_not_found",
    "refused",
    "bad_endpoint",
    "not_a_websocket",
    "config_invalid",
    "not_found",
    "middleware_failed",
)
"""Errors that only a change of the settings repairs: spoken, they need no more than that."""

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "invalid_api_key": _KEY,
        "rate_limited": "{name} accepts no more questions for now",
        "insufficient_quota": _ACCOUNT,
        "billing_hard_limit_reached": _ACCOUNT,
        "queue_full": "too many questions are waiting for {name}",
        "queue_too_long": "too many questions are waiting for {name}",
        "spend_limit": "{name} has reached today's spending limit",
        "timeout": "{name} does not answer",
        "captive_portal": "the network wants a log-in before I can reach {name}",
        "clock_wrong": "my clock is wrong, so I can't reach {name}",
        "tls_untrusted": "I can't verify the certificate of {name}",
        **dict.fromkeys(NO_ANSWER_CODES, "{name} has no answer to that"),
        **dict.fromkeys(SETTINGS_CODES, _SETTINGS),
    }
)
"""By error code, else `UNREACHABLE`."""

UNREACHABLE = "I can't reach {name}"

QUEUED = "I have kept your question, and I will answer it later."


def announce_failover(code: str, name: str, instead: str) -> str:
    """Return the sentence for an error ``code`` of provider ``name``, when ``instead`` answers."""
    # The device speaks of itself in the first person.
    answers = "I answer myself" if instead == LOCAL else f"{spoken(instead)} answers"
    return _sentence(f"{_reason(code, name)}, so {answers}.")


def explain(code: str, name: str) -> str:
    """Return the reason alone, for when it is not known yet what will answer instead."""
    return _sentence(f"{_reason(code, name)}.")


def announce_queued(code: str, name: str, *, is_known: bool = False) -> str:
    """Return the promise of a deferred answer, with the reason unless that was said just before."""
    return QUEUED if is_known else f"{explain(code, name)} {QUEUED}"


def spoken(name: str) -> str:
    """Return a name of the configuration as people say it."""
    return name.replace("_", " ").replace("-", " ")


def _reason(code: str, name: str) -> str:
    return REASONS.get(code, UNREACHABLE).format(name=spoken(name))


# Not `str.capitalize`, which puts the rest of a name in lower case.
def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
