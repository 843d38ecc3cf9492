"""A pipeline of scripted stages, all its events, and a clock that stands still."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.payloads import problem
from tests.providers.pipeline.stage_fakes import Board, Brain, Ears, Voice
from voxd.config.provider_schema import Pipeline
from voxd.events import EventType as E
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.answer_cache import AnswerCache
from voxd.providers.pipeline.builder import PipelineDependencies
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.llm_chain import LlmChain
from voxd.providers.pipeline.middleware import MessageMiddleware
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stt_chain import SttChain
from voxd.providers.pipeline.tts_chain import TtsChain
from voxd.providers.settings import SessionConfig

QUESTION = b"\x02\x00" * 16_000
"""One second of sound."""

BLOCK = 2 * 640

WHOLE_S = 3.0
"""What a reply may take in these tests, which count on it."""


class Rig:
    """Give it stages; it makes what it is not given."""

    def __init__(
        self,
        *,
        stt: Sequence[Any] = (),
        llm: Sequence[Any] = (),
        tts: Sequence[Any] = (),
        hedge: Any = None,
        clock: FakeClock | None = None,
        board: Board | None = None,
        latencies: Latencies | None = None,
        middleware: tuple[MessageMiddleware, ...] = (),
        session: SessionConfig | None = None,
        answers: AnswerCache | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or FakeClock()
        self.board = board or Board()
        self.emit = RecordingEmit()
        self.latencies = latencies or Latencies()
        common: Any = {"health": self.board, "latencies": self.latencies, "clock": self.clock}
        self.parts = PipelineDependencies(
            SttChain(stt or [Ears("ears", self.clock)], hedge=hedge, **common),
            LlmChain(llm or [Brain("brain", self.clock)], **common),
            TtsChain(tts or [Voice("voice", self.clock)], **common),
            Pipeline(llm=("brain",), **{"first_audio_timeout_s": WHOLE_S, **settings}),
            self.emit,
            self.clock,
            middleware=middleware,
            answers=answers,
        )
        self.provider = PipelineProvider({"parts": self.parts})
        self.provider.on_event = self._hear
        self.events: list[ProviderEvent] = []
        self.times: list[float] = []
        self._session = session or SessionConfig(instructions="be brief")
        self._before: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Rig":
        self._before = asyncio.all_tasks()
        await self.provider.configure_session(self._session)
        await self.provider.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.provider.disconnect()
        left = asyncio.all_tasks() - self._before
        assert left == set(), "a pipeline leaves no task behind"

    def _hear(self, event: ProviderEvent) -> None:
        assert problem(event.type, event.data) == ""
        self.events.append(event)
        self.times.append(self.clock.monotonic())

    async def speak(self, pcm: bytes = QUESTION, *, seconds: float = 1.0) -> None:
        """Say something in real time, block by block."""
        blocks = [pcm[at : at + BLOCK] for at in range(0, len(pcm), BLOCK)]
        for block in blocks:
            await self.provider.send_audio(block)
            await self.clock.advance(seconds / len(blocks))

    async def ask(self, seconds: float = 0.0) -> None:
        """Say something, have finished, and let ``seconds`` pass."""
        await self.speak()
        await self.provider.commit()
        await self.pass_time(seconds)

    async def type(self, text: str, seconds: float = 0.0) -> None:
        """Write something, and let ``seconds`` pass."""
        await self.provider.send_text(text)
        await self.pass_time(seconds)

    async def pass_time(self, seconds: float = 0.0) -> None:
        """Let ``seconds`` pass, and whatever can be done be done."""
        await self.clock.advance(seconds)
        for _ in range(5):
            await settle()

    def of(self, *types: E) -> list[dict[str, Any]]:
        return [event.data for event in self.events if event.type in types]

    def types(self) -> list[E]:
        return [event.type for event in self.events]

    def at(self, type: E) -> float:
        """Return when the first event of ``type`` was reported."""
        return next(at for event, at in zip(self.events, self.times, strict=True) if event.type is type)

    @property
    def said(self) -> list[str]:
        """The pieces of what was answered, in order."""
        return [data["text"].strip() for data in self.of(E.TEXT_OUTPUT) if data["is_partial"]]

    @property
    def errors(self) -> list[str]:
        return [data["code"] for data in self.of(E.ERROR_GENERAL)]

    @property
    def sound_ms(self) -> float:
        return sum(len(data["audio_data"]) / 48 for data in self.of(E.AUDIO_OUTPUT_CHUNK))
