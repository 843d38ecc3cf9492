"""What was done a moment ago: it can be undone, and "it" means it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from voxd.clock import Clock
from voxd.errors import NotFound

UNDO_S = 60.0
"""What was done can be undone for this long."""

FRESH_S = 15.0
"""A plain "no" within this time is about what was just done."""

Undo = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Deed:
    at_s: float
    undos: list[Undo] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


class Recent:
    """The changes of the last sentence that changed something."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._deed: _Deed | None = None
        self._is_new = True

    def begin(self) -> None:
        """Begin a new sentence: its changes are undone together."""
        self._is_new = True

    def remember(self, undo: Undo, *ids: int) -> None:
        """Keep how a change is undone, and the timers it concerned."""
        if self._is_new or self._deed is None:
            self._deed = _Deed(self._clock.monotonic())
            self._is_new = False
        self._deed.undos.append(undo)
        self._deed.ids.extend(ids)

    async def revert(self) -> bool:
        """Undo the last changes, the last first, and forget them; False when there is nothing to undo.

        Raises `StoreError`.
        """
        deed = self._current()
        if deed is None or not deed.undos:
            return False
        # "It" still means what was changed, and now restored.
        while deed.undos:
            # What has rung and gone since then is as good as undone.
            with suppress(NotFound):
                await deed.undos[-1]()
            # Only now: what the disk refuses can be undone later.
            deed.undos.pop()
        return True

    @property
    def is_undoable(self) -> bool:
        """Whether the last sentence changed something that can be undone now."""
        deed = self._current()
        return deed is not None and bool(deed.undos)

    @property
    def is_fresh(self) -> bool:
        """Whether that was so little time ago that a plain "no" is about it."""
        deed = self._current()
        return self.is_undoable and deed is not None and self._clock.monotonic() - deed.at_s <= FRESH_S

    @property
    def ids(self) -> tuple[int, ...]:
        """The timers that "it" means now."""
        deed = self._current()
        return tuple(deed.ids) if deed is not None else ()

    def _current(self) -> _Deed | None:
        if self._deed is None or self._clock.monotonic() - self._deed.at_s > UNDO_S:
            return None
        return self._deed
