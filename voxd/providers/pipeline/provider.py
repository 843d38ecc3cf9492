"""STT, LLM and TTS as one provider: a session like that with a speech-to-speech vendor."""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import msgspec

from voxd.errors import AudioError, NotConnected, ProviderError, VoxdError, named
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net.transport import Budget
from voxd.providers import events
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.costs import Prices, cost_of_stage
from voxd.providers.pipeline.builder import PipelineDependencies
from voxd.providers.pipeline.candidates import NO_TIME, TIMEOUT
from voxd.providers.pipeline.conversation import ChatHistory, call_arguments
from voxd.providers.pipeline.metadata import build_from_metadata, load_stages
from voxd.providers.pipeline.middleware import MiddlewareMessage, run_middleware, stopped_error
from voxd.providers.pipeline.prompt import EarlyAnswer, PendingAnswer, PromptSession, given_answer
from voxd.providers.pipeline.reply import ReplyTask
from voxd.providers.pipeline.stage_stream import run_until
from voxd.providers.pipeline.stages.contract import PipelineStage, TextToSpeech, TranscriptionRequest
from voxd.providers.pipeline.stt_chain import SttTurn, SttUpdate
from voxd.providers.pipeline.tts_chain import RATE_HZ
from voxd.providers.realtime.connect import translate_errors
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage, add_costs
from voxd.tasks import TaskScope

NAME = "pipeline"

MIN_QUESTION_S = 0.1
"""A shorter utterance is refused, as OpenAI refuses to commit less than 100 ms of audio."""


