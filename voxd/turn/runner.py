"""Performs the actions of the turn machine and feeds the results back as inputs."""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from traceback import format_tb
from typing import Any, Protocol

from voxd.audio.earcons import render
from voxd.audio.playback import Playback
from voxd.audio.speaker import Speaker
from voxd.config.schema import Turn as TurnConfig
from voxd.errors import Busy, VoxdError, third_party
from voxd.events import Emit
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame, ms_from_samples
from voxd.observe.ledger import RESPONSE, LatencyLedger, TurnStage, stages_ms
from voxd.providers.contract import PlaybackResult, Provider, ReplyItem, Request
from voxd.tasks import TaskScope
from voxd.turn import actions as do
from voxd.turn.inputs import (
    Earcon,
    Input,
    ListenRequested,
    ReplyFailed,
    ReplyFinished,
    ReplyStarted,
    Source,
    UserSpeechEnded,
    UserSpeechStarted,
    WakeWordDetected,
)
from voxd.turn.machine import TurnMachine
from voxd.turn.reply_player import Outcome, ReplyPlayer, TurnRecord
from voxd.turn.ringer import Ringer
from voxd.turn.spoken_errors import spoken_error
from voxd.turn.streams import frames, once, sentence

_log = logging.getLogger(__name__)


class UtteranceSource(Protocol):
    """How the runner controls capture; `voxd.listen.speech_input.SpeechInput` is the real one."""

    def capture(
        self, from_sample: int | None, hold: bool = False, follow_up_s: float | None = None
    ) -> AsyncIterator[Frame]:
        """Capture from ``from_sample`` (None: now) to the end of speech."""

    def end_capture(self, sample: int | None) -> None:
        """End the utterance at ``sample`` (None: now)."""

    def drop_capture(self) -> None:
        """Forget the utterance."""

    def time_of(self, sample: int) -> float:
        """Return when ``sample`` was captured, by the monotonic clock."""


@dataclass(frozen=True, slots=True)
class TurnDependencies:
    """What the runner acts on; built by the composition root."""

    speech_input: UtteranceSource
    speaker: Speaker
    ringer: Ringer
    ledger: LatencyLedger
    provider_for: Callable[[str], Provider]
    set_microphone: Callable[[bool], Coroutine[Any, Any, None]]
    stop_ring: Callable[[Source], None]
    turn_ended: Callable[[TurnRecord], None]
    emit: Emit


