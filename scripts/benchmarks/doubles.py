"""Engines that answer at once, so that what remains of a turn is our own."""

from collections.abc import AsyncIterator

from voxd.frames import Clip
from voxd.local.contract import Heard

QUESTION = "what can you do"
_REPLY = Clip(bytes(2 * 4_800), 16_000)
"""0.3 s."""


class InstantTranscriber:
    """Has always understood the same question."""

    name = "instant"
    loaded = True

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    async def transcribe(self, clip: Clip) -> Heard:
        """Answer at once."""
        return Heard(QUESTION, self.name)

    async def close(self) -> None:
        """Nothing is held."""


class InstantSynthesizer:
    """Has always spoken already."""

    name = "instant"
    loaded = True

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    async def synthesize(self, text: str) -> AsyncIterator[Clip]:
        """Yield a short silence at once."""
        yield _REPLY

    async def close(self) -> None:
        """Nothing is held."""
