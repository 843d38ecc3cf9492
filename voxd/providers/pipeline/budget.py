"""The part of a turn's budget that one engine of a list has: he is not tried again while another waits."""

from collections.abc import Callable

from voxd.net.transport import Budget


class StageBudget(Budget):
    """A view of ``whole``: what is spent here is spent there.

    ``is_followed`` says whether another engine waits behind this one, now. ``reserve_s`` of the turn is for
    others, so the last one is tried again only before that.
    """

    __slots__ = ("_is_followed", "_reserve_s", "_whole")

    def __init__(self, whole: Budget, is_followed: Callable[[], bool], *, reserve_s: float = 0.0) -> None:
        self._whole = whole
        self._is_followed = is_followed
        self._reserve_s = reserve_s

    @property
    def until_s(self) -> float | None:
        """When the turn ends."""
        return self._whole.until_s

    @until_s.setter
    def until_s(self, until_s: float | None) -> None:
        self._whole.until_s = until_s

    @property
    def retries(self) -> int:
        """How many the turn has left."""
        return self._whole.retries

    @retries.setter
    def retries(self, retries: int) -> None:
        self._whole.retries = retries

    @property
    def is_last(self) -> bool:
        """Whether nobody waits behind this one."""
        return self._whole.is_last and not self._is_followed()

    @property
    def retry_until_s(self) -> float | None:
        """When it is too late to try again."""
        until_s = self._whole.retry_until_s
        return None if until_s is None else until_s - self._reserve_s
