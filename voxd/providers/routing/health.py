"""A circuit breaker per provider: opens at a failure, closes at a success or a successful probe."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from voxd.clock import Clock, s_to_midnight
from voxd.errors import (
    NO_ANSWER_CODES,
    AuthenticationError,
    ConnectionFailed,
    DeadlineExceeded,
    NotConnected,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.realtime.connect import translate_errors
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

PROBE_S = 3.0
"""Deadline of a probe. Shorter than `NETWORK_S`, so that a probe that hangs does not delay the next one."""

MemberLists = tuple[tuple[str, ...], ...]
"""The members of a pipeline: its STT, LLM and TTS providers, each list in order of preference."""

Probe = Callable[[], Awaitable[None]]
"""Makes a request that costs nothing. Raises `VoxdError` when the provider is unavailable."""

# --- the rules: values in, values out -------------------------------------------------------------


class FailureCause(StrEnum):
    """Why a provider failed, as far as it matters for when to try it again."""

    NETWORK = "network"
    SILENCE = "silence"
    SERVER = "server"
    KEY = "key"
    LIMIT = "limit"
    MONEY = "money"
    SETTINGS = "settings"


NEUTRAL_CODES = frozenset(
    {
        "audio_too_short",
        "input_audio_buffer_commit_empty",
        "nothing_said",
        "context_too_long",
        "message_stopped",
        "middleware_failed",
        "spend_limit",
        # Our own queue, not the vendor, is full.
        "queue_full",
        "queue_too_long",
        *NO_ANSWER_CODES,
    }
)
"""Errors that say nothing about the provider's service: it answered, with or without words, or we stopped."""

_CAUSE_BY_CODE: Mapping[str, FailureCause] = MappingProxyType(
    {
        "invalid_api_key": FailureCause.KEY,
        "rate_limited": FailureCause.LIMIT,
        "insufficient_quota": FailureCause.MONEY,
        "billing_hard_limit_reached": FailureCause.MONEY,
        "server_error": FailureCause.SERVER,
        "overloaded": FailureCause.SERVER,
        # A reset in the middle of an answer is as likely the network's fault as the server's. With the
        # longer cooldown of SERVER the provider stayed out for 30 s after the network was back.
        "truncated": FailureCause.SILENCE,
        "config_invalid": FailureCause.SETTINGS,
        "not_found": FailureCause.SETTINGS,
        "model_not_found": FailureCause.SETTINGS,
        "beta_api_shape_disabled": FailureCause.SETTINGS,
        "refused": FailureCause.SETTINGS,
    }
)

NETWORK_S = 4.0
"""Cooldown after a network failure. With a probe's round trip the provider answers again within 5 s."""

LONG_OUTAGE_S = 600.0
"""After this long a network outage, the cooldown doubles each minute."""

MAX_NETWORK_S = 60.0
"""The longest cooldown after a network failure."""

SERVER_S = 30.0
"""Cooldown after a server error: at most one half-open probe every 30 s."""

OPERATOR_S = 1200.0
"""Cooldown after a failure that needs a person, such as a wrong key: three attempts an hour."""

DEFAULT_LIMIT_S = 30.0
"""Cooldown after a 429 without Retry-After."""

MAX_LIMIT_S = 3600.0
"""Retry-After is obeyed up to this; some servers send absurd values."""

MAX_REPEATED_S = 300.0
"""The longest cooldown of a provider that passes its probes and fails at every question."""

# Random, so that many devices do not return to a vendor at the same moment.
_SPREAD = 0.25
_SPREAD_LONG_S = 30.0

