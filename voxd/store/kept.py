"""What the queue of utterances gives out, and what it is told of them."""

from enum import Enum

import msgspec


class Fault(Enum):
    """Why an utterance was not answered, which decides what becomes of it."""

    NOBODY = "nobody"
    """It was not judged: nobody could be reached, or the user came in between."""
    UNSURE = "unsure"
    """Whoever should answer broke off; it may be his fault or that of this utterance."""
    UTTERANCE = "utterance"
    """It was refused, and the next one may not be."""


class QueuedUtterance(msgspec.Struct, frozen=True):
    """An utterance that was given out to be answered: FLAC, or the text of a typed question.

    ``age_s`` is how long ago it was asked.
    """

    id: str
    agent: str
    flac: bytes | None
    text: str
    age_s: float


class DeferredAnswer(msgspec.Struct, frozen=True):
    """The answer to an utterance, not delivered yet; ``age_s`` is how long ago it was asked."""

    id: str
    agent: str
    provider: str
    transcript: str
    reply: str
    age_s: float


class DroppedUtterance(msgspec.Struct, frozen=True):
    """An utterance that is given up."""

    id: str
    agent: str
