"""Publishes each problem of the status when it appears and when it is gone."""

import re
from collections.abc import Callable, Mapping

from voxd.clock import Clock
from voxd.events import Emit
from voxd.tasks import TaskScope

# Longer than any burst of attempts, shorter than anybody waits for a change on a screen.
CHECK_S = 2.0

# A text that counts seconds or attempts is the same problem still.
_NUMBERS = re.compile(r"\d+")


class ProblemWatch:
    """``problems`` returns what is wrong now, by the part of the device that has the problem."""

    def __init__(self, problems: Callable[[], Mapping[str, str]], *, emit: Emit, clock: Clock) -> None:
        self._problems = problems
        self._emit = emit
        self._clock = clock
        self._known: dict[str, str] = {}
        self._tasks = TaskScope("problem watch")

    def start(self) -> None:
        """Begin to watch."""
        self._tasks.start(self._run())

    async def close(self) -> None:
        """Stop watching; idempotent."""
        await self._tasks.close()

    def check(self) -> None:
        """Publish what has changed since the last check."""
        now = dict(self._problems())
        known, self._known = self._known, {part: _NUMBERS.sub("", text) for part, text in now.items()}
        for part in known.keys() - now.keys():
            self._emit("problem.solved", part=part)
        for part, text in now.items():
            if known.get(part) != self._known[part]:
                self._emit("problem.found", part=part, message=text)

    async def _run(self) -> None:
        while True:
            self.check()
            await self._clock.sleep(CHECK_S)
