"""The loop a bus lives on, and the bounded way there for handlers that had to move to a thread."""

import asyncio
import contextlib
import threading
from collections.abc import Callable

MAX_ON_THE_WAY = 256
"""Calls from other threads that wait for the loop; more are refused."""


class HomeLoop:
    """Knows the loop once a handler has had to leave it; until then everybody is at home."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._on_the_way = 0
        self._lock = threading.Lock()
        self.refused = 0

    def settle(self) -> asyncio.AbstractEventLoop:
        """Remember, and return, the loop that runs here. Raises `RuntimeError` where none runs."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._on_the_way = loop, 0
        self._thread = threading.get_ident()
        return loop

    @property
    def is_here(self) -> bool:
        """Whether the caller is on the loop's own thread."""
        loop = self._loop
        return loop is None or threading.get_ident() == self._thread or loop.is_closed()

    def send(self, call: Callable[[], None]) -> None:
        """Have ``call`` made on the loop soon; refused, and counted, when too many are on the way."""
        loop = self._loop
        with self._lock:
            if loop is None or self._on_the_way >= MAX_ON_THE_WAY:
                self.refused += 1
                return
            self._on_the_way += 1
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(self._arrive, call)

    def _arrive(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._on_the_way -= 1
        call()
