"""When a provider that failed is asked again: a rule over values."""

from dataclasses import dataclass

from voxd.errors import VoxdError
from voxd.providers import opening

FIRST_REST_S = 5.0
LONGEST_REST_S = 300.0
"""A provider that failed is left alone for so long, twice as long after every further failure."""

HOPELESS_REST_S = 300.0
"""How long a provider rests that needs a person first."""

HOPELESS = opening.HOPELESS | {"not_found", "config_invalid"}
"""A refused key, an empty account, a kind that is not installed, settings that make no sense."""

INNOCENT = frozenset({"audio_too_short", "input_audio_buffer_commit_empty"})
"""Failures that say nothing about the provider: nobody said anything."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A provider that does not answer: why, for how many turns in a row, and until when it is not asked."""

    error: VoxdError
    failures: int
    until_s: float


def after(error: VoxdError, before: Outage | None, now_s: float) -> Outage:
    """Return the outage as it is after one more failure at ``now_s``."""
    failures = before.failures + 1 if before else 1
    rest_s = min(FIRST_REST_S * 2.0 ** (failures - 1), LONGEST_REST_S)
    if not error.retryable or error.code in HOPELESS:
        rest_s = HOPELESS_REST_S
    asked_s = getattr(error, "retry_after_s", None)
    if asked_s is not None:
        rest_s = max(rest_s, asked_s)
    return Outage(error, failures, now_s + rest_s)
