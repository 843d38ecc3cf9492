"""What is wrong with a configuration: one value per mistake, with the place to go to and what to do."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from voxd.config.schema_types import toml_key
from voxd.config.toml_lines import KeyPath
from voxd.errors import ConfigError

ALIKE = 0.65
"""How similar an unknown word must be to a known one to be suggested (Ratcliff and Obershelp, 0 to 1)."""


class Severity(StrEnum):
    """An error stops the daemon; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting was written: a file and line, or a name such as "environment" with line 0."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake by its key, before anybody looked up where that key stands."""

    path: KeyPath
    severity: Severity
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake and its place; as text it is one line that editors can jump to."""

    file: str
    line: int
    key: str
    severity: Severity
    message: str
    hint: str = ""

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{Place(self.file, self.line)}: {self.severity}: {key}{self.message}{hint}"


class InvalidConfig(ConfigError):
    """The configuration has errors; ``problems`` holds them all, warnings too."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
        super().__init__("\n".join(errors))
        self.problems = tuple(problems)


def dotted(path: KeyPath) -> str:
    """Return ``path`` as people write it, on one line: ``wake.words[0].threshold``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{toml_key(part)}" if text else toml_key(part)
    return text


def summary(problems: Sequence[Problem]) -> str:
    """Return how many there are: ``2 errors, 1 warning``, or ``no problems``."""
    counts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in Severity
        if (count := sum(problem.severity is severity for problem in problems))
    ]
    return ", ".join(counts) or "no problems"


def did_you_mean(written: object, known: Collection[str]) -> str:
    """Return a hint naming the word of ``known`` most similar to ``written``, "" when none is."""
    # difflib: rapidfuzz, loaded with the daemon for this alone, would cost 2.6 MB at idle.
    found = difflib.get_close_matches(str(written), known, n=1, cutoff=ALIKE)
    return f'did you mean "{found[0]}"?' if found else ""
