"""The turn machine as tables: what the device does, state by state."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.turn.actions import (
    Action,
    AnswerQuestion,
    BeginTurn,
    CancelReply,
    DropCapture,
    EndCapture,
    EndRing,
    EndTurn,
    PauseRing,
    PlayEarcon,
    RepeatReply,
    SetMicrophone,
    SpeakError,
    SpeakText,
    StartCapture,
    StartRing,
    SwitchAgent,
)
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
from voxd.turn.machine import RESTING, TABLE, TurnMachine

WOKEN = WakeWordDetected("hey_jarvis", "default", 0.9, 16_000)
BUTTON = ListenRequested(Source.BUTTON, 5_000)
HOLD = ListenRequested(Source.BUTTON, 5_000, hold=True)
ENDED = UserSpeechEnded(32_000, "silence")
MUTE = MuteRequested(True, Source.SOCKET)
UNMUTE = MuteRequested(False, Source.SOCKET)

PATHS: dict[State, list[Input]] = {
    State.IDLE: [],
    State.LISTENING: [WOKEN],
    State.THINKING: [WOKEN, ENDED],
    State.SPEAKING: [WOKEN, ENDED, ReplyStarted()],
    State.FOLLOW_UP: [WOKEN, ENDED, ReplyStarted(), ReplyFinished(expects_answer=True)],
    State.MUTED: [MUTE],
    State.ERROR: [AudioLost("stalled")],
}


def machine_in(state: State) -> TurnMachine:
    machine = TurnMachine()
    for given_input in PATHS[state]:
        machine.feed(given_input)
    assert machine.state is state
    return machine


WAKE = [BeginTurn(Source.WAKE_WORD, "default"), StartCapture(16_000)]

TRANSITIONS: list[tuple[State, Input, list[Action], State]] = [
    (State.IDLE, WOKEN, WAKE, State.LISTENING),
    (State.IDLE, BUTTON, [BeginTurn(Source.BUTTON, None), StartCapture(5_000)], State.LISTENING),
    (State.IDLE, HOLD, [BeginTurn(Source.BUTTON, None), StartCapture(5_000, hold=True)], State.LISTENING),
    (State.IDLE, UserSpeechStarted(1), [], State.IDLE),
    (State.IDLE, StopRequested(Source.SOCKET), [], State.IDLE),
    (
        State.IDLE,
        QuestionReceived("hi", True),
        [BeginTurn(Source.SOCKET, None), AnswerQuestion("hi", True)],
        State.THINKING,
    ),
    (State.IDLE, SayRequested("hi"), [BeginTurn(Source.SOCKET, None), SpeakText("hi")], State.THINKING),
    (
        State.IDLE,
        RepeatRequested(Source.BUTTON),
        [BeginTurn(Source.BUTTON, None), RepeatReply()],
        State.THINKING,
    ),
    (State.IDLE, MUTE, [SetMicrophone(False, Source.SOCKET), PlayEarcon(Earcon.MUTED)], State.MUTED),
    (State.IDLE, UNMUTE, [], State.IDLE),
    (State.IDLE, AudioLost("stalled"), [], State.ERROR),
    (State.IDLE, RingStarted(), [StartRing()], State.IDLE),
    (
        State.LISTENING,
        WakeWordDetected("alexa", "house", 0.9, 16_000),
        [DropCapture(), SwitchAgent("house"), StartCapture(16_000)],
        State.LISTENING,
    ),
    (State.LISTENING, BUTTON, [], State.LISTENING),
    (State.LISTENING, AwaitingSpeech(), [PlayEarcon(Earcon.WAKE)], State.LISTENING),
    (State.LISTENING, UserSpeechStarted(1), [], State.LISTENING),
    (State.LISTENING, ListenReleased(), [EndCapture(None)], State.LISTENING),
    (State.LISTENING, ENDED, [EndCapture(32_000)], State.THINKING),
    (State.LISTENING, NoSpeechDetected(), [DropCapture(), EndTurn("no_speech")], State.IDLE),
    (State.LISTENING, QuestionReceived("hi", True), [], State.LISTENING),
    (
        State.LISTENING,
        RepeatRequested(Source.BUTTON),
        [DropCapture(), EndTurn("cancelled"), BeginTurn(Source.BUTTON, None), RepeatReply()],
        State.THINKING,
    ),
    (State.LISTENING, StopRequested(Source.BUTTON), [DropCapture(), EndTurn("cancelled")], State.IDLE),
    (
        State.LISTENING,
        MUTE,
        [
            DropCapture(),
            EndTurn("cancelled"),
            SetMicrophone(False, Source.SOCKET),
            PlayEarcon(Earcon.MUTED),
        ],
        State.MUTED,
    ),
    (
        State.LISTENING,
        AudioLost("stalled"),
        [DropCapture(), SpeakError("device_unavailable")],
        State.THINKING,
    ),
    (State.LISTENING, CaptureFailed("x"), [DropCapture(), SpeakError("x")], State.THINKING),
    (State.LISTENING, ReplyFailed("timeout"), [DropCapture(), SpeakError("timeout")], State.THINKING),
    (State.THINKING, ReplyStarted(), [], State.SPEAKING),
    (State.THINKING, ReplyFinished(), [EndTurn("answered")], State.IDLE),
    (State.THINKING, ReplyFailed("timeout"), [SpeakError("timeout")], State.THINKING),
    (State.THINKING, MUTE, [SetMicrophone(False, Source.SOCKET)], State.THINKING),
    (
        State.SPEAKING,
        WOKEN,
        [CancelReply(Source.WAKE_WORD), EndTurn("interrupted"), *WAKE],
        State.LISTENING,
    ),
    (
        State.SPEAKING,
        StopRequested(Source.BUTTON),
        [CancelReply(Source.BUTTON), EndTurn("cancelled")],
        State.IDLE,
    ),
    (State.SPEAKING, StopRequested(Source.VOICE), [], State.SPEAKING),
    (State.SPEAKING, ReplyFinished(), [EndTurn("answered")], State.IDLE),
    (
        State.SPEAKING,
        ReplyFinished(expects_answer=True),
        [EndTurn("answered"), StartCapture(None, follow_up=True)],
        State.FOLLOW_UP,
    ),
    (State.SPEAKING, RingStarted(), [], State.SPEAKING),
    (State.SPEAKING, AudioLost("stalled"), [], State.SPEAKING),
    (State.FOLLOW_UP, UserSpeechStarted(1), [BeginTurn(Source.FOLLOW_UP, None)], State.LISTENING),
    (State.FOLLOW_UP, NoSpeechDetected(), [DropCapture()], State.IDLE),
    (
        State.FOLLOW_UP,
        CaptureFailed("x"),
        [DropCapture(), BeginTurn(Source.FOLLOW_UP, None), SpeakError("x")],
        State.THINKING,
    ),
    (State.FOLLOW_UP, WOKEN, [DropCapture(), *WAKE], State.LISTENING),
    (State.FOLLOW_UP, AwaitingSpeech(), [], State.FOLLOW_UP),
    (
        State.FOLLOW_UP,
        AudioLost("stalled"),
        [DropCapture(), BeginTurn(Source.FOLLOW_UP, None), SpeakError("device_unavailable")],
        State.THINKING,
    ),
    (State.MUTED, WOKEN, [], State.MUTED),
    (State.MUTED, BUTTON, [PlayEarcon(Earcon.MUTED)], State.MUTED),
    (State.MUTED, UNMUTE, [SetMicrophone(True, Source.SOCKET), PlayEarcon(Earcon.UNMUTED)], State.IDLE),
    (State.MUTED, SayRequested("hi"), [BeginTurn(Source.SOCKET, None), SpeakText("hi")], State.THINKING),
    (
        State.ERROR,
        BUTTON,
        [BeginTurn(Source.BUTTON, None), SpeakError("device_unavailable")],
        State.THINKING,
    ),
    (State.ERROR, AudioRestored(), [], State.IDLE),
]


@pytest.mark.parametrize(("state", "given_input", "actions", "after"), TRANSITIONS)
def test_a_transition(state: State, given_input: Input, actions: list[Action], after: State) -> None:
    machine = machine_in(state)
    assert machine.feed(given_input) == actions
    assert machine.state is after


def test_every_input_has_its_row() -> None:
    assert set(TABLE) == set(get_args(Input))


def test_a_muted_device_that_was_asked_to_speak_is_muted_again_afterwards() -> None:
    machine = machine_in(State.MUTED)
    machine.feed(SayRequested("hi"))
    machine.feed(ReplyStarted())
    machine.feed(ReplyFinished(expects_answer=True))
    assert machine.state is State.MUTED


def test_a_closed_switch_wins_over_unmute() -> None:
    machine = TurnMachine()
    machine.feed(MuteRequested(True, Source.SWITCH))
    assert machine.feed(UNMUTE) == []
    assert machine.state is State.MUTED
    assert SetMicrophone(True, Source.SWITCH) in machine.feed(MuteRequested(False, Source.SWITCH))
    assert machine.state is State.IDLE


def test_a_failed_apology_ends_in_a_tone() -> None:
    machine = machine_in(State.THINKING)
    machine.feed(ReplyFailed("timeout"))
    assert machine.feed(ReplyFailed("engine_failed")) == [PlayEarcon(Earcon.ERROR), EndTurn("engine_failed")]
    assert machine.state is State.IDLE


def test_a_spoken_apology_leaves_the_reason_as_outcome() -> None:
    machine = machine_in(State.THINKING)
    machine.feed(ReplyFailed("timeout"))
    machine.feed(ReplyStarted())
    assert machine.feed(ReplyFinished()) == [EndTurn("timeout")]


def test_a_ring_waits_for_the_turn_and_goes_on_after_it() -> None:
    machine = machine_in(State.SPEAKING)
    machine.feed(RingStarted())
    assert machine.feed(ReplyFinished()) == [EndTurn("answered"), StartRing()]
    assert machine.feed(WOKEN)[0] == PauseRing()
    machine.feed(ENDED)
    assert machine.feed(StopRequested(Source.VOICE)) == [PauseRing(), EndRing(Source.VOICE)]
    assert machine.feed(ReplyFinished()) == [EndTurn("answered")]


def test_a_button_silences_a_ring() -> None:
    machine = TurnMachine()
    machine.feed(RingStarted())
    assert machine.feed(StopRequested(Source.BUTTON)) == [PauseRing(), EndRing(Source.BUTTON)]
    assert machine.feed(RingEnded()) == []


def test_a_held_button_plays_no_tone() -> None:
    machine = TurnMachine()
    machine.feed(HOLD)
    assert machine.feed(AwaitingSpeech()) == []


@pytest.mark.parametrize(
    ("given_input", "actions"),
    [
        (AudioLost("exited"), [EndCapture(None)]),
        (CaptureFailed("device_unavailable"), [EndCapture(None)]),
        (NoSpeechDetected(), [EndCapture(None)]),
        (ENDED, [EndCapture(32_000)]),
        (MUTE, [EndCapture(None), SetMicrophone(False, Source.SOCKET)]),
    ],
)
def test_a_reply_that_sounds_before_the_utterance_ends_needs_no_microphone(
    given_input: Input, actions: list[Action]
) -> None:
    machine = machine_in(State.LISTENING)
    machine.feed(ReplyStarted())
    assert machine.feed(given_input) == actions
    assert machine.state is State.SPEAKING
    assert EndTurn("answered") in machine.feed(ReplyFinished())


def test_a_question_of_the_device_that_cannot_be_answered_by_voice_says_so() -> None:
    machine = machine_in(State.SPEAKING)
    machine.feed(AudioLost("stalled"))
    assert machine.feed(ReplyFinished(expects_answer=True)) == [
        EndTurn("answered"),
        BeginTurn(Source.FOLLOW_UP, None),
        SpeakError("device_unavailable"),
    ]
    assert machine.feed(ReplyFinished()) == [EndTurn("device_unavailable")]
    assert machine.state is State.ERROR


@pytest.mark.parametrize("speak", [True, False])
def test_a_typed_question_is_answered_without_a_microphone(speak: bool) -> None:
    machine = machine_in(State.ERROR)
    machine.feed(QuestionReceived("hi", speak))
    machine.feed(AudioLost("stalled"))
    said = machine.feed(ReplyFinished(expects_answer=True))
    assert said[0] == EndTurn("answered")
    # An answer that is only shown is followed by no sound.
    assert (SpeakError("device_unavailable") in said) is speak


def test_a_muted_device_without_tones_says_why_it_does_not_listen() -> None:
    machine = TurnMachine(earcons=False)
    machine.feed(MUTE)
    assert machine.feed(BUTTON) == [BeginTurn(Source.BUTTON, None), SpeakError("muted")]
    machine.feed(ReplyStarted())
    assert machine.feed(BUTTON) == []


INPUTS = st.sampled_from(
    [
        WOKEN,
        BUTTON,
        HOLD,
        ListenReleased(),
        UserSpeechStarted(1),
        ENDED,
        AwaitingSpeech(),
        NoSpeechDetected(),
        CaptureFailed("device_unavailable"),
        QuestionReceived("hi", True),
        SayRequested("hi"),
        RepeatRequested(Source.BUTTON),
        ReplyStarted(),
        ReplyFinished(),
        ReplyFinished(expects_answer=True),
        ReplyFailed("timeout"),
        StopRequested(Source.BUTTON),
        StopRequested(Source.VOICE),
        MUTE,
        UNMUTE,
        MuteRequested(True, Source.SWITCH),
        MuteRequested(False, Source.SWITCH),
        AudioLost("stalled"),
        AudioRestored(),
        RingStarted(),
        RingEnded(),
    ]
)


@examples(400)
@given(st.lists(INPUTS, max_size=40))
def test_turns_never_overlap_and_a_muted_device_never_captures(inputs: list[Input]) -> None:
    machine = TurnMachine()
    open_turn = capturing = False
    for given_input in inputs:
        for action in machine.feed(given_input):
            match action:
                case BeginTurn():
                    assert not open_turn
                    open_turn = True
                case EndTurn():
                    assert open_turn
                    open_turn = False
                case StartCapture():
                    assert not machine.muted
                    assert not machine.microphone_lost
                    capturing = True
                case DropCapture() | EndCapture():
                    capturing = False
                case SetMicrophone(open=False):
                    assert not capturing
        if machine.state in RESTING:
            assert not open_turn
    machine.feed(StopRequested(Source.BUTTON))
    assert machine.state in RESTING
