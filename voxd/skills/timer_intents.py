"""The skill for timers, alarms and reminders: sets, lists and cancels them, asks for missing values."""

from collections.abc import Mapping
from datetime import datetime

from voxd.reports import TimerEntry
from voxd.skills import replies
from voxd.skills.contract import Handler, Question, Skill, SkillReply, Slots
from voxd.skills.language import load_language
from voxd.skills.moments import Unclear, resolve_when
from voxd.skills.numbers import ClockTime, number_words
from voxd.skills.temporal import Day, When

MAX_COUNTDOWN_S = 7 * 86_400.0
"""A longer countdown is refused: it is a misheard one, or an alarm."""

MAX_LISTED = 4
"""No answer lists more than this."""


class TimerSkill(Skill):
    """The intents around `Timers`. Every handler takes the slots of a sentence and returns what to say."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {
            "timer_set": self.set_timer,
            "timer_ask": self.set_timer,
            "time_left": self.time_left,
            "list": self.list_all,
            "cancel": self.cancel,
            "cancel_all": self.cancel_all,
            "alarm_set": self.set_alarm,
            "alarm_ask": self.set_alarm,
            "wake_set": lambda slots: self.set_alarm(slots, morning=True),
            "reminder_set": self.set_reminder,
            "reminder_when": self.set_reminder,
            "reminder_what": self.set_reminder,
        }

    async def set_timer(self, slots: Slots) -> SkillReply:
        """Set a countdown; asks how long when that was not said."""
        seconds = slots.get("duration")
        if seconds is None:
            return SkillReply("Set a timer for how long?", question=Question("timer_set", "duration", slots))
        if not 1 <= seconds <= MAX_COUNTDOWN_S:
            return SkillReply("Sorry, I can set timers from one second to seven days.")
        entry = await self.context.timers.set("timer", name=slots.get("name", ""), duration_s=float(seconds))
        return SkillReply(
            f"{replies.sentence(replies.title(entry))[:-1]} set for {replies.duration_words(seconds)}."
        )

    async def set_alarm(self, slots: Slots, *, morning: bool = False) -> SkillReply:
        """Set an alarm; asks when, if that was not said."""
        intent = "wake_set" if morning else "alarm_set"
        # On another day than today an open hour is a morning's: people set alarms to get up.
        other_day = slots.get("day", "0").split()[0] != "0"
        said = await self._set_for("alarm", slots.get("name", ""), slots, morning=morning or other_day)
        if said is None:
            return SkillReply("Set an alarm for when?", question=Question(intent, "when", slots))
        return SkillReply(f"Alarm set {said}.")

    async def set_reminder(self, slots: Slots) -> SkillReply:
        """Set a reminder; asks what or when, if that was not said."""
        text = slots.get("text", "")
        if not text:
            return SkillReply(
                "What should I remind you of?", question=Question("reminder_set", "text", slots)
            )
        said = await self._set_for("reminder", text, slots, morning=False)
        if said is None:
            return SkillReply("When should I remind you?", question=Question("reminder_set", "when", slots))
        return SkillReply(f"I will remind you to {replies.to_you(text)} {said}.")

    async def time_left(self, slots: Slots) -> SkillReply:
        """Say how long the countdowns still run."""
        running = self._matching({"kind": "timer", **slots})
        if not running:
            return SkillReply("No such timer is running." if slots.get("name") else "No timer is running.")
        return SkillReply(replies.sentence(_join_few([self._left(entry) for entry in running])))

    async def list_all(self, slots: Slots) -> SkillReply:
        """Say what is set of a kind, and what was missed."""
        kind = slots["kind"]
        missed = [replies.title(entry) for entry in self.context.timers.take_missed()]
        missed_words = f"You missed your {replies.join_items(missed)}. " if missed else ""
        found = self._matching({"kind": kind})
        if not found:
            return SkillReply(f"{missed_words}You have no {kind}s set.")
        listed = _join_few([self._described(entry) for entry in found])
        return SkillReply(f"{missed_words}You have {replies.count_words(len(found), kind)}: {listed}.")

    async def cancel(self, slots: Slots) -> SkillReply:
        """Cancel the one that is meant; asks which when that is open. What rings is silenced."""
        kind = slots["kind"]
        if any(entry.kind == kind for entry in self.context.timers.ringing()):
            self.context.timers.stop_ringing("voice")
            return SkillReply("")
        found = self._matching(slots)
        if not found:
            return SkillReply(
                f"No such {kind} is set." if self._matching({"kind": kind}) else f"No {kind} is set."
            )
        if len(found) == 1:
            await self.context.timers.cancel(found[0].id)
            return SkillReply(f"{replies.sentence(replies.title(found[0]))[:-1]} cancelled.")
        listed = _join_few([self._described(entry) for entry in found])
        count = replies.count_words(len(found), kind)
        return SkillReply(
            f"You have {count}: {listed}. Which one?", question=Question("cancel", "which", {"kind": kind})
        )

    async def cancel_all(self, slots: Slots) -> SkillReply:
        """Cancel everything of a kind, or everything."""
        kind = slots.get("kind", "")
        self.context.timers.stop_ringing("voice")
        found = [entry for entry in self.context.timers.list() if not kind or entry.kind == kind]
        for entry in found:
            await self.context.timers.cancel(entry.id)
        noun = kind or "timer"
        if not found:
            return SkillReply(f"No {noun} is set.")
        if not kind:
            return SkillReply("Everything is cancelled.")
        return SkillReply(f"{replies.sentence(replies.count_words(len(found), noun))[:-1]} cancelled.")

    async def _set_for(self, kind: str, name: str, slots: Slots, *, morning: bool) -> str | None:
        """Set it for the time in ``slots``; returns that time in words, None when there is none."""
        if "duration" in slots:
            seconds = float(slots["duration"])
            await self.context.timers.set(kind, name=name, duration_s=seconds)
            return f"in {replies.duration_words(seconds)}"
        said = _clock_of(slots)
        if said is None:
            return None
        aimed = resolve_when(
            _when(said, slots.get("day", "")),
            self.context.now(),
            morning=morning,
            clock_24h=self.context.clock_24h,
        )
        if isinstance(aimed, Unclear):
            return None
        await self.context.timers.set(kind, name=name, aim=aimed)
        return self._moment(aimed.wall_s)

    def _matching(self, slots: Slots) -> list[TimerEntry]:
        entries = [entry for entry in self.context.timers.list() if entry.kind == slots["kind"]]
        name = slots.get("name") or slots.get("text")
        if name:
            entries = [entry for entry in entries if entry.name == name]
        if "duration" in slots:
            entries = [
                entry for entry in entries if self.context.timers.length_s(entry.id) == slots["duration"]
            ]
        said = _clock_of(slots)
        if said is not None:
            entries = [entry for entry in entries if self._is_at(entry, said)]
        return entries

    def _is_at(self, entry: TimerEntry, said: ClockTime) -> bool:
        at = datetime.fromtimestamp(entry.due_at, self.context.tz)
        return (at.hour % 12, at.minute) == (said.hour % 12, said.minute)

    def _moment(self, wall_s: float) -> str:
        now = datetime.fromtimestamp(self.context.clock.wall(), self.context.tz)
        return replies.moment_words(
            datetime.fromtimestamp(wall_s, self.context.tz), now, clock_24h=self.context.clock_24h
        )

    def _left(self, entry: TimerEntry) -> str:
        left = f"{replies.duration_words(entry.due_in_s)} left"
        return f"{left} on the {replies.title(entry)}" if entry.name else left

    def _described(self, entry: TimerEntry) -> str:
        if entry.kind == "timer":
            name = f"{entry.name}, " if entry.name else ""
            return f"{name}{replies.duration_words(entry.due_in_s)} left"
        what = f"{replies.to_you(entry.name)}, " if entry.name else ""
        return f"{what}{self._moment(entry.due_at)}"


def _join_few(items: list[str]) -> str:
    """Return the first few of ``items``, and how many more there are, so that the reply stays short."""
    more = len(items) - MAX_LISTED
    return replies.join_items([*items[:MAX_LISTED], *([f"{number_words(more)} more"] if more > 0 else [])])


def _clock_of(slots: Slots) -> ClockTime | None:
    if "clock" in slots:
        clock: ClockTime = slots["clock"]
        return clock
    hour = slots.get("hour")
    return ClockTime(hour) if hour is not None and hour <= 23 else None


def _when(said: ClockTime, day: str) -> When:
    """Return ``said`` on ``day``: "", days from today or a weekday, each with am or pm behind it."""
    name, _, half = day.partition(" ")
    if half and not said.half:
        said = ClockTime(said.hour, said.minute, half)
    if not name:
        return When(clock=said)
    weekday = load_language().weekdays.get(name)
    return When(clock=said, day=Day(weekday=weekday) if weekday is not None else Day(days=int(name)))
