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

    # The attributes besides ``state`` are facts that outlive a turn; those with an underscore belong to one.

    def __init__(self, *, follow_up: bool = True, earcons: bool = True) -> None:
        self.state = State.IDLE
        self.follow_up = follow_up
        self.earcons = earcons
        self.muted = False
        self.switch_closed = False
        self.microphone_lost = False
        self.ringing = False
        # True during push to talk: the end of speech is the release of the button.
        self._holding = False
        # The code of the failure whose apology is being spoken, which becomes the outcome of the turn.
        self._failed = ""
        # True once the reply sounds although the utterance is not over: the vendor found its end first.
        self._is_answering = False
        # False for a typed question whose answer is only shown.
        self._aloud = True

    def feed(self, event: Input) -> list[Action]:
        """Return the actions for ``event`` in the present state, and enter the next state."""
        rule = TABLE[type(event)].get(self.state)
        return rule(self, event) if rule else []

    # --- listening --------------------------------------------------------------------------------

    def _wake(self, event: WakeWordDetected) -> list[Action]:
        if self.muted or self.microphone_lost:
            # Confirmed from sound captured just before the microphone was muted or lost.
            return []
        return [
            *self._end_current_turn(Source.WAKE_WORD),
            *self._listen(Source.WAKE_WORD, event.agent, event.end_sample),
        ]

    def _restart_capture(self, event: WakeWordDetected) -> list[Action]:
        # A second wake word begins anew: what was said before it was not meant for the device. The turn
        # stays, with the agent of the word that was said last.
        self._is_answering = False
        return [do.DropCapture(), do.SwitchAgent(event.agent), do.StartCapture(event.end_sample)]

    def _listen_on_request(self, event: ListenRequested) -> list[Action]:
        if self.muted and self.state in RESTING and not self.earcons:
            return self._refuse_to_listen(event, "muted")
        if self.muted or self.microphone_lost:
            return self._chime(Earcon.MUTED if self.muted else Earcon.ERROR)
        return [
            *self._end_current_turn(event.source),
            *self._listen(event.source, None, event.at_sample, hold=event.hold),
        ]

    def _refuse_to_listen(self, event: ListenRequested, code: str = "device_unavailable") -> list[Action]:
        return [*self._pause_ring_at_rest(), *self._say_why(event.source, code)]

    def _say_why(self, source: Source, code: str) -> list[Action]:
        """Begin a turn that only says why the device does not listen."""
        self._aloud = True
        return [do.BeginTurn(source, None), *self._fail(code)]

    def _listen(
        self, source: Source, agent: str | None, sample: int | None, *, hold: bool = False
    ) -> list[Action]:
        self.state = State.LISTENING
        self._holding = hold
        self._is_answering, self._aloud = False, True
        return [do.BeginTurn(source, agent), do.StartCapture(sample, hold=hold)]

    def _end_capture(self, event: ListenReleased) -> list[Action]:
        return [do.EndCapture(None)]

    def _confirm_wake(self, event: AwaitingSpeech) -> list[Action]:
        # Only at a pause: a tone over the first words would be captured with them. Push to talk needs none,
        # the finger is on the button.
        return [] if self._holding else self._chime(Earcon.WAKE)

    def _begin_follow_up(self, event: UserSpeechStarted) -> list[Action]:
        # The turn begins with speech: a follow-up without speech leaves no turn in the history.
        self.state = State.LISTENING
        self._holding = False
        self._is_answering, self._aloud = False, True
        return [do.BeginTurn(Source.FOLLOW_UP, None)]

    def _end_utterance(self, event: UserSpeechEnded) -> list[Action]:
        self.state = State.SPEAKING if self._is_answering else State.THINKING
        return [do.EndCapture(event.sample)]

    def _note_answering(self, event: ReplyStarted) -> list[Action]:
        self._is_answering = True
        return []

    def _only_speak(self) -> list[Action]:
        """End the utterance of a reply that sounds already: it needs no more of it."""
        self.state = State.SPEAKING
        return [do.EndCapture(None)]

    def _give_up_listening(self, event: NoSpeechDetected) -> list[Action]:
        if self._is_answering and self.state is State.LISTENING:
            return self._only_speak()
        return [*self._drop("no_speech"), *self._rest()]

    # --- questions that are not spoken here -------------------------------------------------------

    def _answer(self, event: QuestionReceived) -> list[Action]:
        actions = self._take_over()
        self._aloud = event.speak
        return [*actions, do.AnswerQuestion(event.question, event.speak)]

    def _say(self, event: SayRequested) -> list[Action]:
        return [*self._take_over(), do.SpeakText(event.text)]

    def _repeat(self, event: RepeatRequested) -> list[Action]:
        return [*self._take_over(event.source), do.RepeatReply()]

    def _take_over(self, source: Source = Source.SOCKET) -> list[Action]:
        actions = self._end_current_turn(source)
        self.state, self._aloud = State.THINKING, True
        return [*actions, do.BeginTurn(source, None)]

    # --- the reply --------------------------------------------------------------------------------

    def _show_speaking(self, event: ReplyStarted) -> list[Action]:
        self.state = State.SPEAKING
        return []

    def _finish_reply(self, event: ReplyFinished) -> list[Action]:
        # The reply may have been the apology for a failure: the turn ends with the code of that failure.
        outcome, self._failed = self._failed or "answered", ""
        done: list[Action] = [do.EndTurn(outcome)]
        if event.expects_answer and self.follow_up and not self.muted and outcome == "answered":
            if not self.microphone_lost:
                self.state = State.FOLLOW_UP
                return [*done, do.StartCapture(None, follow_up=True)]
            if self._aloud:
                # The device has asked something, and the user would answer in vain.
                return [*done, *self._say_why(Source.FOLLOW_UP, "device_unavailable")]
        return [*done, *self._rest()]

    def _apologise(self, event: ReplyFailed) -> list[Action]:
        if self._failed:
            # The apology failed too: a tone needs no engine.
            self._failed = ""
            return [*self._chime(Earcon.ERROR), do.EndTurn(event.code), *self._rest()]
        return self._fail(event.code)

    def _finish_while_listening(self, event: ReplyFinished) -> list[Action]:
        # The provider needs no more of what is said, or gets no more of it.
        return [do.DropCapture(), *self._finish_reply(event)]

    def _fail_while_listening(self, event: ReplyFailed) -> list[Action]:
        return [do.DropCapture(), *self._fail(event.code)]

    def _fail_to_capture(self, event: CaptureFailed) -> list[Action]:
        return self._stop_hearing(event.code)

    def _fail(self, code: str) -> list[Action]:
        self._failed = code
        self.state = State.THINKING
        return [do.SpeakError(code)]

    # --- stopping ---------------------------------------------------------------------------------

    def _stop_at_rest(self, event: StopRequested) -> list[Action]:
        return self._stop_ring(event.source)

    def _stop_capture(self, event: StopRequested) -> list[Action]:
        return [*self._stop_ring(event.source), *self._drop("cancelled"), *self._rest()]

    def _stop_reply(self, event: StopRequested) -> list[Action]:
        ring = self._stop_ring(event.source)
        if event.source is Source.VOICE:
            # The turn with the words "stop" is being answered itself: it ends by itself.
            return ring
        self._failed = ""
        return [*ring, do.CancelReply(event.source), do.EndTurn("cancelled"), *self._rest()]

    # --- the microphone ---------------------------------------------------------------------------

    def _mute(self, event: MuteRequested) -> list[Action]:
        # A switch is a position, not a request: while it is closed nothing else can open the microphone.
        if event.source is Source.SWITCH:
            self.switch_closed = event.muted
        wanted = event.muted or self.switch_closed
        if wanted == self.muted:
            return []
        self.muted = wanted
        actions: list[Action] = [do.SetMicrophone(not wanted, event.source)]
        if wanted and self.state is State.LISTENING and self._is_answering:
            actions = [*self._only_speak(), *actions]
        elif wanted and self.state in CAPTURING:
            actions = [*self._drop("cancelled"), *actions]
        if self.state in REPLYING:
            # The LEDs show it at once; muting closes the microphone and does not cut the reply.
            return actions
        return [*actions, *self._chime(Earcon.MUTED if wanted else Earcon.UNMUTED), *self._rest()]

    def _lose_microphone(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return []

    def _lose_microphone_at_rest(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return self._rest()

    def _lose_microphone_capturing(self, event: AudioLost) -> list[Action]:
        self.microphone_lost = True
        return self._stop_hearing("device_unavailable")

    def _stop_hearing(self, code: str) -> list[Action]:
        """End what needs the microphone and say why; a reply that sounds needs it no more."""
        if self.state is State.FOLLOW_UP:
            return [do.DropCapture(), *self._say_why(Source.FOLLOW_UP, code)]
        return self._only_speak() if self._is_answering else [do.DropCapture(), *self._fail(code)]

    def _restore_microphone(self, event: AudioRestored) -> list[Action]:
        self.microphone_lost = False
        return self._rest() if self.state in RESTING else []

    # --- ringing ----------------------------------------------------------------------------------

    def _start_ring(self, event: RingStarted) -> list[Action]:
        self.ringing = True
        return [do.StartRing()] if self.state in RESTING else []

    def _pause_ring(self, event: RingEnded) -> list[Action]:
        if not self.ringing:
            return []
        self.ringing = False
        return [do.PauseRing()]

    def _stop_ring(self, by: Source) -> list[Action]:
        return [*self._pause_ring(RingEnded()), do.EndRing(by)] if self.ringing else []

    def _pause_ring_at_rest(self) -> list[Action]:
        """Pause the ring; `_rest` lets it sound again unless it was stopped meanwhile."""
        return [do.PauseRing()] if self.ringing and self.state in RESTING else []

    # --- shared -----------------------------------------------------------------------------------

    def _end_current_turn(self, by: Source) -> list[Action]:
        """End whatever runs, so that a new turn can begin."""
        actions = self._pause_ring_at_rest()
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
        # Muted before lost: the user knows of the one and can do nothing about the other meanwhile.
        was_resting = self.state in RESTING
        self.state = State.MUTED if self.muted else State.ERROR if self.microphone_lost else State.IDLE
        self._holding = False
        # A timer that came due during a turn rings now, or again.
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

# Which rule answers an input in a state; without an entry the input means nothing there. tests/turn holds it
# total, holds turns from overlapping, and a muted device from capturing.
TABLE: Mapping[type[Any], Mapping[State, Rule[Any]]] = {
    WakeWordDetected: _in(_IDLE | _FOLLOW_UP | REPLYING, _M._wake) | _in(_LISTENING, _M._restart_capture),
    ListenRequested: _in(_ALL - _LISTENING - {State.ERROR}, _M._listen_on_request)
    | _in(frozenset({State.ERROR}), _M._refuse_to_listen),
    ListenReleased: _in(_LISTENING, _M._end_capture),
    UserSpeechStarted: _in(_FOLLOW_UP, _M._begin_follow_up),
    UserSpeechEnded: _in(_LISTENING, _M._end_utterance),
    AwaitingSpeech: _in(_LISTENING, _M._confirm_wake),
    NoSpeechDetected: _in(CAPTURING, _M._give_up_listening),
    CaptureFailed: _in(CAPTURING, _M._fail_to_capture),
    QuestionReceived: _in(RESTING | _FOLLOW_UP, _M._answer),
    SayRequested: _in(RESTING | _FOLLOW_UP, _M._say),
    RepeatRequested: _in(_ALL, _M._repeat),
    ReplyStarted: _in(frozenset({State.THINKING}), _M._show_speaking) | _in(_LISTENING, _M._note_answering),
    ReplyFinished: _in(REPLYING, _M._finish_reply) | _in(_LISTENING, _M._finish_while_listening),
    ReplyFailed: _in(REPLYING, _M._apologise) | _in(_LISTENING, _M._fail_while_listening),
    StopRequested: _in(RESTING, _M._stop_at_rest)
    | _in(CAPTURING, _M._stop_capture)
    | _in(REPLYING, _M._stop_reply),
    MuteRequested: _in(_ALL, _M._mute),
    AudioLost: _in(REPLYING, _M._lose_microphone)
    | _in(RESTING, _M._lose_microphone_at_rest)
    | _in(CAPTURING, _M._lose_microphone_capturing),
    AudioRestored: _in(_ALL, _M._restore_microphone),
    RingStarted: _in(_ALL, _M._start_ring),
    RingEnded: _in(_ALL, _M._pause_ring),
}
