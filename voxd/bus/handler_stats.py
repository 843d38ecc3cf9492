"""Counts the faults of event handlers, logs each kind once and reports them at a limited rate."""

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from voxd.clock import Clock
from voxd.events import Event, EventType

_log = logging.getLogger(__name__)

# After a report of one handler, how long its next faults are only counted.
QUIET_S = 10.0

# Most reports of all handlers together.
REPORTS_PER_MINUTE = 20


class HandlerFault(StrEnum):
    """How a handler can fail: the ``reason`` of ``handler.failed``."""

    RAISED = "raised"
    TIMEOUT = "timeout"
    SLOW = "slow"
    LAGGING = "lagging"
    LOOP = "loop"


@dataclass(slots=True)
class HandlerRecord:
    """The name and counters of one handler."""

    id: str
    name: str
    failures: int = 0
    dropped: int = 0
    logged: set[HandlerFault] = field(default_factory=set)
    reported_s: float = -math.inf


class HandlerStats:
    """Counters of all handlers of one bus; emits ``handler.failed`` for their faults."""

    def __init__(self, clock: Clock, emit: Callable[..., None]) -> None:
        self._clock = clock
        self._post = emit
        self._reports: deque[float] = deque(maxlen=REPORTS_PER_MINUTE)
        self.events_handled = 0
        self.events_dropped = 0
        self.handler_errors = 0

    def handled(self) -> None:
        """Count a call that succeeded."""
        self.events_handled += 1

    def failed(self, record: HandlerRecord, event: Event, error: BaseException) -> None:
        """Count a call that raised."""
        self.report_fault(record, event, HandlerFault.RAISED, error)

    def dropped(
        self, record: HandlerRecord, event: Event, fault: HandlerFault = HandlerFault.LAGGING
    ) -> None:
        """Count an event that does not reach a handler."""
        self.events_dropped += 1
        record.dropped += 1
        self._report(record, event, fault, None)

    def report_fault(
        self, record: HandlerRecord, event: Event, fault: HandlerFault, error: BaseException | None = None
    ) -> None:
        """Count and report a fault of a handler with ``event``."""
        if fault in (HandlerFault.RAISED, HandlerFault.TIMEOUT):
            self.handler_errors += 1
            record.failures += 1
        self._report(record, event, fault, error)

    def _report(
        self, record: HandlerRecord, event: Event, fault: HandlerFault, error: BaseException | None
    ) -> None:
        if fault not in record.logged:
            record.logged.add(fault)
            text = "handler %s of event %s: %s; further ones are only counted"
            _log.error(text, record.name, event.type, fault, exc_info=error)
        now_s = self._clock.monotonic()
        full = len(self._reports) == REPORTS_PER_MINUTE and now_s - self._reports[0] < 60
        # A fault of a handler of this very event is only counted: a report would cause the next.
        if event.type == EventType.HANDLER_FAILED or now_s - record.reported_s < QUIET_S or full:
            return
        record.reported_s = now_s
        self._reports.append(now_s)
        self._post(
            EventType.HANDLER_FAILED,
            handler=record.name,
            handler_id=record.id,
            event=str(event.type),
            reason=str(fault),
            error=type(error).__name__ if error else "",
            failures=record.failures,
            dropped=record.dropped,
        )


def handler_name(handler: Callable[..., Any]) -> str:
    """Return the name of a handler for logs and events: module and name, never its arguments."""
    named = getattr(handler, "func", handler)
    if not hasattr(named, "__qualname__"):
        named = type(named)
    return f"{named.__module__}.{named.__qualname__}"
