"""Keep account of how handlers of events behave: each fault counted, logged once, told seldom."""

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

QUIET_S = 10.0
"""After a report of one handler, how long its next faults are only counted."""

REPORTS_PER_MINUTE = 20
"""Most reports of all handlers together."""


class Fault(StrEnum):
    """How a handler can misbehave: the ``reason`` of ``handler.failed``."""

    RAISED = "raised"
    TIMEOUT = "timeout"
    SLOW = "slow"
    LAGGING = "lagging"
    LOOP = "loop"


@dataclass(slots=True)
class Record:
    """What is known of one handler."""

    id: str
    name: str
    failures: int = 0
    dropped: int = 0
    logged: set[Fault] = field(default_factory=set)
    reported_s: float = -math.inf


class Conduct:
    """Counts what all handlers of one bus do, and reports what they should not.

    A fault with a ``handler.failed`` event itself is never reported as another: that would not end.
    """

    def __init__(self, clock: Clock, tell: Callable[..., None]) -> None:
        self._clock = clock
        self._tell = tell
        self._reports: deque[float] = deque(maxlen=REPORTS_PER_MINUTE)
        self.events_handled = 0
        self.events_dropped = 0
        self.handler_errors = 0

    def handled(self) -> None:
        """A call has ended well."""
        self.events_handled += 1

    def failed(self, record: Record, event: Event, error: BaseException) -> None:
        """A call has raised."""
        self.reproach(record, event, Fault.RAISED, error)

    def dropped(self, record: Record, event: Event, fault: Fault = Fault.LAGGING) -> None:
        """``event`` will not reach a handler."""
        self.events_dropped += 1
        record.dropped += 1
        self._report(record, event, fault, None)

    def reproach(
        self, record: Record, event: Event, fault: Fault, error: BaseException | None = None
    ) -> None:
        """The handler has done with ``event`` what it should not."""
        if fault in (Fault.RAISED, Fault.TIMEOUT):
            self.handler_errors += 1
            record.failures += 1
        self._report(record, event, fault, error)

    def _report(self, record: Record, event: Event, fault: Fault, error: BaseException | None) -> None:
        if fault not in record.logged:
            record.logged.add(fault)
            text = "handler %s of event %s: %s; further ones are only counted"
            _log.error(text, record.name, event.type, fault, exc_info=error)
        now_s = self._clock.monotonic()
        full = len(self._reports) == REPORTS_PER_MINUTE and now_s - self._reports[0] < 60
        if event.type == EventType.HANDLER_FAILED or now_s - record.reported_s < QUIET_S or full:
            return
        record.reported_s = now_s
        self._reports.append(now_s)
        self._tell(
            EventType.HANDLER_FAILED,
            handler=record.name,
            handler_id=record.id,
            event=str(event.type),
            reason=str(fault),
            error=type(error).__name__ if error else "",
            failures=record.failures,
            dropped=record.dropped,
        )


def name_of(handler: Callable[..., Any]) -> str:
    """Return what a handler is called in logs and events: module and name, never its arguments."""
    named = getattr(handler, "func", handler)
    if not hasattr(named, "__qualname__"):
        named = type(named)
    return f"{named.__module__}.{named.__qualname__}"
