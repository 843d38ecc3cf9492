"""Speech to text, a language model and a voice as one session, like that with a speech-to-speech vendor."""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from voxd.errors import AudioError, NotConnected, ProviderError, VoxdError, named
from voxd.net.transport import Budget
from voxd.providers import events
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.pipeline.candidates import NO_TIME, TIMEOUT
from voxd.providers.pipeline.conversation import ChatHistory, arguments_of
from voxd.providers.pipeline.dependencies import PipelineDependencies
from voxd.providers.pipeline.metadata import build_from_metadata
from voxd.providers.pipeline.middleware import MiddlewareMessage, run_middleware, stopped_error
from voxd.providers.pipeline.prompt import EarlyAnswer, PromptSession
from voxd.providers.pipeline.reply import ReplyTask
from voxd.providers.pipeline.stage_stream import Crew, run_until
from voxd.providers.pipeline.stages.contract import TranscriptionRequest
from voxd.providers.pipeline.stt_chain import SttUpdate
from voxd.providers.pipeline.stt_turn import SttTurn
from voxd.providers.pipeline.tts_chain import RATE_HZ
from voxd.providers.pipeline.usage import PipelineUsage
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

NAME = "pipeline"

MIN_QUESTION_S = 0.1
"""A shorter utterance is refused, as OpenAI refuses to commit less than 100 ms of audio."""


