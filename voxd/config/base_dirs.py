"""Files and directories that no configuration can move: of the system, and of the user."""

import os
from collections.abc import Mapping
from pathlib import Path

SYSTEM_CONFIG_FILE = Path("/etc/voxd/voxd.toml")
SYSTEM_CREDENTIALS_DIR = Path("/etc/voxd/credentials")

UNIT = "voxd.service"
# systemd.unit(5), "System Unit Search Path": the first that has the unit wins, drop-ins of all apply.
UNIT_DIRECTORIES = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)


def user_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's configuration file (XDG base directories)."""
    return xdg(environ, "XDG_CONFIG_HOME", ".config") / "voxd.toml"


def credential_dirs(environ: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return the directories of credentials in the order of the search.

    The one that systemd made for the service; for a daemon of a user that user's own, then the system's,
    which only root can read.
    """
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        return (Path(directory),)
    return (user_credentials_dir(environ), SYSTEM_CREDENTIALS_DIR)


def user_credentials_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the credentials of a daemon that this user starts."""
    return user_config_file(environ).with_name("credentials")


def xdg(environ: Mapping[str, str], name: str, below_home: str) -> Path:
    """Return voxd's directory below the base directory of the variable ``name`` (XDG)."""
    base = environ.get(name)
    home = environ.get("HOME")
    # XDG base directory specification: a relative path is invalid and ignored.
    if base and Path(base).is_absolute():
        return Path(base) / "voxd"
    return (Path(home) if home else Path.home()) / below_home / "voxd"


def may_exist(path: Path) -> bool:
    """Return whether ``path`` exists; True also when its directory is closed to this user."""
    try:
        return path.exists()
    except PermissionError:
        # Opening it gives a better error than "not found".
        return True
