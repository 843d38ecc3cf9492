"""Engines and vendors that answer at once, so that what remains of a turn is our own."""

from collections.abc import AsyncGenerator
from typing import Any

from scripts.benchmarks.vendor import Vendor
from voxd.clock import SystemClock
from voxd.frames import Clip
from voxd.local.contract import LocalTranscript
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox

QUESTION = "what can you do"
_REPLY = Clip(bytes(2 * 4_800), 16_000)
"""0.3 s."""


class InstantTranscriber:
    """Has always understood the same question."""

    name = "instant"
    loaded = True

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    async def transcribe(self, clip: Clip) -> LocalTranscript:
        """Answer at once."""
        return LocalTranscript(QUESTION, self.name)

    async def close(self) -> None:
        """Nothing is held."""


class InstantSynthesizer:
    """Has always spoken already."""

    name = "instant"
    loaded = True

    def prepare(self) -> None:
        """Nothing is to be loaded."""

    async def synthesize(self, text: str) -> AsyncGenerator[Clip]:
        """Yield a short silence at once."""
        yield _REPLY

    async def close(self) -> None:
        """Nothing is held."""


def live_provider(fake: Vendor) -> RealtimeProvider:
    """Return what the daemon answers with, on a session with ``fake``."""
    return RealtimeProvider(
        RealtimeConfig("cloud", "openai", fake.provider, SessionConfig()),
        tools=ToolBox(),
        emit=discard_event,
        clock=SystemClock(),
        speak=InstantSynthesizer().synthesize,
    )


def discard_event(type: str, /, *, turn: str | None = None, **data: Any) -> None:
    """Hear no event: an `Emit`."""
