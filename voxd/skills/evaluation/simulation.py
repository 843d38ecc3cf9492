"""A device that exists only in memory, in a given state and with a clock that stands: to try sentences on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from voxd.config import schema
from voxd.config.commands import ReplyAction
from voxd.reports import TimerEntry
from voxd.skills.engine import SkillEngine
from voxd.skills.evaluation.effects import DeviceState, Item, read_repeat, repeat_text
from voxd.skills.evaluation.phrase_file import Given, GivenItem
from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.timing.timers import Timers
from voxd.skills.understanding.understander import Understander
from voxd.store.db import Database
from voxd.store.timers import Repeat, TimerStore

_BEFORE_S = 60
"""An alarm is set this long before the sentence is said."""


class ManualClock:
    """A clock that stands still until it is moved; a sleep on it ends when its time has come."""

    def __init__(self, wall_s: float) -> None:
        self._wall_s = wall_s
        self._moved = asyncio.Event()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._wall_s

    def wall(self) -> float:
        """Return seconds since 1970."""
        return self._wall_s

    def move_to(self, wall_s: float) -> None:
        """Set the time to ``wall_s`` (seconds since 1970), never back."""
        self._wall_s = max(self._wall_s, wall_s)
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved by ``seconds``."""
        until_s = self._wall_s + seconds
        while self._wall_s < until_s:
            await self._moved.wait()


class SimulatedDevice:
    """A `SkillDevice` that only remembers."""

    def __init__(self, timers: Timers, *, volume: int, said: str) -> None:
        self._timers = timers
        self._volume = volume
        self._said = said
        self.mic_open = True
        self.stops = 0
        self.volume_sets = 0

    def volume(self) -> int:
        """Return the output volume in percent."""
        return self._volume

    async def set_volume(self, percent: int) -> int:
        """Set the output volume, clamped to 0..100; returns it."""
        self.volume_sets += 1
        self._volume = max(0, min(100, percent))
        return self._volume

    async def mute(self) -> bool:
        """Close the microphone."""
        self.mic_open = False
        return True

    def is_muted(self) -> bool:
        """Return whether the microphone is closed."""
        return not self.mic_open

    def stop(self) -> None:
        """Silence what rings."""
        self.stops += 1
        self._timers.stop_ringing("voice")

    def last_reply(self) -> str:
        """Return the last reply, "" if there was none."""
        return self._said

    def summary(self) -> str:
        """Return the state of the device as one spoken sentence."""
        return "I am well."


@dataclass(frozen=True, slots=True)
class Simulation:
    """A device in the state of a case; ``labels`` names what is set, by id."""

    engine: SkillEngine
    timers: Timers
    device: SimulatedDevice
    labels: Mapping[int, str]

    def state(self) -> DeviceState:
        """Return the state as it is now."""
        items = {entry.id: _item(entry) for entry in self.timers.list()}
        device = self.device
        return DeviceState(items, device.volume(), device.mic_open, device.stops, device.volume_sets)


class Simulator:
    """Makes simulations that share the grammar, which takes long to build, and one database in memory."""

    def __init__(self, config: schema.Skills, db: Database) -> None:
        """The owner's commands in ``config`` are recognised, but what they would run is not run."""
        self._config = _harmless(config)
        self._understander: Understander | None = None
        self._store = TimerStore(db)

    @asynccontextmanager
    async def simulate(self, given: Given) -> AsyncIterator[Simulation]:
        """Give a device in the state ``given``; nothing of it remains. Raises `ConfigError`, `StoreError`."""
        now_s = given.now.timestamp()
        starts = {item: _set_at_s(item, now_s) for item in given.items}
        clock = ManualClock(min([*starts.values(), now_s]))
        rung = asyncio.Semaphore(0)
        timers = Timers(
            self._store, clock, _unheard, lambda entry: rung.release(), tz=given.tz, boot="simulated"
        )
        await timers.start()
        try:
            labels: dict[int, str] = {}
            for item in sorted(given.items, key=lambda item: starts[item]):
                clock.move_to(starts[item])
                labels[await _set(timers, item, given.now)] = item.label
            clock.move_to(now_s)
            for item in given.items:
                if item.ringing:
                    await rung.acquire()
            paused = {item.label for item in given.items if item.paused}
            for id, label in labels.items():
                if label in paused:
                    await timers.pause(id)
            device = SimulatedDevice(timers, volume=given.volume, said=given.said)
            engine = SkillEngine(
                self._config,
                timers=timers,
                device=device,
                clock=clock,
                tz=given.tz,
                understander=self._understander,
            )
            self._understander = await engine.prepare()
            yield Simulation(engine, timers, device, labels)
        finally:
            await timers.close()
            await self._store.remove([record.id for record in await self._store.all()])


def _harmless(config: schema.Skills) -> schema.Skills:
    """Return ``config`` with commands that only speak: to try a sentence must not run a program."""
    commands = tuple(
        msgspec.structs.replace(command, action=ReplyAction(text=command.reply))
        for command in config.commands
    )
    return msgspec.structs.replace(config, commands=commands)


def _set_at_s(item: GivenItem, now_s: float) -> float:
    return now_s - (_BEFORE_S if item.due else item.length_s - item.left_s)


async def _set(timers: Timers, item: GivenItem, now: datetime) -> int:
    """Set ``item``; returns its id."""
    repeat = Repeat(**read_repeat(item.repeat)) if item.repeat else None
    if item.due is None:
        length_s = float(item.length_s)
        entry = await timers.set(item.kind, name=item.name, duration_s=length_s, repeat=repeat)
    else:
        aim = LocalMoment(item.due.date(), item.due.time(), item.due.timestamp())
        entry = await timers.set(item.kind, name=item.name, aim=aim, repeat=repeat)
    return entry.id


def _item(entry: TimerEntry) -> Item:
    repeat = repeat_text(msgspec.structs.asdict(entry.repeat)) if entry.repeat else ""
    return Item(entry.kind, entry.name.lower(), round(entry.due_at), repeat, entry.paused, entry.ringing)


def _unheard(type: str, /, *, turn: str | None = None, **data: Any) -> None:
    """Take an event and drop it: a simulated device has no listeners."""
