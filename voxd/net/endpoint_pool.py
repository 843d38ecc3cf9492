"""The endpoints of one provider: used in turn while healthy, skipped for a while after a failure."""

from collections.abc import Sequence
from dataclasses import dataclass

from voxd.clock import Clock
from voxd.errors import ConnectionFailed, ProviderError, StreamError

# How long a failed endpoint is skipped; doubled by each further failure, up to the longest.
REST_S = 30.0

LONGEST_REST_S = 300.0

# After its rest one request probes it. Others use another endpoint until that one is decided; this long if it
# never is, because its caller was cancelled.
PROBE_S = 10.0


@dataclass(slots=True)
class _State:
    endpoint: str
    until_s: float = 0.0
    failures: int = 0


class EndpointPool:
    """Chooses the endpoint of every attempt; "" if none is configured."""

    def __init__(self, endpoints: Sequence[str], *, clock: Clock) -> None:
        self._clock = clock
        self._states = [_State(each) for each in endpoints or ("",)]
        self._next = 0

    @property
    def next(self) -> str:
        """The endpoint that `take` would return."""
        return self._choose(self._clock.monotonic()).endpoint

    def take(self) -> str:
        """Return the endpoint to use: the next healthy one, or the one whose rest ends first."""
        now_s = self._clock.monotonic()
        chosen = self._choose(now_s)
        if chosen.failures and chosen.until_s <= now_s:
            chosen.until_s = now_s + PROBE_S
        self._next = (self._states.index(chosen) + 1) % len(self._states)
        return chosen.endpoint

    def worked(self, endpoint: str) -> None:
        """The endpoint answered."""
        state = self._state(endpoint)
        state.failures, state.until_s = 0, 0.0

    def failed(self, endpoint: str, error: ProviderError) -> bool:
        """Let ``endpoint`` rest if ``error`` is its fault; return whether another one is healthy."""
        # A refusal is an answer: the endpoint is healthy, and another one would refuse the same.
        if not isinstance(error, ConnectionFailed | StreamError):
            return False
        state = self._state(endpoint)
        now_s = self._clock.monotonic()
        state.until_s = now_s + min(REST_S * 2.0 ** min(state.failures, 8), LONGEST_REST_S)
        state.failures += 1
        return any(each.until_s <= now_s for each in self._states)

    def _choose(self, now_s: float) -> _State:
        order = self._states[self._next :] + self._states[: self._next]
        healthy = [state for state in order if state.until_s <= now_s]
        # All rest: a request that fails soon is better than none, and the one that failed first may be back.
        return healthy[0] if healthy else min(order, key=lambda state: state.until_s)

    def _state(self, endpoint: str) -> _State:
        return next(state for state in self._states if state.endpoint == endpoint)
