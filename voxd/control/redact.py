"""Removes quotations of the user from everything that the read-only socket shows.

Any local user may open that socket (mode 0666).
"""

import msgspec

from voxd.events import Event
from voxd.reports import HistoryEntry, TimerEntry

# Fields that quote the user or the reply, whatever the event: a new event type with one is covered too.
_WORDS = frozenset({"text", "transcript", "reply", "arguments", "output", "speakers"})


def redact_event(event: Event) -> Event:
    """Return ``event`` without transcripts, replies, tool arguments and the names of timers."""
    # The name of a timer was spoken; that of a provider or a tool in other events was not.
    hidden = _WORDS | {"name"} if event.type.startswith("timer.") else _WORDS
    if hidden.isdisjoint(event.data):
        return event
    data = {key: value for key, value in event.data.items() if key not in hidden}
    return Event(event.id, event.type, event.time, event.turn, data)


def redact_history(entries: list[HistoryEntry]) -> list[HistoryEntry]:
    """Return ``entries`` with empty transcripts and replies."""
    return [msgspec.structs.replace(entry, transcript="", reply="") for entry in entries]


def redact_timers(entries: list[TimerEntry]) -> list[TimerEntry]:
    """Return ``entries`` with empty names: the name of a reminder quotes the user."""
    return [msgspec.structs.replace(entry, name="") for entry in entries]
