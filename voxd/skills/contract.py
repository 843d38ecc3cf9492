"""What the skills may do to the device, and what they answer."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SkillReply:
    """The answer to a sentence: ``intent`` is "" when it was not understood.

    ``text`` is spoken; it is empty when silence is the answer (stop, mute).
    """

    text: str
    intent: str = ""
    expects_answer: bool = False


class SkillDevice(Protocol):
    """The device, as far as a voice command may reach."""

    def volume(self) -> int:
        """Return the output volume in percent."""
        ...

    def set_volume(self, percent: int) -> int:
        """Set the output volume, clamped to 0..100; returns it."""
        ...

    def mute(self) -> None:
        """Close the microphone."""
        ...

    def stop(self) -> None:
        """Silence whatever speaks or rings."""
        ...

    def last_reply(self) -> str:
        """Return what was said last, "" if nothing was."""
        ...

    def summary(self) -> str:
        """Return the state of the device as one spoken sentence."""
        ...
