"""What a voice command may do to the device."""

from collections.abc import Callable

from voxd.turn.inputs import Input, MuteRequested, Source, StopRequested


class VoiceControl:
    """The device as the skills see it: a few levers, each tied to its room by the composition root."""

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
        """Silence whatever rings; the turn that says so ends by itself."""
        self._post(StopRequested(Source.VOICE))

    def last_reply(self) -> str:
        """Return what was said last, "" if nothing was."""
        return self._last_reply()

    def summary(self) -> str:
        """Return the state of the device as one spoken sentence."""
        return self._describe()
