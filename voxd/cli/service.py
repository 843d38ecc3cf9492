"""`voxctl logs` and `voxctl restart`: the service of systemd, or a daemon that runs in a terminal."""

import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from voxd.cli.connect import is_installed, request
from voxd.cli.exits import FAILED
from voxd.cli.output import print_result
from voxd.config.base_dirs import UNIT
from voxd.errors import DaemonUnreachable, NotFound, VoxdError


class NotService(VoxdError):
    """The command needs the service of systemd, but voxd runs in a terminal or is not installed."""

    code = "not_service"


def register(subparsers: Any) -> None:
    """Add the commands."""
    logs = subparsers.add_parser(
        "logs",
        help="show the log of the service",
        examples=("voxctl logs", "voxctl logs --follow", "voxctl logs --since '10 minutes ago' --errors"),
    )
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing what is logged")
    logs.add_argument("-n", "--lines", type=int, default=100, metavar="N", help="how many (default: 100)")
    logs.add_argument("--since", metavar="TIME", help="only what was logged after TIME, such as 'today'")
    logs.add_argument("--errors", action="store_true", help="only errors and warnings")
    logs.set_defaults(run=show_logs)
    restart = subparsers.add_parser(
        "restart", help="restart the service", examples=("voxctl restart", "sudo voxctl restart")
    )
    restart.set_defaults(run=restart_service)


def show_logs(args: Namespace) -> int:
    """``voxctl logs``: becomes journalctl. Raises `NotService`."""
    _require_service(args, "the log is printed in the terminal of ./scripts/run")
    command = ["journalctl", "--unit", UNIT, f"--lines={max(args.lines, 0)}"]
    command += ["--follow"] if args.follow else []
    command += ["--since", args.since] if args.since else []
    command += ["--priority", "warning"] if args.errors else []
    command += ["--output", "json"] if args.json else []
    command += ["--no-pager"] if not sys.stdout.isatty() else []
    # In place of this process: Ctrl-C, the pager and the exit code are those of the program.
    os.execvp(command[0], command)


def restart_service(args: Namespace) -> int:
    """``voxctl restart``; returns when the daemon is ready. Raises `NotService`."""
    _require_service(args, "press Ctrl-C in the terminal of ./scripts/run, and start it again")
    command = ["systemctl", "restart", UNIT]
    # systemd asks for a password by itself (polkit), but not on a machine without polkit.
    if os.geteuid() != 0 and shutil.which("sudo"):
        command.insert(0, "sudo")
    if subprocess.run(command, check=False).returncode != 0:
        return FAILED
    # Type=notify: systemctl returns after READY=1.
    return print_result(args, {"restarted": True}, "voxd restarted")


def _require_service(args: Namespace, instead: str) -> None:
    if os.environ.get("VOXD_SCRIPTS") or _runs_in_terminal(args):
        raise NotService("voxd runs in a terminal, not as a service", hint=instead)
    if not is_installed():
        raise NotService("the service is not installed", hint="install it: `sudo ./scripts/install`")
    if not shutil.which("systemctl"):
        raise NotFound("this machine has no systemd", hint=instead)


def _runs_in_terminal(args: Namespace) -> bool:
    """Return whether a daemon answers that is not the service."""
    try:
        pid = request(args, "system.info")["pid"]
        return UNIT not in Path(f"/proc/{pid}/cgroup").read_text()
    except (DaemonUnreachable, OSError):
        # Not running, or /proc is closed to this user: then only the unit can say.
        return False
