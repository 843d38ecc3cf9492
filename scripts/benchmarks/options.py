"""The options of every benchmark."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """``work`` is a directory of our own, gone at the end."""

    quick: bool
    work: Path

    def directory(self, name: str) -> Path:
        """Return a new directory."""
        path = self.work / name
        path.mkdir(parents=True)
        return path


class Skip(Exception):
    """It cannot be measured here; the message says why."""


Measure = Callable[[Options], list[Row]]
