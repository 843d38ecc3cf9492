"""Offers the skills of the device to a model as tools, with types that prevent wrong calls."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from voxd.errors import InvalidRequest
from voxd.providers.tools import Tool, tool
from voxd.reports import Repeat
from voxd.skills.contract import SkillReply
from voxd.skills.engine import SkillEngine
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import Day, When

Kind = Literal["timer", "alarm", "reminder"]
DayName = Literal[
    "", "today", "tomorrow", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]
Time = Annotated[str, Meta(pattern=r"^([01]?\d|2[0-3]):[0-5]\d$")]
Seconds = Annotated[int, Meta(ge=1, le=7 * 86_400)]
RepeatName = Literal["", "daily", "weekdays", "weekends", "weekly"]
Percent = Annotated[int, Meta(ge=0, le=100)]

_DAYS = ("today", "tomorrow")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


_REPEATS: dict[str, tuple[int, ...]] = {
    "daily": tuple(range(7)),
    "weekdays": tuple(range(5)),
    "weekends": (5, 6),
}


def skill_tools(skills: SkillEngine) -> list[Tool]:
    """Return the tools of a device: time, timers, alarms, reminders, volume, silence, the owner's commands.

    Each returns the sentence the device itself would say, so that the model can repeat it.
    """
    # After a tool that acts no other provider may answer the same question: it would act twice.
    handlers = _SkillTools(skills)
    tools = [
        tool(handlers.get_time, acts=False),
        tool(handlers.set_timer),
        tool(handlers.set_alarm),
        tool(handlers.set_reminder),
        tool(handlers.list_timers, acts=False),
        tool(handlers.cancel_timers),
        tool(handlers.add_time),
        tool(handlers.undo),
        tool(handlers.set_volume),
        tool(handlers.stop),
        tool(handlers.mute_microphone),
        tool(handlers.device_status, acts=False),
    ]
    if skills.commands:
        sentences = "; ".join(sentence for command in skills.commands for sentence in command.sentences)
        summary = "Run one of the owner's own commands. Say exactly one of these sentences (templates: "
        summary += f"[optional], (this|that), {{value}}): {sentences}"
        tools.append(tool(handlers.device_command, description=summary))
    return tools


class _SkillTools:
    """The handlers. The model gets their docstrings and types as the descriptions of the tools."""

    def __init__(self, skills: SkillEngine) -> None:
        self._skills = skills

    async def get_time(self) -> dict[str, str]:
        """Return the local date and time. Call this before answering anything that depends on it."""
        now = self._skills.now()
        return {"local_time": now.isoformat(timespec="seconds"), "weekday": f"{now:%A}"}

    async def set_timer(self, seconds: Seconds, name: str = "") -> str:
        """Set a countdown timer on this device; it rings here.

        Args:
            seconds: how long it runs
            name: what it is for, when the user said so ("pasta")
        """
        slots = {"duration": seconds, **_name_slot(name)}
        return _spoken(await self._skills.perform("timer_set", slots))

    async def set_alarm(self, time: Time, day: DayName = "", name: str = "", repeat: RepeatName = "") -> str:
        """Set an alarm on this device for a time of day.

        Args:
            time: local time, 24 hours, "07:30"
            day: the day, or "" for the next time it is that time
            name: what it is for, when the user said so
            repeat: how often it comes again; "weekly" needs a weekday as the day
        """
        slots = {**_time_slots(time, day, repeat), **_name_slot(name)}
        return _spoken(await self._skills.perform("alarm_set", slots))

    async def set_reminder(
        self,
        text: str,
        seconds: Seconds | None = None,
        time: Time | None = None,
        day: DayName = "",
        repeat: RepeatName = "",
    ) -> str:
        """Set a reminder on this device, after a while or at a time of day.

        Args:
            text: what to do, as in "remind me to ..." ("call mum")
            seconds: how long from now; give this or time
            time: local time, 24 hours, "18:00"; give this or seconds
            day: the day of that time, or "" for the next time it is that time
            repeat: how often it comes again, with a time; "weekly" needs a weekday as the day
        """
        if (seconds is None) == (time is None):
            raise InvalidRequest("give either seconds or time")
        if repeat and time is None:
            raise InvalidRequest("give the time of a reminder that repeats")
        when = {"duration": seconds} if time is None else _time_slots(time, day, repeat)
        return _spoken(await self._skills.perform("reminder_set", {"text": text.strip().lower(), **when}))

    async def list_timers(self, kind: Kind = "timer") -> str:
        """Return which timers, alarms or reminders are set and when they are due."""
        return _spoken(await self._skills.perform("list", {"kind": kind}))

    async def cancel_timers(self, kind: Kind = "timer", name: str = "", all: bool = False) -> str:
        """Cancel a timer, alarm or reminder, or silence it while it rings.

        Args:
            name: its name, when there are several
            all: cancel every one of that kind
        """
        if all:
            return _spoken(await self._skills.perform("cancel_all", {"kind": kind}))
        return _spoken(await self._skills.perform("cancel", {"kind": kind, **_name_slot(name)}))

    async def add_time(self, seconds: int, kind: Kind = "timer", name: str = "") -> str:
        """Let a timer, alarm or reminder ring later, or earlier when seconds is negative.

        Args:
            seconds: how much later
            name: its name, when there are several
        """
        if not seconds:
            raise InvalidRequest("give the seconds, negative for earlier")
        slots = {"kind": kind, "duration": abs(seconds), **_name_slot(name)}
        return _spoken(await self._skills.perform("extend" if seconds > 0 else "shorten", slots))

    async def undo(self) -> str:
        """Undo the last change of timers, alarms, reminders or the volume; only within a minute."""
        return _spoken(await self._skills.perform("undo", {}))

    async def set_volume(self, percent: Percent | None = None, change: int | None = None) -> str:
        """Set the loudness of this device, or return it when neither argument is given.

        Args:
            percent: the new volume
            change: how much louder, or quieter when negative; 10 is a step
        """
        if percent is not None:
            return _spoken(await self._skills.perform("volume_set", {"number": percent}))
        if change:
            intent = "volume_up_by" if change > 0 else "volume_down_by"
            return _spoken(await self._skills.perform(intent, {"number": abs(change)}))
        return _spoken(await self._skills.perform("volume_get", {}))

    async def stop(self) -> str:
        """Silence this device at once, whatever it says or rings, and end the conversation."""
        return _spoken(await self._skills.perform("stop", {}))

    async def mute_microphone(self) -> str:
        """Switch the microphone off. Only when the user asks for it: it cannot be undone by voice."""
        return _spoken(await self._skills.perform("mic_mute", {}))

    async def device_status(self) -> str:
        """Return the state of this device: what works and what does not."""
        return _spoken(await self._skills.perform("status", {}))

    async def device_command(self, sentence: str) -> str:
        """Run one of the owner's own commands."""
        return _spoken(await self._skills.answer(sentence))


def _name_slot(name: str) -> dict[str, Any]:
    return {"name": name.strip().lower()} if name.strip() else {}


def _time_slots(time: str, day: str, repeat: str) -> dict[str, Any]:
    hour, minute = map(int, time.split(":"))
    clock = ClockTime(hour, minute, "24")
    if repeat == "weekly" and day not in _WEEKDAYS:
        raise InvalidRequest("give the weekday of what repeats weekly")
    if repeat:
        weekdays = _REPEATS.get(repeat) or (_WEEKDAYS.index(day),)
        return {"when": When(clock=clock, repeat=Repeat(weekdays))}
    if not day:
        return {"when": When(clock=clock)}
    said = Day(days=_DAYS.index(day)) if day in _DAYS else Day(weekday=_WEEKDAYS.index(day))
    return {"when": When(clock=clock, day=said)}


def _spoken(reply: SkillReply) -> str:
    return reply.text or "done"
