"""What a failure says of a provider, and when he may be asked again: rules over values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    DeadlineExceeded,
    NotConnected,
    ProviderError,
    RateLimited,
    VoxdError,
)


class Cause(StrEnum):
    """Why a provider does not answer, as far as it matters for when to ask him again."""

    NETWORK = "network"
    SILENCE = "silence"
    SERVER = "server"
    KEY = "key"
    LIMIT = "limit"
    MONEY = "money"
    SETTINGS = "settings"


INNOCENT = frozenset(
    {
        "audio_too_short",
        "input_audio_buffer_commit_empty",
        "nothing_said",
        "context_too_long",
        "message_stopped",
        "middleware_failed",
        "spend_limit",
    }
)
"""Failures that say nothing about the provider: nobody said anything, or it was us who stopped."""

_BY_CODE: Mapping[str, Cause] = MappingProxyType(
    {
        "invalid_api_key": Cause.KEY,
        "rate_limited": Cause.LIMIT,
        "insufficient_quota": Cause.MONEY,
        "billing_hard_limit_reached": Cause.MONEY,
        "server_error": Cause.SERVER,
        "overloaded": Cause.SERVER,
        # As likely the network as the server; who comes back must be noticed within 5 s (R9).
        "truncated": Cause.SILENCE,
        "config_invalid": Cause.SETTINGS,
        "not_found": Cause.SETTINGS,
        "model_not_found": Cause.SETTINGS,
        "beta_api_shape_disabled": Cause.SETTINGS,
        "refused": Cause.SETTINGS,
    }
)

NETWORK_S = 4.0
"""How often the network is tried: a provider answers again within 5 s of its return (reliability.md, R9)."""

PATIENT_S = 600.0
"""After so long an outage of the network the waits double each minute."""

LONGEST_NETWORK_S = 60.0
"""The longest of those waits (R9)."""

SERVER_S = 30.0
"""How often a server that has faults is tried (N8)."""

PERSON_S = 1200.0
"""How often one is tried that needs a person first, such as after a wrong key: three times an hour (N9)."""

UNTOLD_LIMIT_S = 30.0
"""The wait after a 429 that names none."""

LONGEST_LIMIT_S = 3600.0
"""However long a vendor asks us to stay away, after this we ask again (N7)."""

LONGEST_RELAPSE_S = 300.0
"""The longest wait for one that can be reached and fails whenever he is asked a question."""

_SPREAD = 0.25
_SPREAD_LONG_S = 30.0


@dataclass(frozen=True, slots=True)
class Illness:
    """A provider that does not answer: why, since when, and when he was last asked (CLOCK_MONOTONIC).

    ``relapses`` counts how often he seemed well before, and yet did not answer the next question.
    """

    error: VoxdError
    cause: Cause
    since_s: float
    asked_s: float
    relapses: int = 0


def cause_of(error: VoxdError) -> Cause | None:
    """Return what ``error`` says of a provider, None when it says nothing."""
    if error.code in INNOCENT:
        return None
    if found := _BY_CODE.get(error.code):
        return found
    if isinstance(error, AuthenticationError):
        return Cause.KEY
    if isinstance(error, RateLimited):
        return Cause.LIMIT
    if isinstance(error, NotConnected):
        return Cause.NETWORK
    if not error.retryable:
        return Cause.SETTINGS
    if isinstance(error, ConnectionFailed):
        return Cause.NETWORK
    if isinstance(error, DeadlineExceeded) or error.code == DeadlineExceeded.code:
        return Cause.SILENCE
    return Cause.SERVER


def after(error: VoxdError, cause: Cause, before: Illness | None, now_s: float, relapses: int = 0) -> Illness:
    """Return the illness as it is after one more question in vain at ``now_s``."""
    if before is None:
        return Illness(error, cause, now_s, now_s, relapses)
    return replace(before, error=error, cause=cause, asked_s=now_s, relapses=relapses)


def may_be_asked(cause: Cause) -> bool:
    """Whether a question may be put to him all the same when nobody else is left."""
    return cause in (Cause.NETWORK, Cause.SILENCE, Cause.SERVER)


def rest_s(illness: Illness, *, jitter: float, to_midnight_s: float) -> float:
    """Return how long after ``asked_s`` he is left alone; ``jitter`` is a random number in 0..1.

    Waits for the network are up to a quarter shorter, all others a little longer, never shorter, for
    somebody has asked for them.
    """
    longer = 1.0 + _SPREAD * jitter
    match illness.cause:
        case Cause.NETWORK:
            return _network_s(illness.asked_s - illness.since_s) * (1.0 - _SPREAD * jitter)
        case Cause.SILENCE:
            return min(NETWORK_S * 2.0 ** min(illness.relapses, 16), LONGEST_RELAPSE_S)
        case Cause.SERVER:
            return min(SERVER_S * 2.0 ** min(illness.relapses, 16), LONGEST_RELAPSE_S) * longer
        case Cause.LIMIT:
            error = illness.error
            asked_s = error.retry_after_s if isinstance(error, ProviderError) else None
            return min(UNTOLD_LIMIT_S if asked_s is None else asked_s, LONGEST_LIMIT_S) + longer
        case Cause.MONEY:
            return to_midnight_s + _SPREAD_LONG_S * jitter
        case Cause.KEY | Cause.SETTINGS:
            return PERSON_S + _SPREAD_LONG_S * jitter


def _network_s(age_s: float) -> float:
    minutes = int(min(max(age_s - PATIENT_S, 0.0) / 60.0, 16.0))
    return min(NETWORK_S * 2.0**minutes, LONGEST_NETWORK_S)
