"""Exit codes of `voxctl` (sysexits.h), so that a script can tell a missing daemon from a wrong argument."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.errors import VoxdError

OK = 0
FAILED = 1
USAGE = 64
NO_INPUT = 66
UNAVAILABLE = 69
TEMPORARY = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130

# For people, under `voxctl --help`. Whatever the daemon refuses is 1; why, is in `--json`.
MEANINGS = (
    f"exit codes: {OK} done, {FAILED} refused or unanswered, {USAGE} wrong arguments, "
    f"{NO_INPUT} no such file, {UNAVAILABLE} no daemon, {TEMPORARY} not in time, "
    f"{PROTOCOL} another protocol, {NO_PERMISSION} not permitted, {CONFIG} configuration invalid, "
    f"{INTERRUPTED} interrupted"
)

_BY_CODE: Mapping[str, int] = MappingProxyType(
    {
        "daemon_unreachable": UNAVAILABLE,
        "timeout": TEMPORARY,
        "protocol_error": PROTOCOL,
        "not_permitted": NO_PERMISSION,
        "config_invalid": CONFIG,
    }
)


def exit_code(error: VoxdError) -> int:
    """Return the exit code that stands for ``error``; whatever the daemon refuses is `FAILED`."""
    return _BY_CODE.get(error.code, FAILED)
