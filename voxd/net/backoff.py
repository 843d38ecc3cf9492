"""When to try again, for sessions and for single requests: one rule, that of the vendors' own clients.

It stands apart from who follows it: a device without a cloud loads neither tenacity nor websockets.
"""

from voxd.errors import AuthenticationError, ProviderError, VoxdError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
# Waits double from the first to the longest, and are up to a quarter shorter: the rule of the vendor's own
# Python clients.
JITTER = 0.25

# A vendor that asks for a longer wait gets no further attempt; from the same rule.
LONGEST_RETRY_AFTER_S = 120.0

# However long a vendor asks us to stay away, after this we ask again.
LONGEST_HOLD_S = 3600.0

# A key that was refused is not tried again for this long: three calls an hour.
WRONG_KEY_HOLD_S = 1200.0


def backoff_s(retries: int, jitter: float) -> float:
    """Return the wait before retry number ``retries`` (from 0); ``jitter`` is a random number in 0..1."""
    return min(FIRST_WAIT_S * 2.0 ** min(retries, 16), LONGEST_WAIT_S) * (1.0 - JITTER * jitter)


def hold_s(error: VoxdError) -> float:
    """Return how long no request may be sent at all after ``error``."""
    if isinstance(error, AuthenticationError):
        return WRONG_KEY_HOLD_S
    asked = error.retry_after_s if isinstance(error, ProviderError) else None
    return min(asked or 0.0, LONGEST_HOLD_S)


def wait_s(error: VoxdError, retries: int, jitter: float) -> float | None:
    """Return how long to wait before trying again after ``error``, None when that cannot help.

    A vendor who asks for no wait at all gets the usual one.
    """
    if not error.retryable or not isinstance(error, ProviderError):
        return None
    if not error.retry_after_s:
        return backoff_s(retries, jitter)
    return error.retry_after_s if error.retry_after_s <= LONGEST_RETRY_AFTER_S else None
