"""Files and directories, from the configuration, systemd or the XDG base directories."""

import os
from collections.abc import Mapping
from pathlib import Path

from voxd.config.base_dirs import SYSTEM_CONFIG_FILE, may_exist, user_config_file, xdg
from voxd.config.schema import Config

SYSTEM_STATE_DIR = Path("/var/lib/voxd")
SYSTEM_RUNTIME_DIR = Path("/run/voxd")
SOCKET_NAME = "voxd.sock"


def default_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the default configuration file; it need not exist.

    ``VOXD_CONFIG``, else systemd's configuration directory, else the user's file if it exists,
    else `SYSTEM_CONFIG_FILE`.
    """
    if named := environ.get("VOXD_CONFIG"):
        return Path(named).expanduser()
    if directory := _systemd_directory(environ, "CONFIGURATION_DIRECTORY"):
        return directory / "voxd.toml"
    own = user_config_file(environ)
    return own if own.exists() else SYSTEM_CONFIG_FILE


def state_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of persistent data."""
    if config.paths.state:
        return Path(config.paths.state).expanduser()
    if directory := _systemd_directory(environ, "STATE_DIRECTORY"):
        return directory
    # `sudo voxctl models pull` must write to the directory of the service, not to root's own.
    if os.access(SYSTEM_STATE_DIR, os.W_OK | os.X_OK):
        return SYSTEM_STATE_DIR
    return xdg(environ, "XDG_STATE_HOME", ".local/state")


def runtime_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of sockets; a directory of the state directory if the session has none."""
    if config.paths.runtime:
        return Path(config.paths.runtime).expanduser()
    if directory := _systemd_directory(environ, "RUNTIME_DIRECTORY"):
        return directory
    if session := environ.get("XDG_RUNTIME_DIR"):
        return Path(session) / "voxd"
    # Not /tmp: any user could create the directory there first.
    return SYSTEM_RUNTIME_DIR if os.geteuid() == 0 else state_dir(config, environ) / "run"


def models_dir(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of downloaded models."""
    if config.paths.models:
        return Path(config.paths.models).expanduser()
    return state_dir(config, environ) / "models"


def socket_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the control socket of the daemon."""
    if named := environ.get("VOXD_SOCKET") or config.control.socket:
        return Path(named).expanduser()
    return runtime_dir(config, environ) / SOCKET_NAME


def read_socket_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the read-only socket of the daemon, by default beside the control socket."""
    if config.control.read_socket:
        return Path(config.control.read_socket).expanduser()
    return read_sibling(socket_path(config, environ))


def client_socket_path(config: Config, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the control socket for a client: of this user's daemon, else of the system service."""
    own = socket_path(config, environ)
    service = SYSTEM_RUNTIME_DIR / SOCKET_NAME
    return service if not own.exists() and may_exist(service) else own


def read_sibling(socket: Path) -> Path:
    """Return the read-only socket beside ``socket``: voxd-read.sock for voxd.sock."""
    return socket.with_name(f"{socket.stem}-read{socket.suffix}")


def _systemd_directory(environ: Mapping[str, str], name: str) -> Path | None:
    # systemd.exec(5): several directories are joined by colons; voxd.service puts its own first.
    first = environ.get(name, "").split(":")[0]
    return Path(first) if first else None
