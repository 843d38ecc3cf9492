"""The behaviour of the product in one file: one enum of states, one table, no clock and no device.

The table is total: every input has an answer in every state, and most answers are silence. Where the
device rests depends on two facts that outlive a turn, whether it is muted and whether it can hear.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from voxd.turn import actions as do
from voxd.turn.actions import Action
from voxd.turn.inputs import (
    AudioLost,
    AudioRestored,
    AwaitingSpeech,
    CaptureFailed,
    Earcon,
    Input,
    ListenReleased,
    ListenRequested,
    MuteRequested,
    NoSpeechDetected,
    QuestionReceived,
    RepeatRequested,
    ReplyFailed,
    ReplyFinished,
    ReplyStarted,
    RingEnded,
    RingStarted,
    SayRequested,
    Source,
    State,
    StopRequested,
    UserSpeechEnded,
    UserSpeechStarted,
    WakeWordDetected,
)

I = TypeVar("I")  # noqa: E741 - the input a rule is for
Rule = Callable[["TurnMachine", I], list[Action]]

RESTING = frozenset({State.IDLE, State.MUTED, State.ERROR})
CAPTURING = frozenset({State.LISTENING, State.FOLLOW_UP})
REPLYING = frozenset({State.THINKING, State.SPEAKING})


class TurnMachine:
    """Takes what happened, returns what to do."""

    def __init__(self, *, follow_up: bool = True, earcons: bool = True) -> None:
        self.state = State.IDLE
        self.follow_up = follow_up
        self.earcons = earcons
        self.muted = False
        self.switch_closed = False
        self.microphone_lost = False
        self.ringing = False
        self._holding = False
        self._failed = ""

    def feed(self, event: Input) -> list[Action]:
        """Return the actions for ``event`` in the present state, and enter the next state."""
        rule = TABLE[type(event)].get(self.state)
        return rule(self, event) if rule else []

    # --- listening --------------------------------------------------------------------------------

    def _woken(self, event: WakeWordDetected) -> list[Action]:
        if self.muted or self.microphone_lost:
            return []  # from just before the microphone was muted or lost
        return [
            *self._clear_the_floor(Source.WAKE_WORD),
            *self._listen(Source.WAKE_WORD, event.agent, event.end_sample),
        ]

    def _woken_again(self, event: WakeWordDetected) -> list[Action]:
        # A second wake word begins anew: what was said before it was not meant for the device.
        return [do.DropCapture(), do.SwitchAgent(event.agent), do.StartCapture(event.end_sample)]

    def _listen_asked(self, event: ListenRequested) -> list[Action]:
        if self.muted or self.microphone_lost:
            return self._chime(Earcon.MUTED if self.muted else Earcon.ERROR)
        return [
            *self._clear_the_floor(event.source),
            *self._listen(event.source, None, event.at_sample, hold=event.hold),
        ]

    def _listen_without_microphone(self, event: ListenRequested) -> list[Action]:
        return [*self._hush(), do.BeginTurn(event.source, None), *self._fail("device_unavailable")]

    def _listen(
        self, source: Source, agent: str | None, sample: int | None, *, hold: bool = False
    ) -> list[Action]:
        self.state = State.LISTENING
        self._holding = hold
        return [do.BeginTurn(source, agent), do.StartCapture(sample, hold=hold)]

    def _released(self, event: ListenReleased) -> list[Action]:
        return [do.EndCapture(None)]

    def _awaiting(self, event: AwaitingSpeech) -> list[Action]:
        return [] if self._holding else self._chime(Earcon.WAKE)

    def _follow_up_speech(self, event: UserSpeechStarted) -> list[Action]:
        self.state = State.LISTENING
        self._holding = False
        return [do.BeginTurn(Source.FOLLOW_UP, None)]

    def _speech_ended(self, event: UserSpeechEnded) -> list[Action]:
        self.state = State.THINKING
        return [do.EndCapture(event.sample)]

    def _no_speech(self, event: NoSpeechDetected | CaptureFailed) -> list[Action]:
        return [*self._drop("no_speech"), *self._rest()]

    # --- questions that are not spoken here -------------------------------------------------------

    def _asked(self, event: QuestionReceived) -> list[Action]:
        return [*self._take_over(), do.AnswerQuestion(event.question, event.speak)]

    def _say_asked(self, event: SayRequested) -> list[Action]:
        return [*self._take_over(), do.SpeakText(event.text)]

    def _repeat_asked(self, event: RepeatRequested) -> list[Action]:
        return [*self._take_over(event.source), do.RepeatReply()]

    def _take_over(self, source: Source = Source.SOCKET) -> list[Action]:
        actions = self._clear_the_floor(source)
        self.state = State.THINKING
        return [*actions, do.BeginTurn(source, None)]

    # --- the reply --------------------------------------------------------------------------------

    def _reply_started(self, event: ReplyStarted) -> list[Action]:
        self.state = State.SPEAKING
        return []

    def _reply_finished(self, event: ReplyFinished) -> list[Action]:
        outcome, self._failed = self._failed or "answered", ""
        done: list[Action] = [do.EndTurn(outcome)]
        if event.expects_answer and self.follow_up and not self.muted and not self.microphone_lost:
            self.state = State.FOLLOW_UP
            return [*done, do.StartCapture(None, follow_up=True)]
        return [*done, *self._rest()]

    def _reply_failed(self, event: ReplyFailed) -> list[Action]:
        if self._failed:
            # The apology failed too: a tone needs no engine.
            self._failed = ""
            return [*self._chime(Earcon.ERROR), do.EndTurn(event.code), *self._rest()]
        return self._fail(event.code)

    def _finished_while_listening(self, event: ReplyFinished) -> list[Action]:
        # The provider needs no more of what is said, or gets no more of it.
        return [do.DropCapture(), *self._reply_finished(event)]

    def _failed_while_listening(self, event: ReplyFailed | CaptureFailed) -> list[Action]:
        return [do.DropCapture(), *self._fail(event.code)]

    def _fail(self, code: str) -> list[Action]:
        self._failed = code
        self.state = State.THINKING
        return [do.SpeakError(code)]

    # --- stopping ---------------------------------------------------------------------------------

    def _stop_resting(self, event: StopRequested) -> list[Action]:
        return self._stop_ring(event.source)

    def _stop_capturing(self, event: StopRequested) -> list[Action]:
        return [*self._stop_ring(event.source), *self._drop("cancelled"), *self._rest()]

    def _stop_replying(self, event: StopRequested) -> list[Action]:
        ring = self._stop_ring(event.source)
        if event.source is Source.VOICE:
            return ring  # the turn that says "stop" is itself the reply: it ends by itself
        self._failed = ""
        return [*ring, do.CancelReply(event.source), do.EndTurn("cancelled"), *self._rest()]

    # --- the microphone ---------------------------------------------------------------------------

    def _mute_asked(self, event: MuteRequested) -> list[Action]:
        if event.source is Source.SWITCH:
            self.switch_closed = event.muted
        wanted = event.muted or self.switch_closed
        if wanted == self.muted:
            return []
        self.muted = wanted
        actions: list[Action] = [do.SetMicrophone(not wanted, event.source)]
        if wanted and self.state in CAPTURING:
            actions = [*self._drop("cancelled"), *actions]
        if self.state in REPLYING:
            return actions  # shown by the LEDs at once; the reply is not cut
        return [*actions, *self._chime(Earcon.MUTED if wanted else Earcon.UNMUTED), *self._rest()]

    def _audio_lost(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return []

    def _audio_lost_resting(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return self._rest()

    def _audio_lost_listening(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return [do.DropCapture(), *self._fail("device_unavailable")]

    def _audio_lost_follow_up(self, event: AudioLost) -> list[Action]:
        return [do.DropCapture(), *self._audio_lost_resting(event)]

    def _audio_restored(self, event: AudioRestored) -> list[Action]:
        self.microphone_lost = False
        return self._rest() if self.state in RESTING else []

    # --- ringing ----------------------------------------------------------------------------------

    def _ring_started(self, event: RingStarted) -> list[Action]:
        self.ringing = True
        return [do.StartRing()] if self.state in RESTING else []

    def _ring_ended(self, event: RingEnded) -> list[Action]:
        if not self.ringing:
            return []
        self.ringing = False
        return [do.PauseRing()]

    def _stop_ring(self, by: Source) -> list[Action]:
        return [*self._ring_ended(RingEnded()), do.EndRing(by)] if self.ringing else []

    def _hush(self) -> list[Action]:
        """Pause the ring; `_rest` lets it sound again unless it was stopped meanwhile."""
        return [do.PauseRing()] if self.ringing and self.state in RESTING else []

    # --- shared -----------------------------------------------------------------------------------

    def _clear_the_floor(self, by: Source) -> list[Action]:
        """End whatever runs, so that a new turn can begin."""
        actions = self._hush()
        if self.state in CAPTURING:
            actions += self._drop("cancelled")
        elif self.state in REPLYING:
            self._failed = ""
            actions += [do.CancelReply(by), do.EndTurn("interrupted")]
        return actions

    def _drop(self, outcome: str) -> list[Action]:
        """Forget the utterance; a follow-up has no turn until the user speaks."""
        return (
            [do.DropCapture()] if self.state is State.FOLLOW_UP else [do.DropCapture(), do.EndTurn(outcome)]
        )

    def _rest(self) -> list[Action]:
        was_resting = self.state in RESTING
        self.state = State.MUTED if self.muted else State.ERROR if self.microphone_lost else State.IDLE
        self._holding = False
        return [do.StartRing()] if self.ringing and not was_resting else []

    def _chime(self, earcon: Earcon) -> list[Action]:
        return [do.PlayEarcon(earcon)] if self.earcons else []


def _in(states: frozenset[State], rule: Rule[I]) -> dict[State, Rule[I]]:
    return dict.fromkeys(states, rule)


_M = TurnMachine
_IDLE = frozenset({State.IDLE})
_LISTENING = frozenset({State.LISTENING})
_FOLLOW_UP = frozenset({State.FOLLOW_UP})
_ALL = frozenset(State)

TABLE: Mapping[type[Any], Mapping[State, Rule[Any]]] = {
    WakeWordDetected: _in(_IDLE | _FOLLOW_UP | REPLYING, _M._woken) | _in(_LISTENING, _M._woken_again),
    ListenRequested: _in(_ALL - _LISTENING - {State.ERROR}, _M._listen_asked)
    | _in(frozenset({State.ERROR}), _M._listen_without_microphone),
    ListenReleased: _in(_LISTENING, _M._released),
    UserSpeechStarted: _in(_FOLLOW_UP, _M._follow_up_speech),
    UserSpeechEnded: _in(_LISTENING, _M._speech_ended),
    AwaitingSpeech: _in(_LISTENING, _M._awaiting),
    NoSpeechDetected: _in(CAPTURING, _M._no_speech),
    CaptureFailed: _in(_LISTENING, _M._failed_while_listening) | _in(_FOLLOW_UP, _M._no_speech),
    QuestionReceived: _in(RESTING | _FOLLOW_UP, _M._asked),
    SayRequested: _in(RESTING | _FOLLOW_UP, _M._say_asked),
    RepeatRequested: _in(_ALL, _M._repeat_asked),
    ReplyStarted: _in(frozenset({State.THINKING}), _M._reply_started),
    ReplyFinished: _in(REPLYING, _M._reply_finished) | _in(_LISTENING, _M._finished_while_listening),
    ReplyFailed: _in(REPLYING, _M._reply_failed) | _in(_LISTENING, _M._failed_while_listening),
    StopRequested: _in(RESTING, _M._stop_resting)
    | _in(CAPTURING, _M._stop_capturing)
    | _in(REPLYING, _M._stop_replying),
    MuteRequested: _in(_ALL, _M._mute_asked),
    AudioLost: _in(REPLYING, _M._audio_lost)
    | _in(RESTING, _M._audio_lost_resting)
    | _in(_LISTENING, _M._audio_lost_listening)
    | _in(_FOLLOW_UP, _M._audio_lost_follow_up),
    AudioRestored: _in(_ALL, _M._audio_restored),
    RingStarted: _in(_ALL, _M._ring_started),
    RingEnded: _in(_ALL, _M._ring_ended),
}
"""Which rule answers an input in a state; where none stands, the input means nothing there."""
