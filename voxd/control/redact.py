"""What strangers may not see: the words people said, taken out of whatever the read-only socket shows."""

import msgspec

from voxd.events import Event
from voxd.reports import HistoryEntry, TimerEntry

_WORDS = frozenset({"text", "transcript", "reply", "arguments", "output"})


def veiled_event(event: Event) -> Event:
    """Return ``event`` without transcripts, replies and the names people gave their reminders."""
    hidden = _WORDS | {"name"} if event.type.startswith("timer.") else _WORDS
    if hidden.isdisjoint(event.data):
        return event
    data = {key: value for key, value in event.data.items() if key not in hidden}
    return Event(event.id, event.type, event.time, event.turn, data)


def veiled_history(entries: list[HistoryEntry]) -> list[HistoryEntry]:
    """Return ``entries`` with empty transcripts and replies."""
    return [msgspec.structs.replace(entry, transcript="", reply="") for entry in entries]


def veiled_timers(entries: list[TimerEntry]) -> list[TimerEntry]:
    """Return ``entries`` with empty names: a reminder's name is a quotation of the user."""
    return [msgspec.structs.replace(entry, name="") for entry in entries]
