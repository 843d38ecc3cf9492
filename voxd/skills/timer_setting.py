"""The skill that sets timers, alarms and reminders, and asks for what is missing."""

from collections.abc import Mapping

from voxd.reports import TimerEntry
from voxd.skills import replies
from voxd.skills.contract import Handler, Question, Skill, SkillReply, Slots
from voxd.skills.replies import say
from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.understanding.moments import Unclear, resolve_when
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import When, merge_when

MAX_COUNTDOWN_S = 7 * 86_400.0
"""A longer countdown is refused: it is a misheard one, or an alarm."""


MAX_AT_ONCE = 5
"""No sentence sets more timers of the same length than this."""


class TimerSettingSkill(Skill):
    """The intents that set something. Every handler takes the slots of a sentence and returns what to say."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {
            "timer_set": self.set_timer,
            "timer_set_many": self.set_timers,
            "timer_twice": self.set_twice,
            "timer_confirm": self.confirm_timer,
            "timer_ask": self.set_timer,
            "timers_ask": self.set_timer,
            "alarm_set": self.set_alarm,
            "alarm_set_many": self.set_alarms,
            "alarm_ask": self.set_alarm,
            "wake_set": lambda slots: self.set_alarm(slots, is_wake=True),
            "wake_set_many": lambda slots: self.set_alarms(slots, is_wake=True),
            "wake_ask": lambda slots: self.set_alarm(slots, is_wake=True),
            "reminder_set": self.set_reminder,
            "reminder_when": self.set_reminder,
            "reminder_what": self.set_reminder,
        }

    async def set_timer(self, slots: Slots) -> SkillReply:
        """Set a countdown; asks how long when that was not said."""
        seconds = slots.get("duration")
        if seconds is None and (when := slots.get("when")) is not None:
            if when.duration_s is None:
                return await self._set_until(slots, when)
            seconds = when.duration_s
        if seconds is None:
            return SkillReply(say("ask_duration"), question=Question("timer_set", "duration", slots))
        if not 1 <= seconds <= MAX_COUNTDOWN_S:
            return SkillReply(say("timer_range"))
        entry = await self._set("timer", _name_of(slots), duration_s=float(seconds))
        return SkillReply(
            say("timer_set", title=replies.title(entry), duration=replies.duration_words(seconds))
        )

    async def _set_until(self, slots: Slots, when: When) -> SkillReply:
        """Set a countdown that ends at a time of day: people say "a timer for seven p m"."""
        if when == When(clock=when.clock) and when.clock is not None and _is_bare_hour(when.clock):
            # "A timer for five" may be five minutes or five o'clock.
            return SkillReply(
                say("ask_duration"), question=Question("timer_set", "duration", {**slots, "when": None})
            )
        aim = self._resolve(when, is_wake=False)
        if isinstance(aim, Unclear):
            return ask_about(aim, "timer_set", slots)
        return await self.set_timer(
            {**slots, "when": None, "duration": round(aim.wall_s - self.context.clock.wall())}
        )

    async def set_timers(self, slots: Slots) -> SkillReply:
        """Set several countdowns; a number without a unit takes the unit of the next."""
        lengths: list[float] = []
        for index in ("3", "2", "1"):
            if f"d{index}" in slots:
                lengths.insert(0, float(slots[f"d{index}"]))
            elif f"n{index}" in slots:
                lengths.insert(0, slots[f"n{index}"] * _unit_s(lengths[0]))
        return await self._each([await self.set_timer({"duration": length_s}) for length_s in lengths])

    async def confirm_timer(self, slots: Slots) -> SkillReply:
        """Ask whether a bare length of time is a timer to set."""
        words = replies.duration_words(slots["duration"])
        return SkillReply(say("ask_timer", duration=words), question=Question("timer_set", "confirm", slots))

    async def set_twice(self, slots: Slots) -> SkillReply:
        """Set several countdowns of the same length."""
        if not 1 <= slots["count"] <= MAX_AT_ONCE:
            return SkillReply(say("too_many_at_once"))
        return await self._each([await self.set_timer(slots) for _ in range(slots["count"])])

    async def set_alarms(self, slots: Slots, *, is_wake: bool = False) -> SkillReply:
        """Set several alarms; what the first says of the day holds for the others."""
        first: When = slots["w1"]
        whens = [first, *(_inherit(first, slots[key]) for key in ("w2", "w3") if key in slots)]
        last: When = whens[-1]
        whens = [_inherit(last, when) for when in whens]
        intent = "wake_set" if is_wake else "alarm_set"
        for when in whens:
            aim = self._resolve(when, is_wake=is_wake or _is_other_day(when))
            if isinstance(aim, Unclear):
                return ask_about(aim, intent, {"when": when})
        return await self._each([await self.set_alarm({"when": when}, is_wake=is_wake) for when in whens])

    async def _each(self, given: list[SkillReply]) -> SkillReply:
        question = next((reply.question for reply in given if reply.question is not None), None)
        return SkillReply(" ".join(reply.text for reply in given), question=question)

    async def set_alarm(self, slots: Slots, *, is_wake: bool = False) -> SkillReply:
        """Set an alarm; asks when, if that was not said."""
        intent = "wake_set" if is_wake else "alarm_set"
        return await self._set_for("alarm", _name_of(slots), slots, intent, is_wake=is_wake)

    async def set_reminder(self, slots: Slots) -> SkillReply:
        """Set a reminder; asks what or when, if that was not said."""
        text = slots.get("text", "")
        if not text:
            return SkillReply(say("ask_text"), question=Question("reminder_set", "text", slots))
        return await self._set_for("reminder", text, slots, "reminder_set", is_wake=False)

    async def _set_for(self, kind: str, name: str, slots: Slots, intent: str, *, is_wake: bool) -> SkillReply:
        when: When | None = slots.get("when")
        if when is not None and (more := slots.get("when_more")) is not None:
            when = merge_when(when, more)
        seconds = slots.get("duration", when.duration_s if when is not None else None)
        if seconds is not None:
            if seconds < 1:
                return SkillReply(say("no_such_time"))
            entry = await self._set(kind, name, duration_s=float(seconds))
            return SkillReply(
                self._set_words(entry, say("in_duration", duration=replies.duration_words(seconds)))
            )
        if when is None:
            return SkillReply(say(f"ask_when_{kind}"), question=Question(intent, "when", slots))
        aim = self._resolve(when, is_wake=is_wake or (kind == "alarm" and _is_other_day(when)))
        if isinstance(aim, Unclear):
            return ask_about(aim, intent, slots)
        if when.repeat is not None and when.repeat.interval_s:
            entry = await self._set(kind, name, duration_s=when.repeat.interval_s, when=when)
        else:
            entry = await self._set(kind, name, aim=aim, when=when)
        return SkillReply(self._set_words(entry, self._moment_words(entry)))

    def _set_words(self, entry: TimerEntry, moment: str) -> str:
        return say(
            f"{entry.kind}_set_for",
            title=replies.title(entry),
            text=replies.to_you(entry.name),
            moment=moment,
        )

    def _moment_words(self, entry: TimerEntry) -> str:
        return replies.entry_moment_words(entry, self.context.now(), clock_24h=self.context.clock_24h)

    async def _set(
        self,
        kind: str,
        name: str,
        *,
        duration_s: float | None = None,
        aim: LocalMoment | None = None,
        when: When | None = None,
    ) -> TimerEntry:
        repeat = when.repeat if when is not None else None
        timers = self.context.timers
        entry = await timers.set(kind, name=name, duration_s=duration_s, aim=aim, repeat=repeat)
        self.context.recent.remember(lambda: timers.cancel(entry.id), entry.id)
        return entry

    def _resolve(self, when: When, *, is_wake: bool) -> LocalMoment | Unclear:
        return resolve_when(when, self.context.now(), morning=is_wake, clock_24h=self.context.clock_24h)


def ask_about(unclear: Unclear, intent: str, slots: Slots) -> SkillReply:
    """Return what to say when a time is not clear: a question where an answer can help, else why not."""
    if unclear.options:
        first, second = (replies.said_clock_words(option) for option in unclear.options[:2])
        question = Question(intent, "half", slots, unclear.options)
        return SkillReply(say("ask_half", first=first, second=second), question=question)
    if unclear.reason == "no_time":
        return SkillReply(say("ask_time"), question=Question(intent, "when", slots))
    return SkillReply(say(unclear.reason))


def _name_of(slots: Slots) -> str:
    return str(slots.get("name") or slots.get("label") or "")


def _is_bare_hour(clock: ClockTime) -> bool:
    return not clock.minute and not clock.half and clock.hour <= 12


def _is_other_day(when: When) -> bool:
    # On another day than today an open hour is a morning's: people set alarms to get up.
    return when.repeat is not None or (when.day is not None and when.day.days != 0)


def _inherit(first: When, when: When) -> When:
    """Return ``when`` with the day and the recurrence of ``first`` where it has none of its own."""
    if when.day is None and when.repeat is None:
        return merge_when(When(day=first.day, repeat=first.repeat, part=first.part), when)
    return when


def _unit_s(seconds: float) -> int:
    return next(unit for unit in (86_400, 3600, 60, 1) if seconds >= unit and seconds % unit == 0)
