"""Translates button gestures, bus events and voice commands into inputs of the turn machine."""

from collections.abc import Callable

from voxd.events import Event
from voxd.hardware.button import Buttons
from voxd.hardware.gestures import GestureKind
from voxd.listen.speech_input import SpeechInput
from voxd.skills.timers import Timers
from voxd.store.settings import SettingsFile
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


class EventInputs:
    """A handler of the bus: posts the inputs that follow from events, and saves the mute setting."""

    def __init__(
        self,
        post: Callable[[Input], None],
        speech_input: SpeechInput,
        buttons: Buttons,
        timers: Timers,
        settings: SettingsFile,
    ) -> None:
        self._post = post
        self._speech_input = speech_input
        self._buttons = buttons
        self._timers = timers
        self._settings = settings

    def __call__(self, event: Event) -> None:
        """Post the input for ``event``, if there is one."""
        match event.type:
            case "audio.lost":
                self._post(AudioLost(event.data["reason"]))
            case "audio.restored":
                # The sound before the gap and after it are not one utterance.
                self._speech_input.reset()
                self._post(AudioRestored())
            case "speech.started":
                self._buttons.speech_heard()
            case "timer.stopped" | "timer.cancelled" if not self._timers.ringing():
                self._post(RingEnded())
            # The position of the switch is read at each start, so it is not saved.
            case "mute.changed" if event.data["source"] != Source.SWITCH.value:
                self._settings.change(muted=event.data["muted"])


class VoiceControl:
    """The device functions that the skills call; the composition root connects each to its part."""

    def __init__(
        self,
        post: Callable[[Input], None],
        *,
        volume: Callable[[], int],
        set_volume: Callable[[int], int],
        last_reply: Callable[[], str],
        describe: Callable[[], str],
    ) -> None:
        self._post = post
        self._volume = volume
        self._set_volume = set_volume
        self._last_reply = last_reply
        self._describe = describe

    def volume(self) -> int:
        """Return the output volume in percent."""
        return self._volume()

    def set_volume(self, percent: int) -> int:
        """Set the output volume, clamped to 0..100; returns it."""
        return self._set_volume(max(0, min(100, percent)))

    def mute(self) -> None:
        """Close the microphone."""
        self._post(MuteRequested(True, Source.VOICE))

    def stop(self) -> None:
        """Stop a ring. The turn with this voice command ends by itself."""
        self._post(StopRequested(Source.VOICE))

    def last_reply(self) -> str:
        """Return the last reply, "" if there was none."""
        return self._last_reply()

    def summary(self) -> str:
        """Return the state of the device as one spoken sentence."""
        return self._describe()
