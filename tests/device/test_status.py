"""The sentence that describes the state of the device."""

import pytest

from voxd.device.status import summarize
from voxd.turn.inputs import State

CASES = [
    (State.IDLE, ["hey_jarvis"], [], 'Listening for "hey jarvis" on mic'),
    (State.IDLE, ["alexa", "hey_jarvis"], [], 'Listening for "alexa" or "hey jarvis" on mic'),
    (State.IDLE, [], [], "Ready for the button or `voxctl listen`: no wake word is switched on"),
    (State.MUTED, ["alexa"], [], "Muted: the microphone is closed"),
    (
        State.ERROR,
        ["alexa"],
        ["microphone mic: no sound for 1 s"],
        "No sound from the microphone (microphone mic: no sound for 1 s)",
    ),
    (State.SPEAKING, ["alexa"], ["whisper: no model"], "Speaking (whisper: no model)"),
]


@pytest.mark.parametrize(("state", "words", "problems", "sentence"), CASES)
def test_the_summary_of_a_state(state: State, words: list[str], problems: list[str], sentence: str) -> None:
    assert summarize(state, words=words, device="mic", problems=problems) == sentence


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (State.IDLE, "Ringing: timer 3 and alarm 4"),
        (State.MUTED, "Ringing: timer 3 and alarm 4, muted"),
        (State.SPEAKING, "Speaking"),
    ],
)
def test_what_rings_is_in_the_summary(state: State, sentence: str) -> None:
    ringing = ("timer 3", "alarm 4")
    assert summarize(state, words=["alexa"], device="mic", problems=[], ringing=ringing) == sentence


def test_every_state_has_a_sentence() -> None:
    for state in State:
        assert summarize(state, words=[], device="mic", problems=[])
