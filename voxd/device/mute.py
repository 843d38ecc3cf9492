"""Closes and opens the microphone on request, and keeps that over a restart."""

from collections.abc import Callable

from voxd.errors import StoreError
from voxd.events import Emit
from voxd.store.settings import SettingsFile
from voxd.tasks import TaskScope
from voxd.turn.inputs import Input, MuteRequested, SayRequested, Source

NOT_KEPT = "My microphone is off, but only until a restart: my memory can't be written."
STAYS_OFF = "My microphone stays off: my memory can't be written."


class MuteControl:
    """Every request to mute or unmute passes here; the switch does not, as its position is read at a start.

    Muting is done at once, whatever the disk does: it protects people. Unmuting is done once the disk agrees,
    so that no restart mutes the device again.
    """

    def __init__(self, settings: SettingsFile, *, post: Callable[[Input], None], emit: Emit) -> None:
        self._settings = settings
        self._post = post
        self._emit = emit
        self._tasks = TaskScope("mute")

    async def set(self, muted: bool, source: Source) -> str:
        """Close or open the microphone; returns why a restart will open it again, "" when it will not.

        Raises `StoreError` when it stays closed because that cannot be saved.
        """
        if not muted:
            await self._settings.save(muted=False)
            self._post(MuteRequested(False, source))
            return ""
        self._post(MuteRequested(True, source))
        try:
            await self._settings.save(muted=True)
        except StoreError as error:
            self._settings.save_later(muted=True)
            self._report(error)
            return f"{error}; {error.hint}"
        return ""

    def press(self, muted: bool, source: Source) -> None:
        """Do what `set` does for a caller that only listens: the reason of a failure is spoken."""
        self._tasks.start(self._press(muted, source))

    async def close(self) -> None:
        """Finish the requests under way; idempotent."""
        await self._tasks.join()

    async def _press(self, muted: bool, source: Source) -> None:
        try:
            if await self.set(muted, source):
                self._post(SayRequested(NOT_KEPT))
        except StoreError as error:
            self._report(error)
            self._post(SayRequested(STAYS_OFF))

    def _report(self, error: StoreError) -> None:
        self._emit("error", code=error.code, message=str(error), hint=error.hint)
