"""A subscription to events: the current state, missed events and new events."""

import fnmatch
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from voxd.api import DeviceApi
from voxd.bus.bus import Subscription
from voxd.events import Event
from voxd.reports import DeviceStatus

# Size of the queue of one reader. When it is full the oldest event is dropped; the reader gets a count.
QUEUE_EVENTS = 256

Pattern = Annotated[str, Meta(pattern=r"^[a-z0-9_.*]{1,64}$")]


class Subscribe(msgspec.Struct, frozen=True):
    """The event types (globs), and ``since``, the id of the last event received before."""

    types: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=32)] = ("*",)
    since: Annotated[int, Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class EventSubscription:
    """An open subscription: ``state`` first, then ``missed``, then new ``events``.

    ``last_id`` is the newest event that ``state`` includes (0: none yet); after a reconnect it is passed as
    ``since``. ``lost`` counts events after ``since`` that are no longer in the history of the bus. The owner
    closes ``events``.
    """

    state: DeviceStatus
    last_id: int
    missed: tuple[Event, ...]
    lost: int
    events: Subscription

    def opening(self) -> dict[str, Any]:
        """Return the response to ``events.subscribe``."""
        return {"state": self.state, "last_id": self.last_id, "lost": self.lost}


def subscribe(api: DeviceApi, params: Subscribe) -> EventSubscription:
    """Subscribe to events without a gap between the state, the missed events and the first new one."""
    # No await in between: the bus cannot publish an event while this runs.
    state = api.status()
    history = tuple(api.bus.history)
    last_id = history[-1].id if history else 0
    missed, lost = events_since(history, params.since)
    # fnmatchcase, as the bus matches: fnmatch would fold case on some systems.
    matching = tuple(
        event for event in missed if any(fnmatch.fnmatchcase(event.type, glob) for glob in params.types)
    )
    return EventSubscription(
        state, last_id, matching, lost, api.bus.subscribe(params.types, limit=QUEUE_EVENTS)
    )


def events_since(history: tuple[Event, ...], since: int | None) -> tuple[tuple[Event, ...], int]:
    """Return the events of ``history`` after the id ``since``, and how many are no longer in it."""
    if since is None or not history:
        return (), 0
    # Ids restart at 1 with the daemon. A larger id is from before a restart: everything since was missed.
    if since > history[-1].id:
        since = 0
    # Ids have no gaps: what lies between ``since`` and the oldest event of the history was lost.
    return tuple(event for event in history if event.id > since), max(0, history[0].id - since - 1)
