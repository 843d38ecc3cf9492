"""Exit codes of `voxctl` (sysexits.h), so that a script can tell a missing daemon from a wrong argument."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.errors import InvalidRequest, VoxdError

OK = 0
FAILED = 1
USAGE = 64
NO_INPUT = 66
UNAVAILABLE = 69
IO_ERROR = 74
TEMPORARY = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130

# For people, under `voxctl --help`. Whatever the daemon refuses is 1; why, is in `--json`.
MEANINGS = (
    f"exit codes: {OK} done, {FAILED} refused or unanswered, {USAGE} wrong arguments, "
    f"{NO_INPUT} no such file, {UNAVAILABLE} no daemon, {IO_ERROR} output cannot be written, "
    f"{TEMPORARY} not in time, {PROTOCOL} another protocol, {NO_PERMISSION} not permitted, "
    f"{CONFIG} configuration invalid, {INTERRUPTED} interrupted"
)


class WrongArgument(InvalidRequest):
    """An argument of the command line is wrong, which was found without the daemon."""


class NoInput(InvalidRequest):
    """A file to read does not exist or cannot be read."""

    code = "no_input"


class CannotWrite(InvalidRequest):
    """A file or standard output cannot be written."""

    code = "cannot_write"


_BY_CODE: Mapping[str, int] = MappingProxyType(
    {
        "daemon_unreachable": UNAVAILABLE,
        "no_input": NO_INPUT,
        "cannot_write": IO_ERROR,
        "timeout": TEMPORARY,
        "protocol_error": PROTOCOL,
        "not_permitted": NO_PERMISSION,
        "config_invalid": CONFIG,
    }
)


def exit_code(error: VoxdError) -> int:
    """Return the exit code that stands for ``error``; whatever the daemon refuses is `FAILED`."""
    if isinstance(error, WrongArgument):
        return USAGE
    return _BY_CODE.get(error.code, FAILED)


def file_error(error: OSError) -> VoxdError:
    """Return the error for a file, or standard output, that cannot be read or written."""
    name = error.filename if isinstance(error.filename, str) else "standard output"
    text = f"{name}: {error.strerror or error}"
    return NoInput(text) if isinstance(error, FileNotFoundError) else CannotWrite(text)
