from typing import Any, cast

import pytest

from voxd.device.inputs import EventInputs
from voxd.events import Event
from voxd.turn.inputs import AudioLost, AudioRestored, RingEnded


class Rooms:
    """Ears, buttons, timers and settings in one: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.rings: list[str] = []

    def reset(self) -> None:
        self.told.append("ears reset")

    def speech_heard(self) -> None:
        self.told.append("button told")

    def ringing(self) -> list[str]:
        return self.rings

    def change(self, *, muted: bool) -> None:
        self.told.append(("muted", muted))


def drawn(rooms: Rooms, type: str, **data: Any) -> list[Any]:
    room = cast(Any, rooms)
    EventInputs(rooms.told.append, room, room, room, room)(Event(1, type, 0.0, None, data))
    return rooms.told


@pytest.mark.parametrize(
    ("type", "data", "told"),
    [
        ("audio.lost", {"device": "x", "reason": "gone", "hint": ""}, [AudioLost("gone")]),
        ("audio.restored", {"device": "x", "after_s": 1.0}, ["ears reset", AudioRestored()]),
        ("speech.started", {"sample": 1}, ["button told"]),
        ("timer.stopped", {"id": 1, "by": "voice"}, [RingEnded()]),
        ("timer.cancelled", {"id": 1}, [RingEnded()]),
        ("mute.changed", {"muted": True, "source": "socket"}, [("muted", True)]),
        ("mute.changed", {"muted": True, "source": "switch"}, []),
        ("volume.changed", {"percent": 3}, []),
    ],
)
def test_what_happens_in_one_room_matters_in_another(type: str, data: dict, told: list) -> None:
    assert drawn(Rooms(), type, **data) == told


def test_a_ring_is_over_when_nothing_rings_any_more() -> None:
    rooms = Rooms()
    rooms.rings = ["another"]
    assert drawn(rooms, "timer.stopped", id=1, by="voice") == []
