"""A conversation with the device: skills on a real database, with a clock and a device to look at."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from tests.fakes import FakeClock, RecordingEmit
from voxd.config import schema
from voxd.reports import Repeat, TimerEntry
from voxd.skills.contract import SkillReply
from voxd.skills.engine import SkillEngine
from voxd.skills.evaluation.effects import duration_text, repeat_text
from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.timing.timers import Timers
from voxd.skills.understanding.understander import Understander
from voxd.store.db import Database
from voxd.store.timers import TimerStore

BERLIN = ZoneInfo("Europe/Berlin")
AFTERNOON = datetime(2026, 11, 20, 15, 5, tzinfo=BERLIN).timestamp()
"""A Friday."""

NOT_UNDERSTOOD = "Sorry, I did not understand that."


class Device:
    """A device that remembers what was done to it."""

    def __init__(self) -> None:
        self.level = 70
        self.done: list[str] = []
        self.said = ""

    def volume(self) -> int:
        return self.level

    async def set_volume(self, percent: int) -> int:
        self.level = max(0, min(100, percent))
        return self.level

    async def mute(self) -> bool:
        self.done.append("mute")
        return True

    def is_muted(self) -> bool:
        return "mute" in self.done

    def stop(self) -> None:
        self.done.append("stop")

    def last_reply(self) -> str:
        return self.said

    def summary(self) -> str:
        return "I am well."


class Talk:
    """What is said to the device, and what is set then."""

    def __init__(
        self, db: Database, config: schema.Skills | None = None, understander: Understander | None = None
    ) -> None:
        """``understander`` saves the 3 s that it takes to build one; it must be of the same ``config``."""
        self.db = db
        self.clock = FakeClock(wall=AFTERNOON)
        self.device = Device()
        store = TimerStore(db)
        self.timers = Timers(store, self.clock, RecordingEmit(), lambda entry: None, tz=BERLIN, boot="one")
        self.skills = SkillEngine(
            config or schema.Skills(),
            timers=self.timers,
            device=self.device,
            clock=self.clock,
            tz=BERLIN,
            understander=understander,
        )

    async def ask(self, text: str) -> SkillReply:
        """Say each sentence of ``text``, which // separates; returns the answer to the last."""
        reply = SkillReply("")
        for sentence in text.split("//"):
            reply = await self.skills.answer(sentence)
        return reply

    async def says(self, text: str) -> str:
        return (await self.ask(text)).text

    async def timer(self, name: str, minutes: float) -> TimerEntry:
        return await self.timers.set("timer", name=name, duration_s=minutes * 60.0)

    async def at(self, kind: str, due: str, name: str = "", repeat: Repeat | None = None) -> TimerEntry:
        """Set an alarm or a reminder for the local time ``due``, as 2026-11-21 07:00."""
        local = datetime.fromisoformat(due)
        aim = LocalMoment(local.date(), local.time(), local.replace(tzinfo=BERLIN).timestamp())
        return await self.timers.set(kind, name=name, aim=aim, repeat=repeat)

    async def fill(self) -> None:
        """Set two timers, an alarm and a reminder."""
        await self.timer("tea", 5)
        await self.timer("pizza", 10)
        await self.at("alarm", "2026-11-21 07:00")
        await self.at("reminder", "2026-11-21 09:00", "call mom")

    def state(self) -> list[str]:
        """Everything that is set, in the order it is due: "pizza timer 10m", "alarm 21 07:00 daily"."""
        return [_text(entry) for entry in self.timers.list()]

    def device_state(self) -> tuple[int, list[str]]:
        return self.device.level, [*self.device.done]


FILLED = ["tea timer 5m", "pizza timer 10m", "alarm 21 07:00", "call mom reminder 21 09:00"]
"""The state after `Talk.fill`."""


def _text(entry: TimerEntry) -> str:
    title = f"{entry.name} {entry.kind}".strip()
    if entry.kind == "timer":
        moment = duration_text(round(entry.due_in_s))
    else:
        moment = datetime.fromtimestamp(entry.due_at, BERLIN).strftime("%d %H:%M")
    repeat = repeat_text(msgspec.structs.asdict(entry.repeat)) if entry.repeat else ""
    return " ".join(filter(None, (title, moment, repeat, "paused" * entry.paused, "ringing" * entry.ringing)))
