"""Connects to the daemon; falls back to the read-only socket for users outside the group voxd."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from voxd.cli.inputs import load_config
from voxd.config.base_dirs import UNIT, UNIT_DIRECTORIES, may_exist
from voxd.control.call import Caller
from voxd.errors import DaemonUnreachable, NotPermitted, VoxdError

ANSWER_TIMEOUT_S = 5.0


def socket_path(args: Namespace) -> Path:
    """Return the control socket: from the command line or VOXD_SOCKET, else the first that exists."""
    if explicit := args.socket or os.environ.get("VOXD_SOCKET"):
        return Path(explicit)
    session = os.environ.get("XDG_RUNTIME_DIR")
    directories = [Path(session, "voxd")] if session else []
    for directory in (*directories, Path("/run/voxd")):
        path = directory / "voxd.sock"
        if not args.config and may_exist(path):
            return path
    # Imported here: the schema takes as long to import as all the rest of a command.
    from voxd.config.paths import client_socket_path

    return client_socket_path(load_config(args))


def connect(args: Namespace, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Caller:
    """Return a connection to the daemon; read-only for a user without permission to control it.

    Raises `DaemonUnreachable` and `NotPermitted`.
    """
    path = socket_path(args)
    try:
        return Caller(path, timeout_s=timeout_s)
    except DaemonUnreachable as error:
        raise DaemonUnreachable(str(error), hint=start_hint()) from None
    except NotPermitted as refused:
        try:
            return Caller(path.with_name(f"{path.stem}-read{path.suffix}"), timeout_s=timeout_s)
        except VoxdError:
            raise refused from None


def request(args: Namespace, method: str, *, timeout_s: float = ANSWER_TIMEOUT_S, **params: Any) -> Any:
    """Return the daemon's answer to one request. Raises `VoxdError`."""
    with connect(args, timeout_s=timeout_s) as caller:
        return caller.call(method, **params)


def is_installed() -> bool:
    """Return whether the unit of the service is installed on this machine."""
    return any(Path("/", directory, UNIT).exists() for directory in UNIT_DIRECTORIES)


def start_hint() -> str:
    """Return how voxd is started here."""
    if scripts := os.environ.get("VOXD_SCRIPTS"):
        return f"start it in another terminal: `{os.path.join(scripts, 'run')}`"
    if is_installed():
        return "run `sudo systemctl start voxd`; if that fails, `voxctl logs` says why"
    return "in the directory of voxd run `./scripts/run`, or `sudo ./scripts/install` for the service"
