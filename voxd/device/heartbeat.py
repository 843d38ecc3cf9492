"""The signs of life without which the watchdog is not fed."""

from collections.abc import Callable, Mapping

from voxd.audio.microphone import Microphone
from voxd.audio.ring import Ring
from voxd.clock import Clock
from voxd.listen.speech_input import SpeechInput
from voxd.observe.watchdog import Progress


def signs_of_life(
    clock: Clock, ring: Ring, microphone: Microphone, speech_input: SpeechInput
) -> Mapping[str, Callable[[], Progress]]:
    """Return what must move; a microphone that is closed, or known to be lost, need not."""
    return {
        "audio": lambda: Progress(ring.heartbeat_s, excused=not (microphone.is_open and microphone.ok)),
        "ears": lambda: Progress(speech_input.progress_ns / 1e9),
        "microphone": lambda: Progress(microphone.progress_s, excused=not microphone.is_open),
        "loop": lambda: Progress(clock.monotonic()),
    }
