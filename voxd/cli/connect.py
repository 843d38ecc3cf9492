"""Connects to the daemon; falls back to the read-only socket for users outside the group voxd."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from voxd.control.call import Caller
from voxd.errors import NotPermitted, VoxdError

ANSWER_TIMEOUT_S = 5.0


def socket_path(args: Namespace) -> Path:
    """Return the control socket: from the command line or VOXD_SOCKET, else the first that exists."""
    if explicit := args.socket or os.environ.get("VOXD_SOCKET"):
        return Path(explicit)
    session = os.environ.get("XDG_RUNTIME_DIR")
    directories = [Path(session, "voxd")] if session else []
    for directory in (*directories, Path("/run/voxd")):
        path = directory / "voxd.sock"
        if not args.config and _exists(path):
            return path
    # Imported here: reading the configuration takes as long as all the rest of a command.
    from voxd.config.loading import load
    from voxd.config.paths import client_socket_path
    from voxd.providers.facts import config_facts

    file = Path(args.config) if args.config else None
    return client_socket_path(load(file, get_facts=config_facts, environ=os.environ).config)


def connect(args: Namespace, *, timeout_s: float = ANSWER_TIMEOUT_S) -> Caller:
    """Return a connection to the daemon; read-only for a user without permission to control it.

    Raises `DaemonUnreachable` and `NotPermitted`.
    """
    path = socket_path(args)
    try:
        return Caller(path, timeout_s=timeout_s)
    except NotPermitted as refused:
        try:
            return Caller(path.with_name(f"{path.stem}-read{path.suffix}"), timeout_s=timeout_s)
        except VoxdError:
            raise refused from None


def request(args: Namespace, method: str, *, timeout_s: float = ANSWER_TIMEOUT_S, **params: Any) -> Any:
    """Return the daemon's answer to one request. Raises `VoxdError`."""
    with connect(args, timeout_s=timeout_s) as caller:
        return caller.call(method, **params)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        # The directory is closed to this user: connecting fails with a clearer error than "not found".
        return True