class TurnRunner:
    """Performs the actions of the turn machine."""

    def __init__(self, machine: TurnMachine, dependencies: TurnDependencies, config: TurnConfig) -> None:
        self.machine = machine
        self.config = config
        self.turn: TurnRecord | None = None
        self.last_reply = ""
        self._parts = dependencies
        self.agent = "default"
        self._began_s: float | None = None
        self._speech_start = 0
        # From 1 at each start: the id names a turn in events and the log; the history has ids of its own.
        self._ids = itertools.count(1)
        self._tasks = TaskScope("turn runner")
        self._utterance: AsyncIterator[Frame] | None = None
        self._conversation: ReplyPlayer | None = None
        self._task: asyncio.Task[None] | None = None
        self._chime: Playback | None = None

    def feed(self, event: Input) -> None:
        """Feed the machine and perform its actions. Call it on the event loop only."""
        before = self.machine.state
        # Before the machine: an action may need what the event says of time, and events keep their order.
        self._record(event)
        for action in self.machine.feed(event):
            self._perform(action)
        if self.machine.state is not before:
            states = {"from": before.value, "to": self.machine.state.value}
            self._parts.emit("state.changed", turn=self._turn_id, **states)
        # Valid only for a turn that began just now: a wake word without a turn must not date the next one.
        self._began_s = None

    def configure(self, config: TurnConfig) -> None:
        """Apply a reloaded configuration from the next turn on."""
        self.config = config
        self.machine.follow_up = config.follow_up
        self.machine.earcons = config.earcons

    async def close(self) -> None:
        """End the reply and the turn under way, and wait for the background tasks. Idempotent."""
        self._cancel()
        self._end("cancelled")
        await self._tasks.close()
        await self._parts.ringer.close()

    @property
    def _turn_id(self) -> str | None:
        return self.turn.id if self.turn else None

    def _record(self, event: Input) -> None:
        match event:
            case WakeWordDetected(end_sample=sample):
                self._began_s = self._parts.speech_input.time_of(sample)
            case ListenRequested(at_sample=sample):
                self._began_s = self._parts.speech_input.time_of(sample)
            case UserSpeechStarted(sample):
                self._speech_start = sample
                self._parts.emit("speech.started", turn=self._turn_id, sample=sample)
                if self._chime:
                    # A tone would be captured together with the user's speech.
                    self._tasks.start(self._chime.stop())
            case UserSpeechEnded(sample, reason):
                duration_ms = round(ms_from_samples(sample - self._speech_start))
                self._parts.emit(
                    "speech.ended", turn=self._turn_id, sample=sample, reason=reason, duration_ms=duration_ms
                )
                self._parts.ledger.stamp(TurnStage.END_OF_SPEECH, self._parts.speech_input.time_of(sample))
                self._parts.ledger.stamp(TurnStage.ENDPOINT)
                if self._conversation:
                    self._conversation.expect_reply(self.config.reply_timeout_s)

    def _perform(self, action: do.Action) -> None:
        parts = self._parts
        match action:
            case do.BeginTurn(source, agent):
                self._begin(source, agent)
            case do.SwitchAgent(agent):
                self.agent = agent
                if self.turn:
                    self.turn.agent = agent
            case do.StartCapture(from_sample, hold, follow_up):
                wait_s = self.config.follow_up_s if follow_up else None
                self._utterance = parts.speech_input.capture(from_sample, hold=hold, follow_up_s=wait_s)
                # While the user speaks, so that no reply waits for a model to load or a session to open.
                parts.provider_for(self.agent).prepare()
                # A follow-up has no turn until the user speaks; `_begin` then starts to listen.
                if self.turn:
                    self._listen()
            case do.EndCapture(sample):
                parts.speech_input.end_capture(sample)
            case do.DropCapture():
                parts.speech_input.drop_capture()
                self._utterance = None
                self._cancel()
            case do.AnswerQuestion(question, speak):
                self._answer(question, speak)
            case do.SpeakText(text):
                self._speak(text)
            case do.RepeatReply():
                self._speak(self.last_reply or "I have not said anything yet.")
            case do.SpeakError(code):
                self._speak(spoken_error(code))
            case do.CancelReply(by):
                self._cancel(by)
            case do.EndTurn(outcome):
                self._end(outcome)
            case do.PlayEarcon(earcon):
                self._play_chime(earcon)
            case do.SetMicrophone(open_, source):
                self._tasks.start(parts.set_microphone(open_))
                parts.emit("mute.changed", muted=not open_, source=source.value)
            case do.StartRing():
                parts.ringer.start()
            case do.PauseRing():
                parts.ringer.pause()
            case do.EndRing(by):
                parts.stop_ring(by)

    # --- turns ------------------------------------------------------------------------------------

    def _begin(self, source: Source, agent: str | None) -> None:
        # A follow-up goes to the agent that asked; the button and the socket to the default one.
        self.agent = agent or (self.agent if source is Source.FOLLOW_UP else "default")
        self.turn = TurnRecord(f"t{next(self._ids)}", source, self.agent)
        self._parts.ledger.begin(self.turn.id, source.value, self._began_s)
        self._parts.emit("turn.started", turn=self.turn.id, source=source.value, agent=self.agent)
        self._parts.speaker.prepare()
        if source is Source.FOLLOW_UP:
            self._listen()

    def _end(self, outcome: str) -> None:
        turn, self.turn = self.turn, None
        if turn is None:
            return
        turn.outcome = outcome
        # "Repeat that" means the last turn with a reply.
        if turn.result.reply:
            self.last_reply = turn.result.reply
        self._parts.ledger.end(outcome)
        if last := self._parts.ledger.last():
            turn.stages_ms = stages_ms(last)
        self._parts.emit(
            "turn.ended",
            turn=turn.id,
            outcome=outcome,
            latency_ms=turn.stages_ms.get(RESPONSE),
            stages_ms=turn.stages_ms,
        )
        # Last but one: `voxctl ask` waits for it, and then reads what was set above.
        turn.done.set()
        self._parts.turn_ended(turn)

    def _listen(self) -> None:
        if self.turn and self._utterance:
            utterance, self._utterance = self._utterance, None
            self._converse(Request(self.turn.id, self.turn.agent, audio=utterance))

    def _answer(self, question: str | Clip, speak: bool) -> None:
        if self.turn is None:
            return
        self.turn.aloud = speak
        if isinstance(question, str):
            request = Request(self.turn.id, self.turn.agent, text=question, speak=speak)
        else:
            request = Request(self.turn.id, self.turn.agent, audio=frames(question), speak=speak)
        self._parts.ledger.stamp(TurnStage.ASKED)
        self._converse(request).expect_reply(self.config.reply_timeout_s)

    def _converse(self, request: Request) -> ReplyPlayer:
        replies = self._parts.provider_for(request.agent).converse(request)
        return self._drive(replies, request.playback)

    def _speak(self, text: str) -> None:
        # A question typed without --speak gets its apology as text too.
        aloud = self.turn is None or self.turn.aloud
        replies = sentence(text, self._parts.provider_for(self.agent), aloud=aloud)
        self._drive(replies).expect_reply(self.config.reply_timeout_s)

    def _drive(
        self, replies: AsyncGenerator[ReplyItem], playback_result: PlaybackResult | None = None
    ) -> ReplyPlayer:
        self._cancel()
        turn = self.turn
        conversation = ReplyPlayer(
            turn.id if turn else "",
            turn.result if turn else Outcome(),
            speaker=self._parts.speaker,
            emit=self._parts.emit,
            stamp=self._parts.ledger.stamp,
            on_started=lambda: self.feed(ReplyStarted()),
            playback_result=playback_result,
        )
        self._conversation = conversation
        self._task = self._tasks.start(self._run(conversation, replies))
        return conversation

    async def _run(self, conversation: ReplyPlayer, replies: AsyncGenerator[ReplyItem]) -> None:
        def failure_of(error: Exception) -> VoxdError:
            # The type and the place, but not the message: it may hold the user's words.
            message = f"a reply failed: {type(error).__name__}"
            _log.error("%s\n%s", message, "".join(format_tb(error.__traceback__)))
            return VoxdError(message, hint="see the log")

        try:
            # A provider may be third-party code; its failure must end one reply, not the turn's task.
            with third_party(failure_of):
                await conversation.run(replies)
        except VoxdError as error:
            self._parts.emit("error", code=error.code, message=str(error), hint=error.hint)
            self._finish(conversation, ReplyFailed(error.code))
        else:
            self._finish(conversation, ReplyFinished(conversation.outcome.expects_answer))

    def _finish(self, conversation: ReplyPlayer, result: Input) -> None:
        # An abandoned reply that ends late belongs to no turn: the next one has begun.
        if self._conversation is conversation:
            self._conversation = self._task = None
            self.feed(result)

    def _cancel(self, by: Source | None = None) -> None:
        conversation, task = self._conversation, self._task
        self._conversation = self._task = None
        if conversation and task:
            conversation.abandon()
            self._tasks.start(self._silence(conversation, task, by, self._turn_id))

    async def _silence(
        self, conversation: ReplyPlayer, task: asyncio.Task[None], by: Source | None, turn: str | None
    ) -> None:
        # Stop first: it measures what was played, which the provider reads when its generator is closed.
        played_ms = await conversation.stop()
        task.cancel()
        if by:
            self._parts.emit("turn.interrupted", turn=turn, by=by.value, played_ms=round(played_ms))

    # --- short sounds -----------------------------------------------------------------------------

    def _play_chime(self, earcon: Earcon) -> None:
        clip = render(earcon, SAMPLE_RATE_HZ)
        try:
            self._chime = self._parts.speaker.play(once(clip), kind="earcon")
        except Busy:
            _log.debug("no room for a chime; the lights show the state")
