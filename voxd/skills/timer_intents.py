"""Talks about timers, alarms and reminders: sets, lists and cancels them, and asks for what is missing."""

from datetime import datetime, tzinfo
from typing import Any

from voxd.clock import Clock
from voxd.reports import TimerEntry
from voxd.skills import replies
from voxd.skills.dialogue import Question, Said
from voxd.skills.due import LocalMoment, resolve_moment
from voxd.skills.numbers import ClockTime, number_words
from voxd.skills.timers import Timers

MAX_COUNTDOWN_S = 7 * 86_400.0
"""A longer countdown is refused: it is a misheard one, or an alarm."""

MAX_TOLD = 4
"""No answer lists more than this."""

Slots = dict[str, Any]


class TimerIntents:
    """The skills around `Timers`. Every method takes the slots of a sentence and returns what to say."""

    def __init__(self, timers: Timers, clock: Clock, tz: tzinfo, *, clock_24h: bool) -> None:
        self._timers = timers
        self._clock = clock
        self._tz = tz
        self.clock_24h = clock_24h

    async def set_timer(self, slots: Slots) -> Said:
        """Set a countdown; asks how long when that was not said."""
        seconds = slots.get("duration")
        if seconds is None:
            return Said("Set a timer for how long?", Question("timer_set", "duration", slots))
        if not 1 <= seconds <= MAX_COUNTDOWN_S:
            return Said("Sorry, I can set timers from one second to seven days.")
        entry = await self._timers.set("timer", name=slots.get("name", ""), duration_s=float(seconds))
        return Said(
            f"{replies.sentence(replies.title(entry))[:-1]} set for {replies.duration_words(seconds)}."
        )

    async def set_alarm(self, slots: Slots, *, morning: bool = False) -> Said:
        """Set an alarm; asks when, if that was not said."""
        intent = "wake_set" if morning else "alarm_set"
        # On another day than today an open hour is a morning's: people set alarms to get up.
        other_day = slots.get("day", "0").split()[0] != "0"
        said = await self._set_for("alarm", slots.get("name", ""), slots, morning=morning or other_day)
        if said is None:
            return Said("Set an alarm for when?", Question(intent, "when", slots))
        return Said(f"Alarm set {said}.")

    async def set_reminder(self, slots: Slots) -> Said:
        """Set a reminder; asks what or when, if that was not said."""
        text = slots.get("text", "")
        if not text:
            return Said("What should I remind you of?", Question("reminder_set", "text", slots))
        said = await self._set_for("reminder", text, slots, morning=False)
        if said is None:
            return Said("When should I remind you?", Question("reminder_set", "when", slots))
        return Said(f"I will remind you to {replies.to_you(text)} {said}.")

    async def time_left(self, slots: Slots) -> Said:
        """Say how long the countdowns still run."""
        running = self._matching({"kind": "timer", **slots})
        if not running:
            return Said("No such timer is running." if slots.get("name") else "No timer is running.")
        return Said(replies.sentence(_told([self._left(entry) for entry in running])))

    async def list_all(self, slots: Slots) -> Said:
        """Say what is set of a kind, and what was missed."""
        kind = slots["kind"]
        missed = [replies.title(entry) for entry in self._timers.take_missed()]
        told = f"You missed your {replies.join_items(missed)}. " if missed else ""
        found = self._matching({"kind": kind})
        if not found:
            return Said(f"{told}You have no {kind}s set.")
        listed = _told([self._described(entry) for entry in found])
        return Said(f"{told}You have {replies.count_words(len(found), kind)}: {listed}.")

    async def cancel(self, slots: Slots) -> Said:
        """Cancel the one that is meant; asks which when that is open. What rings is silenced."""
        kind = slots["kind"]
        if any(entry.kind == kind for entry in self._timers.ringing()):
            self._timers.stop_ringing("voice")
            return Said("")
        found = self._matching(slots)
        if not found:
            return Said(
                f"There is no such {kind}." if self._matching({"kind": kind}) else f"No {kind} is set."
            )
        if len(found) == 1:
            await self._timers.cancel(found[0].id)
            return Said(f"{replies.sentence(replies.title(found[0]))[:-1]} cancelled.")
        listed = _told([self._described(entry) for entry in found])
        count = replies.count_words(len(found), kind)
        return Said(f"You have {count}: {listed}. Which one?", Question("cancel", "which", {"kind": kind}))

    async def cancel_all(self, slots: Slots) -> Said:
        """Cancel everything of a kind, or everything."""
        kind = slots.get("kind", "")
        self._timers.stop_ringing("voice")
        found = [entry for entry in self._timers.list() if not kind or entry.kind == kind]
        for entry in found:
            await self._timers.cancel(entry.id)
        noun = kind or "timer"
        if not found:
            return Said(f"No {noun} is set.")
        if not kind:
            return Said("Everything is cancelled.")
        return Said(f"{replies.sentence(replies.count_words(len(found), noun))[:-1]} cancelled.")

    def has_name(self, kind: str, name: str) -> bool:
        """Whether something of ``kind`` is called ``name``."""
        return any(entry.kind == kind and entry.name == name for entry in self._timers.list())

    def silenced(self) -> bool:
        """Silence what rings; whether anything did."""
        return self._timers.stop_ringing("voice") > 0

    async def _set_for(self, kind: str, name: str, slots: Slots, *, morning: bool) -> str | None:
        """Set it for the time in ``slots``; returns that time in words, None when there is none."""
        if "duration" in slots:
            seconds = float(slots["duration"])
            await self._timers.set(kind, name=name, duration_s=seconds)
            return f"in {replies.duration_words(seconds)}"
        said = _clock_of(slots)
        if said is None:
            return None
        now_s = self._clock.wall()
        aimed: LocalMoment = resolve_moment(
            said, slots.get("day", ""), now_s, self._tz, morning=morning, clock_24h=self.clock_24h
        )
        await self._timers.set(kind, name=name, aim=aimed)
        return self._moment(aimed.wall_s)

    def _matching(self, slots: Slots) -> list[TimerEntry]:
        entries = [entry for entry in self._timers.list() if entry.kind == slots["kind"]]
        name = slots.get("name") or slots.get("text")
        if name:
            entries = [entry for entry in entries if entry.name == name]
        if "duration" in slots:
            entries = [entry for entry in entries if self._timers.length_s(entry.id) == slots["duration"]]
        said = _clock_of(slots)
        if said is not None:
            entries = [entry for entry in entries if self._is_at(entry, said)]
        return entries

    def _is_at(self, entry: TimerEntry, said: ClockTime) -> bool:
        at = datetime.fromtimestamp(entry.due_at, self._tz)
        return (at.hour % 12, at.minute) == (said.hour % 12, said.minute)

    def _moment(self, wall_s: float) -> str:
        now = datetime.fromtimestamp(self._clock.wall(), self._tz)
        return replies.moment_words(datetime.fromtimestamp(wall_s, self._tz), now, clock_24h=self.clock_24h)

    def _left(self, entry: TimerEntry) -> str:
        left = f"{replies.duration_words(entry.due_in_s)} left"
        return f"{left} on the {replies.title(entry)}" if entry.name else left

    def _described(self, entry: TimerEntry) -> str:
        if entry.kind == "timer":
            name = f"{entry.name}, " if entry.name else ""
            return f"{name}{replies.duration_words(entry.due_in_s)} left"
        what = f"{replies.to_you(entry.name)}, " if entry.name else ""
        return f"{what}{self._moment(entry.due_at)}"


def _told(items: list[str]) -> str:
    """Return the first few of ``items``, and how many more there are: nobody listens to a long list."""
    more = len(items) - MAX_TOLD
    return replies.join_items([*items[:MAX_TOLD], *([f"{number_words(more)} more"] if more > 0 else [])])


def _clock_of(slots: Slots) -> ClockTime | None:
    if "clock" in slots:
        clock: ClockTime = slots["clock"]
        return clock
    hour = slots.get("hour")
    return ClockTime(hour) if hour is not None and hour <= 23 else None
