"""What a process and all its descendants use, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """A family of processes at one moment; ``private_mb`` is what each holds alone."""

    pss_mb: float
    private_mb: float
    cpu_s: float
    descriptors: int
    threads: int
    children: int


def family(pid: int) -> list[int]:
    """Return ``pid`` and all its descendants."""
    found = [pid]
    for parent in found:
        for task in _entries(f"/proc/{parent}/task"):
            found += [int(child) for child in _read(f"/proc/{parent}/task/{task}/children").split()]
    return found


def usage(pid: int) -> Usage:
    """Return what ``pid`` and its descendants use; a process that has ended counts nothing."""
    pids = family(pid)
    memory = [_kilobytes(_read(f"/proc/{each}/smaps_rollup")) for each in pids]
    return Usage(
        pss_mb=sum(each.get("Pss", 0) for each in memory) / 1024,
        private_mb=sum(each.get("Private_Clean", 0) + each.get("Private_Dirty", 0) for each in memory) / 1024,
        cpu_s=sum(cpu_s(_read(f"/proc/{each}/stat")) for each in pids),
        descriptors=sum(len(_entries(f"/proc/{each}/fd")) for each in pids),
        threads=sum(len(_entries(f"/proc/{each}/task")) for each in pids),
        children=len(pids) - 1,
    )


def described(pid: int) -> str:
    """Return each process of the family with its PSS in MB, the largest first."""
    named = []
    for each in family(pid):
        words = _read(f"/proc/{each}/cmdline").split("\0")
        name = next((word for word in words if word.startswith("voxd.")), "voxd" if each == pid else words[0])
        named.append((_kilobytes(_read(f"/proc/{each}/smaps_rollup")).get("Pss", 0) / 1024, name))
    return ", ".join(f"{name} {pss_mb:.1f}" for pss_mb, name in sorted(named, reverse=True))


def cpu_s(stat: str) -> float:
    """Return user and system time in seconds from a line of /proc/PID/stat."""
    # The name in brackets may hold anything, blanks and brackets too: count from the last bracket.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S if len(fields) > 12 else 0.0


def _kilobytes(rollup: str) -> dict[str, int]:
    lines = (line.split() for line in rollup.splitlines()[1:])
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _entries(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, ProcessLookupError):
        return []