class PipelineProvider(BaseProvider):
    """``config["parts"]`` are the daemon's `PipelineDependencies`; without them ``metadata`` is built.

    `SessionConfig.voice` is a voice of the first who speaks, in the daemon; with ``metadata`` each voice is
    in its own table. Turns end with `commit`; a question that finds a reply under way ends it.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=16_000, output_rate_hz=RATE_HZ, server_vad=False, tools=True
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises `ConfigError` when ``metadata`` makes no sense."""
        super().__init__(config)
        given = self.config.get("parts")
        self._is_ours = given is None
        self._parts: PipelineDependencies = (
            given if given is not None else build_from_metadata(self.config, self._emit)
        )
        self._tts = self._parts.tts
        self._clock = self._parts.clock
        self._crew = Crew()
        self._conversation = ChatHistory()
        self._ledger = PipelineUsage(self._parts.emit)
        self._questions = PromptSession(self._parts, self._conversation, self._crew, self._ledger.used)
        self._session = SessionConfig()
        self._numbers = itertools.count(1)
        self._connected = False
        self._hearing: SttTurn | None = None
        self._turn: asyncio.Task[None] | None = None
        self._asked: SttTurn | None = None
        self._reply: ReplyTask | None = None

    @property
    def is_connected(self) -> bool:
        """Whether input is accepted."""
        return self._connected

    async def connect(self) -> None:
        """Make ready who will be asked. Raises `ProviderError` when one of the lists has nobody to ask."""
        if self._connected:
            return
        for chain in (self._parts.stt, self._parts.llm, self._parts.tts):
            if not chain.is_open:
                raise chain.candidates.unavailable()
        self._parts.stt.prepare()
        self._parts.llm.prepare()
        self._tts.prepare()
        self._connected = True
        self.session_id = f"pipeline_{id(self):x}"
        self._ledger.count(Usage(total_sessions=1))

    async def disconnect(self) -> None:
        """End everything that runs; idempotent."""
        self._connected = False
        self._drop_question()
        self._stop()
        await self._crew.close()
        if self._is_ours:
            await self._parts.close()
        await self._close_voice()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config`` from the next question on."""
        self._session = self._questions.session = as_session_config(config)
        if not self._is_ours:
            await self._close_voice()
            self._tts = self._parts.tts.voiced(self._session.voice)

    async def send_audio(self, audio_data: bytes) -> None:
        """Take sound; whoever listens hears it at once."""
        self._require()
        self._ledger.count(Usage(audio_seconds=len(audio_data) / 2 / self.capabilities.input_rate_hz))
        if self._hearing is None:
            self._hearing = self._listen()
        self._hearing.utterance.append(audio_data)

    async def commit(self) -> None:
        """Answer what was sent. Raises `AudioError` when that was less than 100 ms."""
        self._require()
        hearing, self._hearing = self._hearing, None
        if hearing is None or hearing.utterance.length_s < MIN_QUESTION_S:
            if hearing is not None:
                hearing.give_up()
            raise AudioError("too little sound was sent to answer it", code="audio_too_short")
        hearing.end(self._clock.monotonic(), self._until_s())
        self._begin(functools.partial(self._spoken, hearing))
        self._asked = hearing

    async def clear_audio(self) -> None:
        """Forget sound that was sent and not committed."""
        self._require()
        self._drop_question()

    async def send_text(self, text: str) -> None:
        """Answer ``text``."""
        self._require()
        self._begin(functools.partial(self._ask, text, Budget(self._until_s())))

    async def add_history(self, role: str, text: str) -> None:
        """Remember an earlier line."""
        self._require()
        self._conversation.add(role, text)

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Take the result of a call."""
        self._require()
        self._conversation.result(call_id, output)

    async def request_response(self) -> None:
        """Answer with the results of the tools."""
        self._require()
        self._begin(functools.partial(self._respond, Budget(self._until_s())))

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Silence the reply at once; only ``played_ms`` of it was heard (None: all that came)."""
        self._require()
        self._stop("client_cancelled")
        if self._hearing is None:
            self._questions.drop_guess()
        if played_ms is not None:
            self._conversation.heard(played_ms)

    async def get_usage(self) -> Usage | None:
        """Return what all stages used in this session."""
        return self._ledger.usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs; stages whose price is not known are not in it."""
        return self._ledger.cost

    async def _close_voice(self) -> None:
        changed, self._tts = self._tts, self._parts.tts
        if changed is not self._parts.tts:
            await changed.close_first()

    def _listen(self) -> SttTurn:
        parts = self._parts
        # While the user speaks there is time to get ready.
        for chain in (parts.stt, parts.llm, self._tts):
            chain.candidates.prepare()
        # Words that were never said are not for middleware to see: with it nothing is asked early.
        is_early = parts.settings.early_start and not parts.middleware
        return SttTurn(
            parts.stt,
            TranscriptionRequest(self._session.language, parts.hints, Budget()),
            partial=self._understood,
            guess=self._questions.guess if is_early else None,
            used=self._ledger.used,
            crew=self._crew,
            clock=self._clock,
        )

    def _drop_question(self) -> None:
        self._questions.drop_guess()
        if self._hearing is not None:
            self._hearing.give_up()
            self._hearing = None

    # --- the turn ---------------------------------------------------------------------------------

    async def _spoken(self, hearing: SttTurn) -> None:
        until_s, text, engine = hearing.budget.until_s, "", ""
        try:
            understood = await run_until(self._clock, hearing.understood(), until_s)
            text, engine = understood.text, understood.engine
        except TimeoutError:
            raise ProviderError("the question was not understood in time", code=TIMEOUT) from None
        finally:
            hearing.give_up()
            early = self._questions.take_guess(text)
        if not text.strip():
            raise AudioError("no words were understood in what was said", code="audio_too_short")
        await self._ask(text, Budget(until_s, hearing.budget.retries), engine, early)

    async def _ask(
        self, text: str, budget: Budget, engine: str = "", early: EarlyAnswer | None = None
    ) -> None:
        """Put the user's question, which ``engine`` understood; "" when it was typed."""
        said = await self._passed("user", text)
        if said is None:
            raise stopped_error()
        if engine:
            self._understood(SttUpdate(said, engine, final=True))
        self._conversation.asked(said)
        await self._respond(budget, early)

    async def _respond(self, budget: Budget, early: EarlyAnswer | None = None) -> None:
        asked = self._questions.ask(budget, early)
        speaks = "audio" in self._session.modalities
        used = self._ledger.used
        reply = self._reply = ReplyTask(
            f"response_{next(self._numbers)}",
            asked,
            new_reading=(lambda: self._tts.reading(asked.budget, self._crew, used)) if speaks else None,
            through=(lambda clause: self._passed("assistant", clause)) if self._parts.middleware else None,
            report=self._report,
            crew=self._crew,
            clock=self._clock,
        )
        await reply.run()
        self._complete(reply)

    def _complete(self, reply: ReplyTask) -> None:
        self._reply = None
        self._conversation.answered(reply.answer)
        self._ledger.count(Usage(responses=1, audio_seconds=reply.answer.sound_ms / 1000))
        self._report(events.UsageUpdated(self._ledger.usage, NAME))
        for call in reply.answer.calls:
            self._report(events.ToolCallInvoked(call.name, arguments_of(call), call.id))
        self._report(events.ResponseCompleted(reply.response_id, self._ledger.response))
        self._questions.tidy()

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        self._stop("superseded")
        self._ledger.begin()
        self._turn = self._crew.start(self._guarded(work), "turn")

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with translate_errors(""):
                await work()
        except VoxdError as error:
            # Whose time ran out matters to nobody outside.
            code = TIMEOUT if error.code == NO_TIME else error.code
            self._report(events.ErrorOccurred(code, named(error), error.hint))
            self._end_reply(code)

    def _stop(self, reason: str = "") -> None:
        """End the turn under way at once; what was said of its reply is kept."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._asked is not None:
            self._asked.give_up()
            self._asked = None
        self._end_reply(reason)

    def _end_reply(self, reason: str) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.give_up()
            self._conversation.answered(reply.answer)
            self._report(events.ResponseCancelled(reply.response_id, reason))

    async def _passed(self, role: Any, text: str) -> str | None:
        """Return what the middleware makes of ``text``, None when it is stopped."""
        said = await run_middleware(self._parts.middleware, MiddlewareMessage(role, text), self._clock)
        return said.text if said is not None else None

    def _understood(self, understood: SttUpdate) -> None:
        if self._session.transcription:
            self._report(events.TextTranscription(understood.text, is_partial=not understood.final))

    def _report(self, event: events.ProviderEvent) -> None:
        if self._connected:
            self.on_event(event)

    def _emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Tell what the stages of a library's pipeline tell: an `Emit`."""
        self.emit_event(type, data)

    def _until_s(self) -> float:
        return self._clock.monotonic() + self._parts.settings.first_audio_timeout_s

    def _require(self) -> None:
        if not self._connected:
            raise NotConnected("the pipeline is not connected", provider=NAME)
