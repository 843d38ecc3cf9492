"""The keys of one provider: one is used until it is refused or has reached its limit, then the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from voxd.clock import Clock
from voxd.errors import AuthenticationError, ProviderError, RateLimited
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net.backoff import WRONG_KEY_HOLD_S, hold_s

# The code of an account without credit: its key rests like a refused one, as it too needs a person.
NO_CREDIT = "insufficient_quota"

# How long a key at its limit rests when the vendor does not say and other keys can be used meanwhile.
UNSAID_REST_S = 10.0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key: ``number`` counts from 1, 0 stands for a vendor that needs none."""

    number: int
    text: str = field(repr=False)


@dataclass(slots=True)
class _State:
    key: ApiKey
    until_s: float = 0.0
    problem: ProviderError | None = None


class KeyPool:
    """Chooses the key of every attempt."""

    def __init__(self, provider: str, keys: Sequence[str], *, emit: Emit, clock: Clock) -> None:
        self._provider = provider
        self._emit = emit
        self._clock = clock
        numbered = [ApiKey(number, text) for number, text in enumerate(keys, 1)] or [ApiKey(0, "")]
        self._states = [_State(key) for key in numbered]
        self._current = self._states[0]

    @property
    def current(self) -> ApiKey:
        """The key that was used last; before any request, the first."""
        return self._current.key

    def wait_s(self) -> float:
        """Return the time until a key may be used, 0 if one may be used now."""
        return min(map(self._rest_s, self._states))

    def problem(self) -> ProviderError:
        """Return why no key may be used now, with the time until one may."""
        first = min(self._states, key=self._rest_s)
        error = first.problem
        assert error is not None, "a key that rests has a reason to"
        # A new error each time: the one that is kept has a wait of its own, which is over by now in part.
        again = type(error)(
            str(error),
            provider=self._provider,
            code=error.code,
            hint=error.hint,
            retry_after_s=self._rest_s(first),
        )
        again.retryable = error.retryable
        return again

    @property
    def next(self) -> ApiKey:
        """The key that `take` would return. Raises `ProviderError` when none may be used."""
        return self._choose().key

    def take(self) -> ApiKey:
        """Return the key to use. Raises `ProviderError` when none may be, and then no request is sent."""
        before, self._current = self._current, self._choose()
        if before is not self._current:
            # Numbers only: a key never gets into an event.
            numbers: dict[str, Any] = {"from": before.key.number, "to": self._current.key.number}
            reason = before.problem.code if before.problem else ""
            self._emit(E.KEY_CHANGED, provider=self._provider, reason=reason, **numbers)
        return self._current.key

    def failed(self, key: ApiKey, error: ProviderError) -> bool:
        """Let ``key`` rest if ``error`` is about it; return whether it is, and another one is usable."""
        state = next(state for state in self._states if state.key == key)
        is_about_key = isinstance(error, AuthenticationError | RateLimited) or error.code == NO_CREDIT
        if not is_about_key:
            # A `retry-after` of an overloaded vendor (RFC 9110, section 10.2.3) holds whatever the key.
            for each in self._states:
                self._rest(each, error, hold_s(error))
            return False
        self._rest(state, error, rest_s(error, is_only=len(self._states) == 1))
        return self.wait_s() <= 0 and self._rest_s(state) > 0

    def _choose(self) -> _State:
        # From the current one on: keys are used up in order, not in turn.
        at = self._states.index(self._current)
        for state in self._states[at:] + self._states[:at]:
            if self._rest_s(state) <= 0:
                return state
        raise self.problem()

    def _rest(self, state: _State, error: ProviderError, seconds: float) -> None:
        until_s = self._clock.monotonic() + seconds
        if seconds > 0 and until_s > state.until_s:
            state.until_s, state.problem = until_s, error

    def _rest_s(self, state: _State) -> float:
        return max(state.until_s - self._clock.monotonic(), 0.0)


def rest_s(error: ProviderError, *, is_only: bool) -> float:
    """Return how long a key rests after ``error``, which is about it."""
    if error.code == NO_CREDIT:
        return WRONG_KEY_HOLD_S
    requested_s = hold_s(error)
    # A single key does not rest: the retries have pauses of their own.
    return UNSAID_REST_S if not requested_s and not is_only else requested_s
