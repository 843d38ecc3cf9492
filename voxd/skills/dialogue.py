"""What a skill says, and the one question it may leave open until the next sentence."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """What the device asked: ``intent`` and ``slots`` are what it knows, ``missing`` is what it waits for.

    ``missing`` is duration, when, text or which.
    """

    intent: str
    missing: str
    slots: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """A reply; ``asks`` when it is a question."""

    text: str
    asks: Question | None = None
