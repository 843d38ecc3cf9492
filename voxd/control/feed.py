"""A subscription to events: the state now, what was missed since, and what comes."""

import fnmatch
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from voxd.api import DeviceApi
from voxd.bus.bus import Subscription
from voxd.events import Event
from voxd.reports import DeviceStatus

QUEUE_EVENTS = 256
"""How many events wait for a slow reader; then the oldest is dropped and the reader is notified how many."""

Pattern = Annotated[str, Meta(pattern=r"^[a-z0-9_.*]{1,64}$")]


class Subscribe(msgspec.Struct, frozen=True):
    """Which types (globs), and after which event: ``since`` is the id of the last one seen."""

    types: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=32)] = ("*",)
    since: Annotated[int, Meta(ge=0)] | None = None


@dataclass(frozen=True, slots=True)
class Feed:
    """An open subscription: ``state`` first, then ``missed``, then the subscription itself.

    ``last_id`` is the newest event that ``state`` includes (0: none yet), to be given as ``since`` after a
    reconnect. ``lost`` counts events after ``since`` that the bus no longer remembers. The holder of the feed
    closes its subscription.
    """

    state: DeviceStatus
    last_id: int
    missed: tuple[Event, ...]
    lost: int
    subscription: Subscription

    def opening(self) -> dict[str, Any]:
        """Return the answer to the subscriber."""
        return {"state": self.state, "last_id": self.last_id, "lost": self.lost}


def open_feed(api: DeviceApi, params: Subscribe) -> Feed:
    """Subscribe. Nothing falls between the state, the missed events and the first new one."""
    state = api.status()
    history = tuple(api.bus.history)
    last_id = history[-1].id if history else 0
    missed, lost = missed_since(history, params.since)
    matching = tuple(
        event for event in missed if any(fnmatch.fnmatchcase(event.type, glob) for glob in params.types)
    )
    return Feed(state, last_id, matching, lost, api.bus.subscribe(params.types, limit=QUEUE_EVENTS))


def missed_since(history: tuple[Event, ...], since: int | None) -> tuple[tuple[Event, ...], int]:
    """Return the remembered events after number ``since``, and how many are no longer remembered.

    Ids begin again when the daemon restarts: an id that lies ahead was given by another life, so
    everything of this one was missed.
    """
    if since is None or not history:
        return (), 0
    if since > history[-1].id:
        since = 0
    return tuple(event for event in history if event.id > since), max(0, history[0].id - since - 1)
