"""Timers on a real SQLite file, in a house whose clock the tests move."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.reports import Repeat, TimerEntry
from voxd.skills.timing.schedule import LocalMoment, wall_of
from voxd.skills.timing.timers import Timers
from voxd.store.db import Database
from voxd.store.timers import TimerStore

BERLIN = ZoneInfo("Europe/Berlin")
YEAR_S = 365.25 * 86_400
DAY_S = 86_400.0
HOUR_S = 3600.0
EVENING = datetime(2026, 11, 20, 22, 0, tzinfo=BERLIN).timestamp()
DAILY = Repeat(weekdays=(0, 1, 2, 3, 4, 5, 6))

_NAP_S = 900.0


def moment(text: str) -> LocalMoment:
    """The moment of a local date and time, as 2026-11-21 07:00."""
    local = datetime.fromisoformat(text)
    return LocalMoment(local.date(), local.time(), wall_of(local.date(), local.time(), BERLIN))


def local(wall_s: float) -> str:
    """The local date and time, as 2026-11-21 07:00; half a second early counts as on time."""
    return datetime.fromtimestamp(wall_s + 0.5, BERLIN).strftime("%Y-%m-%d %H:%M")


class House:
    """Timers on a real file, which can be stopped and started as a daemon is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock(wall=EVENING)
        self.emit = RecordingEmit()
        self.rung: list[tuple[float, TimerEntry]] = []
        self.rung_wall_s: list[float] = []
        self.boot = "one"

    async def start(self) -> None:
        self.db = Database(self.path)
        assert await self.db.open() == ""
        self.timers = Timers(
            TimerStore(self.db),
            self.clock,
            self.emit,
            self._ring,
            ring_s=60.0,
            tz=BERLIN,
            boot=self.boot,
        )
        await self.timers.start()
        await settle()

    def _ring(self, entry: TimerEntry) -> None:
        self.rung.append((self.clock.monotonic(), entry))
        self.rung_wall_s.append(self.clock.wall())

    async def stop(self) -> None:
        await self.timers.close()
        await self.db.close()

    async def restart(self) -> None:
        """The process ends and begins again; the machine runs on."""
        await self.stop()
        await self.start()

    async def reboot(self, wall: float) -> None:
        """The machine was off; its clock shows ``wall`` when it comes back."""
        await self.stop()
        self.boot += "x"
        self.clock = FakeClock(monotonic=5.0, wall=wall)
        await self.start()

    async def kill(self) -> None:
        """End the process as kill -9 does: what is not on disk now is lost."""
        copy = self.path.with_name(f"again-{self.path.name}")
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            if file.exists():
                shutil.copy(file, copy.with_name(copy.name + suffix))
        await self.stop()
        self.path = copy
        await self.start()

    async def pass_time(self, seconds: float) -> None:
        """Move time on, in long steps while nothing is due; after each one the timers run for a second."""
        end = self.clock.now + seconds
        while (left_s := end - self.clock.now) > 0:
            entries = self.timers.list()
            next_s = [entry.due_in_s for entry in entries if not entry.ringing and not entry.paused]
            nap_s = 0.0 if self.timers.ringing() else min([left_s, _NAP_S, *next_s]) - 1.0
            if nap_s > 0:
                self.clock.now += nap_s
                self.clock.wall_now += nap_s
            await self.clock.advance(min(1.0, end - self.clock.now))

    async def until(self, text: str) -> None:
        """Move time on to a local date and time, as 2026-11-21 07:00."""
        await self.pass_time(moment(text).wall_s - self.clock.wall())

    async def alarm(self, hour: int = 7, repeat: Repeat | None = None) -> TimerEntry:
        """Set an alarm for the next time it is ``hour`` o'clock."""
        now = datetime.fromtimestamp(self.clock.wall(), BERLIN)
        day = now.date() if now.hour < hour else now.date() + timedelta(days=1)
        aim = moment(f"{day} {hour:02}:00")
        return await self.timers.set("alarm", aim=aim, repeat=repeat)

    def now(self) -> str:
        return datetime.fromtimestamp(self.clock.wall(), BERLIN).strftime("%H:%M")

    def due(self) -> list[str]:
        """The local date and time of everything in the list."""
        return [local(entry.due_at) for entry in self.timers.list()]

    def rung_at(self) -> list[str]:
        """The local date and time of every ring."""
        return [local(wall_s) for wall_s in self.rung_wall_s]

    def last(self, type: str) -> dict[str, Any]:
        return [data for name, data in self.emit.events if name == type][-1]