# Keeps ``2.0 ** n`` small; the caps above are reached long before.
_MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a provider is unavailable, since when, and when it last failed (CLOCK_MONOTONIC).

    ``repeats`` counts how often a probe closed the circuit and the next question failed all the same.
    """

    error: VoxdError
    cause: FailureCause
    since_s: float
    failed_s: float
    repeats: int = 0


def failure_cause(error: VoxdError) -> FailureCause | None:
    """Return what ``error`` says about a provider, None when it says nothing."""
    if error.code in NEUTRAL_CODES:
        return None
    # The code says more than the class: several causes share one.
    if found := _CAUSE_BY_CODE.get(error.code):
        return found
    if isinstance(error, AuthenticationError):
        return FailureCause.KEY
    if isinstance(error, RateLimited):
        return FailureCause.LIMIT
    if isinstance(error, NotConnected):
        return FailureCause.NETWORK
    if not error.retryable:
        return FailureCause.SETTINGS
    if isinstance(error, ConnectionFailed):
        return FailureCause.NETWORK
    if isinstance(error, DeadlineExceeded) or error.code == DeadlineExceeded.code:
        return FailureCause.SILENCE
    return FailureCause.SERVER


def update_outage(
    before: Outage | None, error: VoxdError, cause: FailureCause, now_s: float, repeats: int = 0
) -> Outage:
    """Return the outage after one more failure at ``now_s``; ``before`` is None at the first."""
    if before is None:
        return Outage(error, cause, now_s, now_s, repeats)
    return replace(before, error=error, cause=cause, failed_s=now_s, repeats=repeats)


def is_last_resort(cause: FailureCause) -> bool:
    """Whether a question may still be tried when no healthy provider is left.

    Not where another attempt cannot succeed (key, settings) or was forbidden (limit, money).
    """
    return cause in (FailureCause.NETWORK, FailureCause.SILENCE, FailureCause.SERVER)


def cooldown_s(outage: Outage, *, jitter: float, to_midnight_s: float) -> float:
    """Return how long after ``failed_s`` the circuit stays open; ``jitter`` is a random number in 0..1.

    A network cooldown is up to a quarter shorter. All others are a little longer and never shorter: the
    server asked for the wait.
    """
    longer = 1.0 + _SPREAD * jitter
    doubled = 2.0 ** min(outage.repeats, _MAX_DOUBLINGS)
    match outage.cause:
        case FailureCause.NETWORK:
            minutes = int(max(outage.failed_s - outage.since_s - LONG_OUTAGE_S, 0.0) / 60.0)
            base_s = min(NETWORK_S * 2.0 ** min(minutes, _MAX_DOUBLINGS), MAX_NETWORK_S)
            return base_s * (1.0 - _SPREAD * jitter)
        case FailureCause.SILENCE:
            return min(NETWORK_S * doubled, MAX_REPEATED_S)
        case FailureCause.SERVER:
            return min(SERVER_S * doubled, MAX_REPEATED_S) * longer
        case FailureCause.LIMIT:
            error = outage.error
            wait_s = error.retry_after_s if isinstance(error, ProviderError) else None
            return min(DEFAULT_LIMIT_S if wait_s is None else wait_s, MAX_LIMIT_S) + longer
        # Most quotas are per day or per month.
        case FailureCause.MONEY:
            return to_midnight_s + _SPREAD_LONG_S * jitter
        # Only a person can repair it; a reload of the configuration resets the circuit anyway.
        case FailureCause.KEY | FailureCause.SETTINGS:
            return OPERATOR_S + _SPREAD_LONG_S * jitter


# --- the owner of the state -----------------------------------------------------------------------


@dataclass(slots=True)
class _Circuit:
    """An open circuit. ``is_reset``: its settings changed or the user chose it, so it may be tried once."""

    outage: Outage
    cooldown_s: float
    is_reset: bool = False
    # In sound (True) and in text (False): a typed question does not use up what a voice has to say.
    announced: set[bool] = field(default_factory=set)

    @property
    def due_s(self) -> float:
        """When the cooldown is over (CLOCK_MONOTONIC)."""
        return self.outage.failed_s + self.cooldown_s


class CircuitBreaker:
    """The circuits of all providers of a process, by the name of a provider or pipeline.

    Only providers with an open circuit are probed, in the background: no question waits for a probe. A
    pipeline is healthy while each of its lists has a healthy member. ``jitter`` returns random numbers in
    0..1. All methods belong to the event loop.
    """

    def __init__(self, *, emit: Emit, clock: Clock, jitter: Callable[[], float] = random.random) -> None:
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._probes: dict[str, Probe] = {}
        self._members: dict[str, MemberLists] = {}
        self._open: dict[str, _Circuit] = {}
        # Outlives the circuit: it counts circuits that closed and opened again.
        self._repeats: dict[str, int] = {}
        self._probing: dict[str, asyncio.Task[None]] = {}
        self._tasks = TaskScope("health probes")

    def set_probe(self, name: str, probe: Probe) -> None:
        """Use ``probe`` to find out when ``name`` has recovered; without one the next question does.

        ``name`` is a single provider from now on, until `set_members` names its members.
        """
        self._probes[name] = probe
        self._members.pop(name, None)

    def set_members(self, name: str, lists: MemberLists) -> None:
        """Make ``name`` a pipeline that needs one of each of ``lists``."""
        self._members[name] = lists

    def remove(self, name: str) -> None:
        """Forget ``name``: it is not in the configuration any more."""
        self._probes.pop(name, None)
        self._members.pop(name, None)
        self._close_circuit(name)
        self._repeats.pop(name, None)

    def is_healthy(self, name: str) -> bool:
        """Whether ``name`` may be used now. A name without a failure is healthy."""
        circuit = self._open.get(name)
        if circuit is None or circuit.is_reset:
            return all(any(map(self.is_healthy, members)) for members in self._members.get(name, ()))
        # With a probe the probe decides; without one the next question has to find out.
        return name not in self._probes and self._clock.monotonic() >= circuit.due_s

    def can_try(self, name: str) -> bool:
        """Whether ``name`` may be tried when no healthy provider is left."""
        circuit = self._open.get(name)
        if circuit is not None and not (self.is_healthy(name) or is_last_resort(circuit.outage.cause)):
            return False
        return all(any(map(self.can_try, members)) for members in self._members.get(name, ()))

    def outage(self, name: str) -> Outage | None:
        """Return why ``name`` is unavailable, None when it is not."""
        circuit = self._open.get(name)
        if circuit is not None:
            return circuit.outage
        member = self._failing_list(name)
        return self.outage(member) if member else None

    def failing_member(self, name: str) -> str:
        """Return the provider that makes ``name`` unavailable: a member of a pipeline, or ``name`` itself."""
        return name if name in self._open else self._failing_list(name) or name

    def record_failure(self, name: str, error: VoxdError) -> None:
        """Open the circuit of ``name`` after ``error``.

        A pipeline has a circuit of its own only for failures that are not those of its members.
        """
        cause = failure_cause(error)
        if cause is None or self._failing_list(name):
            return
        # A closed circuit that fails again: the probe alone proves nothing, so the cooldown grows.
        if name not in self._open and cause in (FailureCause.SILENCE, FailureCause.SERVER):
            self._repeats[name] = self._repeats.get(name, -1) + 1
        self._open_circuit(name, error, cause, self._clock.monotonic())

    def record_success(self, name: str) -> None:
        """Close the circuit of ``name``: it has answered a question."""
        self._repeats.pop(name, None)
        self._close_circuit(name)

    def reset(self, name: str) -> None:
        """Let ``name`` be tried at once, and probe it: its settings changed, or the user asked for it."""
        self._repeats.pop(name, None)
        if circuit := self._open.get(name):
            circuit.is_reset, circuit.cooldown_s = True, 0.0
            self._schedule_probe(name)

    def should_announce(self, name: str, *, aloud: bool) -> bool:
        """Whether to report now that ``name`` is unavailable: once per outage, in sound and in text."""
        # A pipeline is announced by the member that failed.
        circuit = self._open.get(self.failing_member(name))
        if circuit is None or aloud in circuit.announced:
            return False
        circuit.announced.add(aloud)
        return True

    async def close(self) -> None:
        """End the probes; idempotent."""
        await self._tasks.close()

    def _failing_list(self, name: str) -> str:
        """Return the first member of the first list of ``name`` without a healthy member, else ""."""
        unhealthy = (each for each in self._members.get(name, ()) if not any(map(self.is_healthy, each)))
        return next((members[0] for members in unhealthy if members), "")

    def _open_circuit(self, name: str, error: VoxdError, cause: FailureCause, failed_s: float) -> None:
        circuit = self._open.get(name)
        before = circuit.outage if circuit is not None else None
        outage = update_outage(before, error, cause, failed_s, self._repeats.get(name, 0))
        wait_s = cooldown_s(outage, jitter=self._jitter(), to_midnight_s=s_to_midnight(self._clock.wall()))
        if circuit is None:
            self._open[name] = _Circuit(outage, wait_s)
            self._emit(E.PROVIDER_FAILED, provider=name, code=error.code, reason=str(error))
        else:
            circuit.outage, circuit.cooldown_s, circuit.is_reset = outage, wait_s, False
            _log.debug("%s is still unavailable: %s", name, error)
        self._schedule_probe(name)

    def _close_circuit(self, name: str) -> None:
        if self._open.pop(name, None) is None:
            return
        task = self._probing.pop(name, None)
        # A successful probe closes the circuit from its own task, which ends by itself.
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self._emit(E.PROVIDER_RESTORED, provider=name)

    def _schedule_probe(self, name: str) -> None:
        """Probe ``name`` when its cooldown is over; a wait that is under way starts again."""
        if name not in self._probes:
            return
        task = self._probing.get(name)
        if task is not None:
            if task is asyncio.current_task():
                return
            task.cancel()
        self._probing[name] = self._tasks.start(self._probe_until_closed(name), name=f"probe {name}")

    async def _probe_until_closed(self, name: str) -> None:
        while (circuit := self._open.get(name)) is not None:
            left_s = circuit.due_s - self._clock.monotonic()
            if left_s > 0:
                await self._clock.sleep(left_s)
                continue
            await self._probe(name, circuit)

    async def _probe(self, name: str, circuit: _Circuit) -> None:
        # The next cooldown counts from here: a probe that hangs must not delay the next one.
        begun_s = self._clock.monotonic()
        try:
            with translate_errors(name):
                async with asyncio.timeout(PROBE_S):
                    await self._probes[name]()
        except VoxdError as error:
            # A question may have closed the circuit, and opened another, while the probe was under way.
            if self._open.get(name) is circuit:
                self._open_circuit(name, error, failure_cause(error) or FailureCause.SERVER, begun_s)
        else:
            if self._open.get(name) is circuit:
                self._close_circuit(name)
