"""Problems of a configuration as values: the key, its file and line, a message and a hint."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from voxd.config.schema_types import toml_key
from voxd.config.toml_lines import KeyPath
from voxd.errors import ConfigError


class Severity(StrEnum):
    """An error stops the daemon; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """The origin of a setting: a file and line, or a name such as "environment" with line 0."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake in a key, before its file and line are known."""

    path: KeyPath
    severity: Severity
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake with its file and line; ``str`` gives a line in the format that editors can jump to."""

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
    """The configuration has errors; ``problems`` has all of them and the warnings."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        # All errors in one message: the log of a service that does not start is all that its user has.
        errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
        super().__init__("\n".join(errors))
        self.problems = tuple(problems)


def dotted(path: KeyPath) -> str:
    """Return ``path`` as text, such as ``wake.words[0].threshold``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{toml_key(part)}" if text else toml_key(part)
    return text


def summary(problems: Sequence[Problem]) -> str:
    """Return the number of problems: ``2 errors, 1 warning``, or ``no problems``."""
    counts = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in Severity
        if (count := sum(problem.severity is severity for problem in problems))
    ]
    return ", ".join(counts) or "no problems"
