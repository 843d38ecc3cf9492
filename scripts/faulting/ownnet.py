"""A network of our own: the whole program again, where only loopback exists and packets may be lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_INSIDE = "VOXD_FAULTS_INSIDE"
_RESOLV = "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n"


def inside() -> bool:
    """Whether this process has a network of its own."""
    return os.environ.get(_INSIDE) == "1"


def why_not() -> str:
    """Return why there cannot be one, "" when there can."""
    if os.geteuid() != 0:
        return "needs root, for a network of its own"
    missing = [program for program in ("unshare", "ip", "nft", "mount") if shutil.which(program) is None]
    return f"needs {', '.join(missing)}" if missing else ""


def enter() -> None:
    """Replace this process by the same program in a new network, if that can be had; else return."""
    if inside() or why_not():
        return
    os.environ[_INSIDE] = "1"
    command = [sys.executable, "-m", "scripts.faulting", *sys.argv[1:]]
    os.execvp("unshare", ["unshare", "--net", "--mount", *command])


def set_up(directory: Path) -> None:
    """Bring loopback up, and ask the name server of our own for names."""
    run("ip", "link", "set", "lo", "up")
    # A second address family that leads nowhere: packets to it vanish.
    run("ip", "-6", "addr", "add", "fd00::1/128", "dev", "lo")
    resolv = directory / "resolv.conf"
    resolv.write_text(_RESOLV)
    run("mount", "--bind", str(resolv), "/etc/resolv.conf")
    nsswitch = directory / "nsswitch.conf"
    nsswitch.write_text("hosts: files dns\n")
    run("mount", "--bind", str(nsswitch), "/etc/nsswitch.conf")
    run("nft", "add", "table", "inet", "faults")
    run("nft", "add", "chain", "inet", "faults", "input", "{ type filter hook input priority 0 ; }")


def lose(percent: int, ports: tuple[int, ...]) -> None:
    """Lose so many of the packets to and from ``ports``; 0 ends it."""
    run("nft", "flush", "chain", "inet", "faults", "input")
    for port in ports if percent else ():
        for side in ("sport", "dport"):
            chance = f"numgen random mod 100 < {percent} drop"
            run("nft", "add", "rule", "inet", "faults", "input", f"tcp {side} {port} {chance}")


def swallow_ipv6() -> None:
    """Let every packet over IPv6 vanish."""
    run("nft", "add", "rule", "inet", "faults", "input", "meta nfproto ipv6 drop")


def run(*command: str) -> None:
    """Run one command. Raises `subprocess.CalledProcessError`."""
    subprocess.run(command, check=True, capture_output=True)
