"""The age of stored rows on a device whose wall clock may be wrong: lived time, not a difference of dates."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from voxd.clock import Clock

# A longer gap between two starts is taken for a wrong clock and does not count.
MAX_OFF_S = 31 * 86_400.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the kernel's id of this boot, or "" without one. Monotonic times compare only within a boot."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class AgeStamp:
    """A moment on three clocks; ``lived_s`` is the age of the database itself."""

    lived_s: float
    monotonic_s: float
    wall_s: float
    boot: str


def advance_age(before: AgeStamp | None, monotonic_s: float, wall_s: float, boot: str) -> AgeStamp:
    """Return the stamp of now; ``before`` is the last one."""
    if before is None:
        return AgeStamp(0.0, monotonic_s, wall_s, boot)
    # Within one boot only monotonic time counts, so a jump of the wall clock ages nothing. Between boots only
    # the wall clock is left: a gap between 0 and `MAX_OFF_S` counts, any other does not. A clock that starts
    # in 1970, or is set after the start, keeps rows longer than configured, never shorter.
    if boot and boot == before.boot:
        gap_s = monotonic_s - before.monotonic_s
    else:
        gap_s = wall_s - before.wall_s
        gap_s = gap_s if gap_s <= MAX_OFF_S else 0.0
    return AgeStamp(before.lived_s + max(0.0, gap_s), monotonic_s, wall_s, boot)


class AgeClock:
    """Computes the age of a database, for all its tables alike; call it inside a transaction."""

    def __init__(self, clock: Clock, *, boot: str | None = None) -> None:
        self._clock = clock
        self._boot = boot_id() if boot is None else boot

    def peek(self, connection: sqlite3.Connection) -> AgeStamp:
        """Return the stamp of now, and write nothing."""
        row = connection.execute("SELECT lived_s, monotonic_s, wall_s, boot FROM age").fetchone()
        before = AgeStamp(*row) if row else None
        return advance_age(before, self._clock.monotonic(), self._clock.wall(), self._boot)

    def now(self, connection: sqlite3.Connection) -> AgeStamp:
        """Return the stamp of now and store it, so that a later start continues from it."""
        stamp = self.peek(connection)
        connection.execute(
            "INSERT OR REPLACE INTO age (one, lived_s, monotonic_s, wall_s, boot) VALUES (1, ?, ?, ?, ?)",
            (stamp.lived_s, stamp.monotonic_s, stamp.wall_s, stamp.boot),
        )
        return stamp
