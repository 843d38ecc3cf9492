"""Exit codes of `voxctl` (sysexits.h), so that a script can tell a missing daemon from a wrong argument."""

from collections.abc import Mapping
from types import MappingProxyType

from voxd.errors import VoxdError

OK = 0
FAILED = 1
USAGE = 64
NO_INPUT = 66
UNAVAILABLE = 69
SOFTWARE = 70
TEMPORARY = 75
PROTOCOL = 76
NO_PERMISSION = 77
CONFIG = 78
INTERRUPTED = 130

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
