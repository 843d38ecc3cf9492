"""One sentence that says how the device is: for systemd's STATUS line, `voxctl status` and aloud."""

from collections.abc import Sequence

from voxd.turn.inputs import State

_DOING = {
    State.LISTENING: "Listening to you",
    State.THINKING: "Thinking",
    State.SPEAKING: "Speaking",
    State.FOLLOW_UP: "Waiting for your answer",
}


def spoken_name(word: str) -> str:
    """Return a wake word's name as people say it: hey_jarvis is "hey jarvis"."""
    return word.replace("_", " ")


def summary(state: State, *, words: Sequence[str], device: str, problems: Sequence[str]) -> str:
    """Return the sentence for ``state``; ``words`` are the wake words that are switched on."""
    match state:
        case State.IDLE if words:
            names = " or ".join(f'"{spoken_name(word)}"' for word in words)
            base = f"Listening for {names} on {device}"
        case State.IDLE:
            base = "Ready for the button or `voxctl listen`: no wake word is switched on"
        case State.MUTED:
            base = "Muted: the microphone is closed"
        case State.ERROR:
            base = "Deaf: no sound from the microphone"
        case _:
            base = _DOING[state]
    return f"{base} ({problems[0]})" if problems else base
