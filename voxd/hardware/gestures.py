"""Gestures of the push button: edges and time in, gestures out.

One button has five meanings, distinguished by how long it is down:

- up again before ``hold_ms``: SHORT, at once. The daemon starts listening, or stops what runs. A short
  press never waits for a second one; if the next press comes within ``double_ms``, that press is REPEAT
  and turns the listening just begun into a repetition;
- down for ``hold_ms``: TALK_START, and TALK_END when it comes up. The gesture carries the moment of the
  press, so that the ring gives back what was said before the hold was known to be one;
- down for ``long_ms`` without speech: MUTE, which takes the place of TALK_END. As soon as
  speech is detected, a long hold is only a long sentence.
"""

from dataclasses import dataclass
from enum import StrEnum

from voxd.config import schema


class GestureKind(StrEnum):
    """The vocabulary of the button."""

    SHORT = "short"
    TALK_START = "talk_start"
    TALK_END = "talk_end"
    REPEAT = "repeat"
    MUTE = "mute"


@dataclass(frozen=True, slots=True)
class Gesture:
    """A gesture; ``at_s`` is the press it began with, or for TALK_END the release (monotonic seconds)."""

    kind: GestureKind
    at_s: float


class Debounce:
    """A level that counts only once it has stayed for ``bounce_s``; it dates from its last edge."""

    # Contacts chatter for a few milliseconds, and a spike shorter than that is interference on the line.

    def __init__(self, bounce_s: float, level: bool = False) -> None:
        self._bounce_s = bounce_s
        self._raw = level
        self._raw_since_s = 0.0
        self.level = level

    def edge(self, level: bool, now_s: float) -> None:
        """Note that the contact went to ``level``."""
        self._raw = level
        self._raw_since_s = now_s

    @property
    def deadline_s(self) -> float | None:
        """When the pending level will count; None if nothing is pending."""
        return None if self._raw == self.level else self._raw_since_s + self._bounce_s

    def settle(self, now_s: float) -> float | None:
        """Return the time of the edge if the level changed by ``now_s``, else None."""
        deadline_s = self.deadline_s
        if deadline_s is None or now_s < deadline_s:
            return None
        self.level = self._raw
        return self._raw_since_s


class GestureReader:
    """Turns edges of one button into gestures. Times are monotonic seconds and never go back."""

    def __init__(self, config: schema.Button) -> None:
        self._hold_s = config.hold_ms / 1000
        self._long_s = config.long_ms / 1000
        self._double_s = config.double_ms / 1000
        self._contact = Debounce(config.bounce_ms / 1000)
        self._pressed_at_s: float | None = None
        self._talking = False
        self._spoken = False
        self._last_short_s: float | None = None

    def edge(self, down: bool, now_s: float) -> list[Gesture]:
        """Take an edge of the contact; return the gestures that became certain by ``now_s``."""
        # First what was due before this edge: the timer of the loop may be late.
        gestures = self.tick(now_s)
        self._contact.edge(down, now_s)
        return gestures + self.tick(now_s)

    def tick(self, now_s: float) -> list[Gesture]:
        """Return the gestures that became certain by ``now_s``, in order."""
        gestures: list[Gesture] = []
        while (deadline_s := self.deadline_s) is not None and deadline_s <= now_s:
            gestures += self._due(deadline_s)
        return gestures

    def speech_heard(self) -> None:
        """Note that the user speaks: a hold under way will not become MUTE."""
        self._spoken = True

    @property
    def deadline_s(self) -> float | None:
        """When `tick` has something to do next; None while nothing can happen without an edge."""
        if (settles_s := self._contact.deadline_s) is not None:
            return settles_s  # until then it is open whether the button is still down
        if self._pressed_at_s is None:
            return None
        if not self._talking:
            return self._pressed_at_s + self._hold_s
        return None if self._spoken else self._pressed_at_s + self._long_s

    def _due(self, now_s: float) -> list[Gesture]:
        edge_s = self._contact.settle(now_s)
        if edge_s is not None:
            return self._pressed(edge_s) if self._contact.level else self._released(edge_s)
        pressed_at_s = self._pressed_at_s
        if pressed_at_s is None:
            return []
        if not self._talking:
            self._talking = True
            return [Gesture(GestureKind.TALK_START, pressed_at_s)]
        self._forget_press()
        # The press is over: its release must not become TALK_END.
        return [Gesture(GestureKind.MUTE, pressed_at_s)]

    def _pressed(self, at_s: float) -> list[Gesture]:
        last_short_s, self._last_short_s = self._last_short_s, None
        if last_short_s is not None and at_s - last_short_s <= self._double_s:
            # Certain at the press: a repetition needs no release, so none is awaited.
            return [Gesture(GestureKind.REPEAT, at_s)]
        self._pressed_at_s = at_s
        self._spoken = False
        return []

    def _released(self, at_s: float) -> list[Gesture]:
        pressed_at_s, talking = self._pressed_at_s, self._talking
        self._forget_press()
        if pressed_at_s is None:
            return []
        if talking:
            return [Gesture(GestureKind.TALK_END, at_s)]
        # From the release: a slow first press must not use up the time for the second.
        self._last_short_s = at_s
        return [Gesture(GestureKind.SHORT, pressed_at_s)]

    def _forget_press(self) -> None:
        self._pressed_at_s = None
        self._talking = False
