"""Translates button gestures, bus events and voice commands into inputs of the turn machine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voxd.events import Event
from voxd.hardware.button import Buttons
from voxd.hardware.gestures import GestureKind
from voxd.listen.speech_input import SpeechInput
from voxd.skills.timing.timers import Timers
from voxd.turn.inputs import (
    AudioLost,
    AudioRestored,
    Input,
    ListenReleased,
    ListenRequested,
    MuteRequested,
    RepeatRequested,
    RingEnded,
    Source,
    State,
    StopRequested,
)
from voxd.turn.machine import REPLYING


def button_input(kind: GestureKind, *, state: State, ringing: bool, muted: bool, at_sample: int) -> Input:
    """Return the input for a gesture made at ``at_sample`` while the device is in ``state``.

    A short press stops a reply or a ring, ends the current utterance, or starts one. A long press mutes and
    unmutes.
    """
    match kind:
        case GestureKind.SHORT if ringing or state in REPLYING:
            return StopRequested(Source.BUTTON)
        case GestureKind.SHORT if state is State.LISTENING:
            return ListenReleased()
        case GestureKind.SHORT:
            return ListenRequested(Source.BUTTON, at_sample)
        case GestureKind.TALK_START:
            return ListenRequested(Source.BUTTON, at_sample, hold=True)
        case GestureKind.TALK_END:
            return ListenReleased()
        case GestureKind.REPEAT:
            return RepeatRequested(Source.BUTTON)
        case GestureKind.MUTE:
            return MuteRequested(not muted, Source.BUTTON)


@dataclass(frozen=True, slots=True)
class EventInputs:
    """A handler of the bus: posts the inputs that follow from events."""

    post: Callable[[Input], None]
    speech_input: SpeechInput
    buttons: Buttons
    timers: Timers

    def __call__(self, event: Event) -> None:
        """Post the input for ``event``, if there is one."""
        match event.type:
            case "audio.lost":
                self.post(AudioLost(event.data["reason"]))
            case "audio.restored":
                # The sound before the gap and after it are not one utterance.
                self.speech_input.reset()
                self.post(AudioRestored())
            # A button held while the user speaks is push to talk, not the long press that mutes.
            case "speech.started":
                self.buttons.speech_heard()
            # Several timers may ring together: the ring ends with the last of them.
            case "timer.stopped" | "timer.cancelled" if not self.timers.ringing():
                self.post(RingEnded())


@dataclass(frozen=True, slots=True)
class VoiceControl:
    """The device functions that the skills call; the composition root connects each to its part.

    Volumes are in percent. ``last_reply`` returns "" before the first one, ``summary`` the state of the
    device as a spoken sentence, ``is_muted`` whether the microphone is closed.
    """

    post: Callable[[Input], None]
    volume: Callable[[], int]
    change_volume: Callable[[int], Awaitable[int]]
    close_microphone: Callable[[], Awaitable[str]]
    last_reply: Callable[[], str]
    summary: Callable[[], str]
    is_muted: Callable[[], bool]

    async def set_volume(self, percent: int) -> int:
        """Set the output volume, clamped to 0..100; returns it. Raises `StoreError`."""
        # "Louder" at 95 % means the most there is; the API of the device refuses 105.
        return await self.change_volume(max(0, min(100, percent)))

    async def mute(self) -> bool:
        """Close the microphone; returns whether it stays closed over a restart."""
        return not await self.close_microphone()

    def stop(self) -> None:
        """Stop a ring. The turn with this voice command ends by itself."""
        self.post(StopRequested(Source.VOICE))
