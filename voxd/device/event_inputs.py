"""What one room's events mean to another room."""

from collections.abc import Callable

from voxd.events import Event
from voxd.hardware.button import Buttons
from voxd.listen.speech_input import SpeechInput
from voxd.skills.timers import Timers
from voxd.store.settings import SettingsFile
from voxd.turn.inputs import AudioLost, AudioRestored, Input, RingEnded, Source


class EventInputs:
    """A handler of the bus that lets events be inputs of the turn machine, and settings outlive a restart."""

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
        """Draw the consequences of ``event``."""
        match event.type:
            case "audio.lost":
                self._post(AudioLost(event.data["reason"]))
            case "audio.restored":
                self._speech_input.reset()
                self._post(AudioRestored())
            case "speech.started":
                self._buttons.speech_heard()
            case "timer.stopped" | "timer.cancelled" if not self._timers.ringing():
                self._post(RingEnded())
            case "mute.changed" if event.data["source"] != Source.SWITCH.value:
                self._settings.change(muted=event.data["muted"])
