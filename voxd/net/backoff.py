"""When to try again, for sessions and for single requests: one rule, that of the vendors' own clients."""

# Imported by `retry` and by realtime sessions. It imports neither tenacity nor websockets, so that a device
# without a cloud loads neither.
from voxd.errors import AuthenticationError, ProviderError, VoxdError

# Waits double from the first to the longest. Each is up to a quarter shorter, so that devices which lost the
# same vendor do not come back together. The numbers are those of the Python clients of OpenAI and Anthropic.
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
JITTER = 0.25

# After a `retry-after` longer than this the retries end: a turn does not last that long.
LONGEST_RETRY_AFTER_S = 120.0

# The longest time without any request, whatever `retry-after` says: it may be a mistake.
LONGEST_HOLD_S = 3600.0

# A refused key stays refused until a person acts. Three calls an hour notice that without looking like an
# attack.
WRONG_KEY_HOLD_S = 1200.0


def backoff_s(retries: int, jitter: float) -> float:
    """Return the wait before retry number ``retries`` (from 0); ``jitter`` is a random number in 0..1."""
    # The exponent is bounded because a session that reconnects for days would overflow a float.
    return min(FIRST_WAIT_S * 2.0 ** min(retries, 16), LONGEST_WAIT_S) * (1.0 - JITTER * jitter)


def hold_s(error: VoxdError) -> float:
    """Return how long no request may be sent at all after ``error``."""
    if isinstance(error, AuthenticationError):
        return WRONG_KEY_HOLD_S
    requested_s = error.retry_after_s if isinstance(error, ProviderError) else None
    return min(requested_s or 0.0, LONGEST_HOLD_S)


def wait_s(error: VoxdError, retries: int, jitter: float) -> float | None:
    """Return how long to wait before trying again after ``error``, None when that cannot help."""
    if not error.retryable or not isinstance(error, ProviderError):
        return None
    # Also for "retry-after: 0": a retry without any pause would only meet the same overload.
    if not error.retry_after_s:
        return backoff_s(retries, jitter)
    return error.retry_after_s if error.retry_after_s <= LONGEST_RETRY_AFTER_S else None
