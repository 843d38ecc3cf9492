"""What the tests of the engine share: engines that are closed again, and a log of their events."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.payloads import problem
from tests.rig.soundcard import card
from voxd import Event, VoiceEngine

__all__ = ["card"]

PATIENCE_S = 8.0


class Log:
    """Every event of an engine, in order; `wait` for one."""

    def __init__(self, engine: VoiceEngine) -> None:
        self.events: list[Event] = []
        self.problems: list[str] = []
        self._changed = asyncio.Event()
        engine.events.on("*", self._note)

    def _note(self, event: Event) -> None:
        self.events.append(event)
        if wrong := problem(event.type, event.data):
            self.problems.append(wrong)
        self._changed.set()

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def of(self, type: str) -> list[Event]:
        return [event for event in self.events if event.type == type]

    def sound(self) -> bytes:
        return b"".join(event.audio_data for event in self.of("audio.output_chunk"))

    async def wait(self, type: str, count: int = 1) -> Event:
        await self.until(lambda: len(self.of(type)) >= count)
        return self.of(type)[count - 1]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """An engine sets the level of voxd's loggers while it is connected, and no longer."""
    logger = logging.getLogger("voxd")
    before = logger.level
    yield
    assert logger.level == before


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of whoever runs the tests must change nothing."""
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


Make = Callable[..., tuple[VoiceEngine, Log]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Engines with the mock provider unless another is named, and their logs.

    At the end they are disconnected, and everything they emitted must be as the table of events says.
    """
    made: list[tuple[VoiceEngine, Log]] = []

    def new(**options: Any) -> tuple[VoiceEngine, Log]:
        engine = VoiceEngine(**{"provider": "mock", **options})
        made.append((engine, Log(engine)))
        return made[-1]

    yield new
    for engine, log in made:
        await engine.disconnect()
        assert log.problems == []
