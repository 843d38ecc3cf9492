"""Views of files for tests that look at no disk."""

from collections.abc import Callable

from voxd.config.files.access import Obstacle, Use
from voxd.config.secrets import Reading


class Without:
    """Every file can be used but those for which ``gone`` returns True."""

    def __init__(self, gone: Callable[[str], bool]) -> None:
        self._gone = gone

    def look(self, name: str, use: Use) -> Obstacle | None:
        return Obstacle("does not exist", "correct the path") if self._gone(name) else None

    def secret(self, kind: str, name: str) -> Reading | None:
        return None
