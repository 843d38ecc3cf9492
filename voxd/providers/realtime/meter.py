"""Counts usage, bytes and times of a session over all the providers it has had."""

import logging
from collections.abc import Iterable, Mapping

import msgspec

from voxd.errors import isolate
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers.base import BaseProvider
from voxd.providers.usage import Cost, Usage, add_costs

_log = logging.getLogger(__name__)


class SessionMetrics(msgspec.Struct, frozen=True):
    """Times in milliseconds or seconds, None where nothing was measured yet.

    ``latency_ms`` is how long the last session took to open, ``response_ms`` the time from the end of the
    last question to the first piece of its reply. ``uptime_s`` counts from the last opening.
    """

    latency_ms: float | None
    response_ms: float | None
    uptime_s: float
    sent_bytes: int
    received_bytes: int
    sessions: int
    losses: int
    late_events: int


class SessionMeter:
    """The counters of one session; it reads no clock."""

    def __init__(self) -> None:
        self.sessions = 0
        self.losses = 0
        self.late_events = 0
        self.latency_ms: float | None = None
        self.response_ms: float | None = None
        self._opened_s = 0.0
        self._question_s: float | None = None
        self._sent_bytes = 0
        self._received_bytes = 0
        self._sound_s = 0.0
        self._past = Usage()
        self._past_cost: Cost | None = None
        # Some of it has no known price, so the sum is a lower bound.
        self._past_unpriced = False

    def opened(self, now_s: float, latency_ms: float) -> None:
        """Note that another session is open."""
        self.sessions += 1
        self.latency_ms = latency_ms
        self._opened_s = now_s

    def sent(self, data: bytes, rate_hz: int) -> None:
        """Count audio that was sent."""
        self._sent_bytes += len(data)
        self._sound_s += len(data) / BYTES_PER_SAMPLE / rate_hz

    def received(self, data: bytes, duration_ms: float) -> None:
        """Count audio that was received."""
        self._received_bytes += len(data)
        self._sound_s += duration_ms / 1000

    def question_ended(self, now_s: float) -> None:
        """Note that a question is complete."""
        self._question_s = now_s

    def reply_arrived(self, now_s: float) -> None:
        """Note that a piece of a reply has arrived."""
        # Only the first piece counts.
        if self._question_s is not None:
            self.response_ms = (now_s - self._question_s) * 1000
            self._question_s = None

    async def retire(self, provider: BaseProvider) -> None:
        """Add what ``provider`` used to the totals: it is closed."""
        usage, cost = await _read(provider)
        self._past = self._past + (usage or Usage())
        self._past_cost = add_costs(self._past_cost, cost)
        self._past_unpriced |= cost is None and _is_used(usage)

    async def usage(self, providers: Iterable[BaseProvider]) -> Usage:
        """Return the total, including ``providers``, which are not in the sums yet."""
        used = [usage for usage, _ in [await _read(provider) for provider in providers] if usage]
        return self.total(sum(used, Usage()))

    def total(self, current: Usage) -> Usage:
        """Return the total."""
        # Audio and sessions are counted here: most vendors report neither.
        return msgspec.structs.replace(
            self._past + current, audio_seconds=self._sound_s, total_sessions=self.sessions
        )

    async def cost(self, providers: Iterable[BaseProvider]) -> Cost | None:
        """Return what it costs: None when no price is known, ``prices_of`` "" when only some are."""
        total, unpriced = self._past_cost, self._past_unpriced
        for usage, cost in [await _read(provider) for provider in providers]:
            total = add_costs(total, cost)
            unpriced |= cost is None and _is_used(usage)
        return msgspec.structs.replace(total, prices_of="") if total and unpriced else total

    def metrics(self, now_s: float, *, is_open: bool, late_events: int) -> SessionMetrics:
        """Return the counters at ``now_s``."""
        return SessionMetrics(
            latency_ms=self.latency_ms,
            response_ms=self.response_ms,
            uptime_s=now_s - self._opened_s if is_open else 0.0,
            sent_bytes=self._sent_bytes,
            received_bytes=self._received_bytes,
            sessions=self.sessions,
            losses=self.losses,
            late_events=self.late_events + late_events,
        )


def _is_used(usage: Usage | None) -> bool:
    """Whether anything was used that a vendor bills: opening a session is free of charge."""
    return usage is not None and msgspec.structs.replace(usage, total_sessions=0) != Usage()


async def _read(provider: BaseProvider) -> tuple[Usage | None, Cost | None]:
    usage, cost = None, None
    # Third-party code: counting must not keep a broken provider from being closed.
    with isolate(
        lambda error: _log.warning("a provider could not report its usage: %s", type(error).__name__)
    ):
        usage, cost = await provider.get_usage(), await provider.estimate_cost()
    # A third party may return a plain dict.
    return (msgspec.convert(usage, Usage) if isinstance(usage, Mapping) else usage), cost
