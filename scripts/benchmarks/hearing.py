"""The hearing half of the daemon in this process: capture process, ring, ears."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.clock import SystemClock
from voxd.config.schema import Audio, Endpoint, Wake
from voxd.listen.speech_input import SpeechInput
from voxd.turn.inputs import Input

LEAD_SAMPLES = 24_000
"""The virtual microphone puts 1.5 s of noise before the file."""


class Hearing:
    """An asynchronous context manager; inputs and notes of the ears arrive on the loop, as in the daemon."""

    def __init__(
        self,
        wav: Path,
        wake: Wake,
        endpoint: Endpoint,
        note: Callable[[str, dict[str, Any]], None] = lambda type, data: None,
    ) -> None:
        loop = asyncio.get_running_loop()

        def forward(type: str, data: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(note, type, data)

        def ignore(given: Input) -> None:
            loop.call_soon_threadsafe(lambda: None)

        self.clock = SystemClock()
        self.audio = Audio(input="virtual", virtual_input=str(wav))
        self.ring = Ring.create(self.audio.channels, self.audio.ring_s, self.audio.channel)
        self.microphone = Microphone(self.audio, self.ring, self.clock, _silent)
        self.speech_input = SpeechInput(
            self.ring, channel=0, wake=wake, endpoint=endpoint, post=ignore, note=forward, clock=self.clock
        )

    async def reached(self, sample: int) -> None:
        """Wait until ``sample`` was captured."""
        while self.ring.head < sample:
            await self.clock.sleep(0.02)

    async def __aenter__(self) -> Self:
        self.speech_input.start()
        await self.microphone.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.microphone.close()
        self.speech_input.stop()
        self.ring.close()


def _silent(type: str, /, *, turn: str | None = None, **data: Any) -> None:
    """An `Emit` that discards the event."""