class PipelineProvider(BaseProvider):
    """``config["parts"]`` are the daemon's `PipelineDependencies`; without them ``metadata`` is built.

    In the daemon `SessionConfig.voice` is the voice of the first TTS provider; with ``metadata`` each voice
    is in its own table. `commit`, `send_text` and `request_response` end a reply in progress.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        # The rate of the microphone: its audio is not resampled.
        input_rate_hz=16_000,
        output_rate_hz=RATE_HZ,
        server_vad=False,
        tools=True,
        speaks_text=True,
    )

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises `ConfigError` when ``metadata`` is invalid."""
        super().__init__(config)
        parts = self.config.get("parts")
        self._owns_parts = parts is None
        self._parts: PipelineDependencies = (
            parts if parts is not None else build_from_metadata(self.config, self._emit)
        )
        self._tts = self._parts.tts
        self._clock = self._parts.clock
        self._tasks = TaskScope(NAME)
        self._conversation = ChatHistory()
        # By the name of the provider: each may have prices of its own.
        self._usage = _SessionUsage(self._parts.emit, self.config.get("prices") or (lambda name: Prices()))
        self._prompts = PromptSession(self._parts, self._conversation, self._tasks, self._usage.record)
        self._session = SessionConfig()
        self._response_numbers = itertools.count(1)
        self._is_connected = False
        # Takes audio; None before the first audio of a question.
        self._stt_turn: SttTurn | None = None
        # The question that is being answered: its transcription outlives `commit`.
        self._committed: SttTurn | None = None
        self._turn: asyncio.Task[None] | None = None
        self._reply: ReplyTask | None = None
        # Those of the current question: an early answer has one of its own.
        self._budgets: tuple[Budget, ...] = ()

    @property
    def queued_s(self) -> float:  # type: ignore[override]
        """How long the current question has waited in a queue of ours."""
        return sum(each.queued_s for each in self._budgets)

    @classmethod
    def preload(cls, config: Mapping[str, Any]) -> None:
        """Import the classes of the stages in ``metadata``."""
        load_stages(config.get("metadata") or {})

    @property
    def is_connected(self) -> bool:
        """Whether input is accepted."""
        return self._is_connected

    async def connect(self) -> None:
        """Prepare the first provider of each chain. Raises `ProviderError` when a chain has none."""
        if self._is_connected:
            return
        # Found out now and not at the first question: failover then takes the next provider at once.
        for chain in (self._parts.stt, self._parts.llm, self._parts.tts):
            if not chain.is_available:
                raise chain.candidates.unavailable_error()
        self._parts.stt.prepare()
        self._parts.llm.prepare()
        self._tts.prepare()
        self._is_connected = True
        self.session_id = f"pipeline_{id(self):x}"
        self._usage.add(Usage(total_sessions=1))

    async def disconnect(self) -> None:
        """End all requests; idempotent."""
        self._is_connected = False
        self._drop_question()
        self._stop()
        await self._tasks.close()
        if self._owns_parts:
            await self._parts.close()
        await self._close_changed_voice()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config`` from the next question on."""
        self._session = self._prompts.session = as_session_config(config)
        if not self._owns_parts:
            await self._close_changed_voice()
            self._tts = self._parts.tts.with_voice(self._session.voice)

    async def send_audio(self, audio_data: bytes) -> None:
        """Append audio to the question; it is transcribed while it arrives."""
        self._require_connected()
        self._usage.add(Usage(audio_seconds=len(audio_data) / 2 / self.capabilities.input_rate_hz))
        if self._stt_turn is None:
            self._stt_turn = self._start_stt()
        self._stt_turn.utterance.append(audio_data)

    async def commit(self) -> None:
        """Answer the audio. Raises `AudioError` when it is shorter than 100 ms."""
        self._require_connected()
        stt_turn, self._stt_turn = self._stt_turn, None
        if stt_turn is None or stt_turn.utterance.length_s < MIN_QUESTION_S:
            if stt_turn is not None:
                stt_turn.cancel()
            raise AudioError("too little audio was sent to answer it", code="audio_too_short")
        stt_turn.end(self._clock.monotonic(), self._until_s())
        self._start_turn(functools.partial(self._answer_speech, stt_turn), stt_turn.budget)
        self._committed = stt_turn

    async def clear_audio(self) -> None:
        """Discard audio that was sent and not committed."""
        self._require_connected()
        self._drop_question()

    async def send_text(self, text: str) -> None:
        """Answer ``text``."""
        self._require_connected()
        budget = Budget(self._until_s())
        self._start_turn(functools.partial(self._answer_text, text, budget), budget)

    async def speak_text(self, text: str) -> None:
        """Synthesise ``text`` as a reply; no model is asked."""
        self._require_connected()
        budget = Budget(self._until_s())
        pending = PendingAnswer(given_answer(text), budget, asyncio.Event())
        self._start_turn(functools.partial(self._give, pending), budget)

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message."""
        self._require_connected()
        # It may have been said to a provider without middleware.
        changed = await self._filter("assistant" if role == "assistant" else "user", text)
        if changed is not None:
            self._conversation.add(role, changed)

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Add the result of a call."""
        self._require_connected()
        self._conversation.add_result(call_id, output)

    async def request_response(self) -> None:
        """Answer with the results of the tools."""
        self._require_connected()
        budget = Budget(self._until_s())
        self._start_turn(functools.partial(self._respond, budget), budget)

    async def request_answer(self) -> None:
        """Answer with the results of the tools, and call no further one."""
        self._require_connected()
        budget = Budget(self._until_s())
        self._start_turn(functools.partial(self._respond, budget, may_call=False), budget)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """End the reply at once; only ``played_ms`` of it was played (None: all that arrived)."""
        self._require_connected()
        self._stop("client_cancelled")
        # An early answer to the question that is being spoken now is kept.
        if self._stt_turn is None:
            self._prompts.drop_guess()
        if played_ms is not None:
            self._conversation.truncate(played_ms)

    async def get_usage(self) -> Usage | None:
        """Return what all stages used in this session."""
        return self._usage.session

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, without the stages whose price is unknown."""
        return self._usage.cost

    async def _close_changed_voice(self) -> None:
        # The chain with another voice shares all stages but the first with the chain of the pipeline.
        changed, self._tts = self._tts, self._parts.tts
        if changed is not self._parts.tts:
            await changed.close_first()

    def _start_stt(self) -> SttTurn:
        parts = self._parts
        # Connections open while the user speaks, and so cost no time of the turn.
        for chain in (parts.stt, parts.llm, self._tts):
            chain.candidates.prepare()
        # Middleware must not process words that were never said, so it excludes early start.
        is_early = parts.settings.early_start and not parts.middleware
        return SttTurn(
            parts.stt,
            TranscriptionRequest(self._session.language, parts.hints, Budget()),
            on_partial=self._report_transcript,
            on_guess=self._prompts.start_guess if is_early else None,
            record_usage=self._usage.record,
            tasks=self._tasks,
            clock=self._clock,
        )

    def _drop_question(self) -> None:
        self._prompts.drop_guess()
        if self._stt_turn is not None:
            self._stt_turn.cancel()
            self._stt_turn = None

    # --- the turn ---------------------------------------------------------------------------------

    async def _answer_speech(self, stt_turn: SttTurn) -> None:
        until_s, text, heard = stt_turn.budget.until_s, "", None
        try:
            heard = await run_until(self._clock, stt_turn.result(), until_s, stt_turn.budget)
            text = heard.text
        except TimeoutError:
            raise ProviderError("the question was not transcribed in time", code=TIMEOUT) from None
        finally:
            stt_turn.cancel()
            # After a failure ``text`` is empty, so the guess is dropped.
            early = self._prompts.take_guess(text)
        if not text.strip():
            raise AudioError("no words were recognised in the audio", code="audio_too_short")
        # Retries that the transcription used are gone for the rest of the turn.
        await self._answer_text(text, stt_turn.budget, heard, early)

    async def _answer_text(
        self, text: str, budget: Budget, heard: SttUpdate | None = None, early: EarlyAnswer | None = None
    ) -> None:
        """Answer the question ``text``, which was ``heard``; None for a typed one."""
        question = await self._filter("user", text)
        if question is None:
            raise stopped_error()
        if heard is not None:
            # The parts would say what the middleware has taken out of the whole.
            speakers = heard.speakers if question == text else ()
            self._report_transcript(replace(heard, text=question, speakers=speakers))
        self._conversation.add_question(question)
        await self._respond(budget, early)

    async def _respond(
        self, budget: Budget, early: EarlyAnswer | None = None, *, may_call: bool = True
    ) -> None:
        pending = self._prompts.answer(budget, early, may_call=may_call)
        self._budgets = tuple({budget, pending.budget})
        await self._give(pending)

    async def _give(self, pending: PendingAnswer) -> None:
        """Speak ``pending`` and report it as one response."""
        has_audio = "audio" in self._session.modalities
        reply = self._reply = ReplyTask(
            f"response_{next(self._response_numbers)}",
            pending,
            start_tts=(lambda: self._tts.start_turn(pending.budget, self._tasks, self._usage.record))
            if has_audio
            else None,
            filter_clause=functools.partial(self._filter, "assistant") if self._parts.middleware else None,
            on_event=self._report,
            tasks=self._tasks,
            clock=self._clock,
        )
        await reply.run()
        self._reply = None
        reply.answer.calls = self._conversation.with_new_ids(reply.answer.calls)
        self._conversation.add_answer(reply.answer)
        self._usage.add(Usage(responses=1, audio_seconds=reply.answer.sound_ms / 1000))
        self._report(events.UsageUpdated(self._usage.session, NAME))
        for call in reply.answer.calls:
            self._report(events.ToolCallInvoked(call.name, call_arguments(call), call.id))
        self._report(events.ResponseCompleted(reply.response_id, self._usage.response))
        self._prompts.summarise_if_long()

    def _start_turn(self, work: Callable[[], Awaitable[None]], budget: Budget) -> None:
        self._stop("superseded")
        self._budgets = (budget,)
        self._usage.start_response()
        self._turn = self._tasks.start(self._run_guarded(work), name="turn")

    async def _run_guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            with translate_errors(""):
                await work()
        except VoxdError as error:
            # The difference matters only for the health record of a candidate.
            code = TIMEOUT if error.code == NO_TIME else error.code
            reported = events.ErrorOccurred.of(error)
            self._report(msgspec.structs.replace(reported, code=code, message=named(error)))
            self._end_reply(code)

    def _stop(self, reason: str = "") -> None:
        """End the turn in progress; the history keeps what was spoken of its reply."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._committed is not None:
            self._committed.cancel()
            self._committed = None
        self._end_reply(reason)

    def _end_reply(self, reason: str) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.cancel()
            self._conversation.add_answer(reply.answer)
            self._report(events.ResponseCancelled(reply.response_id, reason))

    async def _filter(self, role: Any, text: str) -> str | None:
        """Return ``text`` as changed by the middleware, None when it was stopped."""
        result = await run_middleware(self._parts.middleware, MiddlewareMessage(role, text), self._clock)
        return result.text if result is not None else None

    def _report_transcript(self, update: SttUpdate) -> None:
        if self._session.transcription:
            speakers = update.speakers if update.final else ()
            self._report(
                events.TextTranscription(update.text, is_partial=not update.final, speakers=speakers)
            )

    def _report(self, event: events.ProviderEvent) -> None:
        if self._is_connected:
            self.on_event(event)

    def _emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        """Report an event of a stage as one of this provider: the `Emit` of a pipeline from ``metadata``."""
        self.emit_event(type, data)

    def _until_s(self) -> float:
        return self._clock.monotonic() + self._parts.settings.first_audio_timeout_s

    def _require_connected(self) -> None:
        if not self._is_connected:
            raise NotConnected("the pipeline is not connected", provider=NAME)


class _SessionUsage:
    """The usage and cost of one session, reported for each request and summed."""

    def __init__(self, emit: Emit, prices: Callable[[str], Prices]) -> None:
        self.session = Usage()
        self.response = Usage()
        """Since `start_response`."""
        self._emit = emit
        self._prices = prices
        self._cost: Cost | None = None
        self._is_complete = True

    @property
    def cost(self) -> Cost | None:
        """The cost: None when no price is known, ``prices_of`` "" when some are unknown."""
        if self._cost is None or self._is_complete:
            return self._cost
        return msgspec.structs.replace(self._cost, prices_of="")

    def start_response(self) -> None:
        """Start the usage of another response."""
        self.response = Usage()

    def record(self, stage: PipelineStage, usage: Usage) -> None:
        """Add and report the usage of one request of ``stage``."""
        # Local engines report nothing that is billed.
        if usage == Usage():
            return
        self.add(usage)
        voice = stage.voice if isinstance(stage, TextToSpeech) else ""
        cost = cost_of_stage(
            stage.config.kind,
            stage.model,
            usage,
            voice=voice,
            stage=str(stage.stage),
            prices=self._prices(stage.name),
        )
        if cost is None:
            # The sum is a lower bound from now on.
            self._is_complete = False
        else:
            self._cost = add_costs(self._cost, cost)
        self._emit(
            E.PROVIDER_USED,
            provider=stage.name,
            stage=str(stage.stage),
            key=stage.key,
            usage=usage,
            cost_usd=None if cost is None else cost.total,
            prices_of="" if cost is None else cost.prices_of,
            model=stage.model,
            is_upper_estimate=cost is not None and cost.is_upper_estimate,
        )

    def add(self, usage: Usage) -> None:
        """Add usage that is not billed by a stage."""
        self.session += usage
        self.response += usage
