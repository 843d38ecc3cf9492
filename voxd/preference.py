"""The rule of every preference list: which candidates to try, and in what order."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def order_candidates(
    candidates: Iterable[T],
    *,
    is_healthy: Callable[[T], bool],
    can_try: Callable[[T], bool],
    is_last_resort: bool,
) -> Iterator[T]:
    """Yield the healthy ``candidates`` in order, then the unhealthy ones that ``can_try``, in order.

    ``is_last_resort``: the unhealthy ones are tried only when none is healthy.
    """
    # A generator, so that health is read when a candidate is due: the failure of one can open the circuit of
    # another that shares its vendor.
    skipped: list[T] = []
    has_healthy = False
    for candidate in candidates:
        if is_healthy(candidate):
            has_healthy = True
            yield candidate
        else:
            skipped.append(candidate)
    # A healthy candidate that failed has used up the time for a last resort.
    if not (has_healthy and is_last_resort):
        yield from filter(can_try, skipped)
