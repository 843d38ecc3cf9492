"""Who waits for which frame of the vendor: settled by its answer, by a refusal, or by the end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from voxd.errors import ProviderError
from voxd.providers.realtime.openai_protocol.reader import Reading

Waiter = asyncio.Future[None]


class Answers:
    """The open questions of one session, in the order they were asked."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, Waiter]] = {}

    @contextmanager
    def expected(self, answer: str, event_id: str = "") -> Iterator[Waiter]:
        """Give a future that is done when a frame of type ``answer`` arrives.

        It fails with a `ProviderError` when the vendor refuses our frame ``event_id`` ("": we sent none).
        """
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._open[event_id] = (answer, waiter)
        try:
            yield waiter
        finally:
            del self._open[event_id]
            if not waiter.cancel() and not waiter.cancelled():
                waiter.exception()  # Asked for, or the loop reports it as never looked at.

    def settle(self, reading: Reading) -> bool:
        """Wake whoever waits for this frame; True when it was a refusal, which is raised there."""
        for event_id, (answer, waiter) in self._open.items():
            if waiter.done():
                continue
            if answer == reading.type:
                waiter.set_result(None)
                return False
            if reading.error is not None and _concerns(reading, event_id, answer):
                waiter.set_exception(reading.error)
                return True
        return False

    def fail(self, error: ProviderError) -> None:
        """Tell whoever still waits that no answer will come."""
        for _, waiter in self._open.values():
            if not waiter.done():
                waiter.set_exception(error)


def _concerns(reading: Reading, event_id: str, answer: str) -> bool:
    """Whether a complaint refuses the frame ``event_id``; some vendors do not say which they mean."""
    if reading.concerns:
        return reading.concerns == event_id
    return bool(reading.fatal) or answer.startswith("session.") or "committed" in answer
