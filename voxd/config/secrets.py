"""The type of secrets, which never prints its value, and the sources of a value."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from voxd.config.base_dirs import credential_dirs
from voxd.errors import ConfigError

MASK = "********"
# The sources that a secret can refer to: ``{ credential = "name" }`` and so on.
SOURCES = ("credential", "file", "env")

# The largest are service account keys and certificates, a few KiB; a mistaken path may be a whole disk.
_MAX_SECRET_BYTES = 64 * 1024


class Secret:
    """A value that must not be shown: every way of printing it gives `MASK`.

    ``origin`` is its source ("credential openai_key", "literal"), which may be shown. A secret with a missing
    source is a `Secret` too: only `reveal` raises, so that the rest of the device works.
    """

    __slots__ = ("_value", "origin", "problem", "reference")

    def __init__(
        self,
        value: str | None,
        *,
        origin: str = "literal",
        problem: str = "",
        reference: dict[str, str] | None = None,
    ) -> None:
        self._value = value
        self.origin = origin
        self.problem = problem
        self.reference = reference

    def reveal(self) -> str:
        """Return the value. Raises `ConfigError` when its source could not be read."""
        if self._value is None:
            raise ConfigError(f"secret from {self.origin} is missing: {self.problem}")
        return self._value

    def masked(self) -> str | dict[str, str]:
        """Return the printable form: the reference as written, `MASK` for a literal."""
        return dict(self.reference) if self.reference else MASK

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._value, self.origin) == (other._value, other.origin)

    def __hash__(self) -> int:
        return hash((self._value, self.origin))

    # Not to another process or a file: a pickle would hold the plain value.
    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a source, or the problem; ``warning`` if other users can read it."""

    value: str | None
    problem: str = ""
    warning: str = ""


def resolve(written: str | Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Secret:
    """Return the secret for a literal or a table with one of `SOURCES`.

    Raises `ConfigError` for another table. A source that cannot be read gives a secret whose `reveal` raises.
    """
    if isinstance(written, str):
        return Secret(written)
    if len(written) != 1 or (kind := next(iter(written))) not in SOURCES:
        raise ConfigError("a secret needs exactly one of credential, file, env")
    name = written[kind]
    reading = read_source(kind, name, environ)
    return Secret(reading.value, origin=f"{kind} {name}", problem=reading.problem, reference={kind: name})


def read_source(kind: str, name: str, environ: Mapping[str, str]) -> Reading:
    """Read one source: a systemd credential, a file or an environment variable. A last newline is removed."""
    if kind == "env":
        value = environ.get(name)
        return Reading(value, "" if value is not None else f"set {name} in the environment")
    if kind == "file":
        return _read_file(Path(name).expanduser())
    return read_credential(name, credential_dirs(environ))


def read_credential(name: str, directories: Sequence[Path]) -> Reading:
    """Read the credential ``name`` in the first of ``directories`` that has it."""
    if "/" in name or name in {"", ".", ".."}:
        return Reading(None, "a credential has a plain name, not a path")
    # systemd.exec(5): LoadCredential=voxd:DIRECTORY gives voxd_NAME; a single credential is voxd.NAME.
    candidates = [
        directory / each for directory in directories for each in (name, f"voxd_{name}", f"voxd.{name}")
    ]
    for path in candidates:
        # Not `Path.is_file`, which raises for a directory that this user may not enter.
        if os.path.isfile(path):
            return _read_file(path)
    # As root, unless the daemon is one of this user: the command says so itself.
    return Reading(None, f"run `voxctl secret set {name}`")


def to_builtins(value: Any) -> Any:
    """Return a configuration (or any part) as plain values with every secret masked."""
    # Called for what msgspec does not know: in a configuration these are the secrets alone.
    return msgspec.to_builtins(value, enc_hook=Secret.masked)


def _read_file(path: Path) -> Reading:
    try:
        with path.open("rb") as file:
            # Of the open file: the path may name another one by now.
            mode = os.fstat(file.fileno()).st_mode
            raw = file.read(_MAX_SECRET_BYTES + 1)
        if len(raw) > _MAX_SECRET_BYTES:
            return Reading(None, f"{path} is longer than {_MAX_SECRET_BYTES} bytes")
        text = raw.decode()
    except OSError as error:
        return Reading(None, f"{path}: {error.strerror}")
    except UnicodeDecodeError:
        return Reading(None, f"{path} is not text")
    warning = f"{path} is readable by all users: run `chmod 600 {path}`" if mode & stat.S_IROTH else ""
    # An editor ends the file with a newline, which an HTTP header must not contain (RFC 9110 section 5.5).
    return Reading(text.rstrip("\r\n"), warning=warning)
