"""The skill that changes what is set: extends, pauses, renames, moves, cancels and snoozes it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from voxd.reports import TimerEntry
from voxd.skills import replies
from voxd.skills.contract import Handler, Question, SkillReply, Slots
from voxd.skills.replies import say
from voxd.skills.timer_listing import TimerListingSkill, join_few
from voxd.skills.timer_setting import TimerSettingSkill, ask_about
from voxd.skills.timer_targets import kind_of
from voxd.skills.understanding.moments import Unclear, resolve_when
from voxd.skills.understanding.numbers import number_words
from voxd.skills.understanding.temporal import When
from voxd.store.timers import TimerRecord

SNOOZE_S = 600.0
"""What rings comes again after this time, unless another was said."""

_Change = Callable[[TimerEntry], Awaitable[SkillReply]]


class TimerChangeSkill(TimerListingSkill):
    """The intents around what `Timers` holds. Every handler takes the slots of a sentence."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {
            "extend": lambda slots: self.extend(slots, 1),
            "extend_ask": lambda slots: self.extend(slots, 1),
            "shorten": lambda slots: self.extend(slots, -1),
            "shorten_ask": lambda slots: self.extend(slots, -1),
            "pause": self.pause,
            "resume": self.resume,
            "restart": self.restart,
            "rename": self.rename,
            "change_time": self.change_time,
            "change_ask": self.change_time,
            "timer_set_or_change": self.set_or_change,
            "alarm_set_or_change": self.set_or_change_alarm,
            "cancel": self.cancel,
            "cancel_named": self.cancel_named,
            "cancel_it": self.cancel_it,
            "cancel_many": self.cancel_many,
            "cancel_kind": self.cancel_kind,
            "cancel_all": self.cancel_all,
            "cancel_all_on": self.cancel_all,
            "cancel_all_but": self.cancel_all_but,
            "snooze": self.snooze,
            "silence": self.silence,
            "undo": self.undo,
            "no": self.no,
        }

    # --- changing one

    async def extend(self, slots: Slots, sign: int) -> SkillReply:
        """Let it ring later (``sign`` 1) or earlier (-1); asks by how much when that was not said."""
        intent = "extend" if sign > 0 else "shorten"
        ringing = self.context.timers.ringing()
        seconds = slots.get("duration")
        target = {key: value for key, value in slots.items() if key != "duration"}
        if seconds is None:
            return SkillReply(say("ask_duration_change"), question=Question(intent, "duration", slots))
        if ringing and sign > 0 and not kind_of(target):
            return await self.snooze(slots)
        default = {} if kind_of(target) or "it" in target or "options" in target else {"kind": "timer"}

        async def change(entry: TimerEntry) -> SkillReply:
            entry = await self.context.timers.extend(entry.id, sign * float(seconds))
            return SkillReply(self._now_words(entry))

        return await self._change_one(intent, {**default, **target}, change, keep={"duration": seconds})

    async def pause(self, slots: Slots) -> SkillReply:
        """Stop a countdown for a while."""

        async def change(entry: TimerEntry) -> SkillReply:
            if entry.kind != "timer":
                return SkillReply(say("only_timers_pause"))
            entry = await self.context.timers.pause(entry.id)
            return SkillReply(
                say("paused", title=replies.title(entry), left=replies.duration_words(entry.due_in_s))
            )

        running = [entry.id for entry in self.select(slots) if not entry.paused and not entry.ringing]
        return await self._change_each("pause", slots, running, change)

    async def resume(self, slots: Slots) -> SkillReply:
        """Let a paused countdown run on."""

        async def change(entry: TimerEntry) -> SkillReply:
            if not entry.paused:
                return SkillReply(say("not_paused", title=replies.title(entry)))
            entry = await self.context.timers.resume(entry.id)
            return SkillReply(
                say("resumed", title=replies.title(entry), left=replies.duration_words(entry.due_in_s))
            )

        paused = [entry.id for entry in self.select(slots) if entry.paused]
        return await self._change_each("resume", slots, paused, change)

    async def _change_each(
        self, intent: str, slots: Slots, fitting: Sequence[int], change: _Change
    ) -> SkillReply:
        """Do ``change`` to those of ``fitting`` that are meant: all for "both", otherwise the one."""
        if "any_kind" in slots and fitting:
            return SkillReply(
                " ".join([(await self._changed(self._by_id(id), change)).text for id in fitting])
            )
        default = {} if kind_of(slots) else {"kind": "timer"}
        return await self._change_one(
            intent, {**default, **slots, **({"options": fitting} if fitting else {})}, change
        )

    async def restart(self, slots: Slots) -> SkillReply:
        """Let a countdown run its whole length again."""

        async def change(entry: TimerEntry) -> SkillReply:
            entry = await self.context.timers.move(entry.id, duration_s=entry.duration_s)
            return SkillReply(self._now_words(entry))

        return await self._change_one("restart", {"kind": "timer", **slots}, change)

    async def rename(self, slots: Slots) -> SkillReply:
        """Give it another name."""
        name = slots["new_name"]

        async def change(entry: TimerEntry) -> SkillReply:
            entry = await self.context.timers.rename(entry.id, name)
            return SkillReply(say("renamed", kind=replies.noun(entry.kind), name=name))

        return await self._change_one("rename", slots, change, keep={"new_name": name})

    async def change_time(self, slots: Slots) -> SkillReply:
        """Set it for another time, or another length; asks for which when that was not said."""
        when: When | None = slots.get("new_when")
        seconds: float | None = slots.get("new_duration")
        if when is None and seconds is None:
            key = "duration" if kind_of(slots) == "timer" else "when"
            question = Question("change_time", f"new_{key}", slots)
            return SkillReply(say(f"ask_new_{key}"), question=question)
        keep: Slots = {key: slots[key] for key in ("new_when", "new_duration") if key in slots}

        async def change(entry: TimerEntry) -> SkillReply:
            return await self._move(entry, when, seconds, slots)

        return await self._change_one("change_time", slots, change, keep=keep)

    async def set_or_change(self, slots: Slots) -> SkillReply:
        """Set the named countdown to another length, or a new one when none has the name."""
        name, seconds = slots["ref"], slots["duration"]
        named = {"kind": "timer", "ref": name}
        if self.select(named):
            return await self.change_time({**named, "new_duration": seconds})
        return await TimerSettingSkill(self.context).set_timer({"name": name, "duration": seconds})

    async def set_or_change_alarm(self, slots: Slots) -> SkillReply:
        """Set the named alarm for another time, or a new one when none has the name."""
        name, when = slots["ref"], slots["when"]
        named = {"kind": "alarm", "ref": name}
        if self.select(named):
            return await self.change_time({**named, "new_when": when})
        return await TimerSettingSkill(self.context).set_alarm({"name": name, "when": when})

    async def _move(
        self, entry: TimerEntry, when: When | None, seconds: float | None, slots: Slots
    ) -> SkillReply:
        timers = self.context.timers
        if when is not None and when.duration_s is not None:
            seconds = when.duration_s
        if seconds is not None:
            return SkillReply(self._now_words(await timers.move(entry.id, duration_s=float(seconds))))
        assert when is not None
        now = self.context.now()
        at = replies.local_time(entry, now)
        # "Every day" alone keeps the time, a time alone keeps the day and the recurrence.
        if when.clock is None and not when.part:
            when = replace(when, clock=replies.clock_of(at))
        elif when.day is None and when.repeat is None and entry.kind != "timer":
            when = replace(
                when, day=replies.day_of(at) if at.date() != now.date() else None, repeat=entry.repeat
            )
        aim = resolve_when(when, now, morning=at.hour < 12, clock_24h=self.context.clock_24h)
        if isinstance(aim, Unclear):
            return ask_about(aim, "change_time", {**slots, "options": (entry.id,)})
        return SkillReply(self._now_words(await timers.move(entry.id, aim=aim, repeat=when.repeat)))

    # --- taking it away

    async def cancel(self, slots: Slots) -> SkillReply:
        """Cancel the one that is meant; asks which when that is open. What rings is silenced."""
        # What rings is silenced, unless another one is named.
        found = self.select(slots)
        if any(entry.ringing for entry in found):
            self.context.timers.stop_ringing("voice")
            return SkillReply("")
        if not found or (len(found) > 1 and not slots.get("all")):
            return self._none_or_which("cancel", found, slots)
        return await self._cancel_ids([entry.id for entry in found])

    async def cancel_named(self, slots: Slots) -> SkillReply:
        """Cancel what has exactly this name; without a kind nothing less names it for certain."""
        if any(entry.name == slots["ref"] for entry in self.select(slots)):
            return await self.cancel(slots)
        return SkillReply(say("nothing_called", name=slots["ref"]))

    async def cancel_it(self, slots: Slots) -> SkillReply:
        """Cancel what was set a moment ago; with nothing recent there is nothing that "it" may mean."""
        if self.context.timers.ringing():
            self.context.timers.stop_ringing("voice")
            return SkillReply("")
        ids = [
            id
            for id in self.context.recent.ids
            if any(entry.id == id for entry in self.context.timers.list())
        ]
        if ids:
            return await self._cancel_ids(ids)
        found = self.context.timers.list()
        if not found:
            return SkillReply(say("nothing_set"))
        return self._ask_which("cancel", found, {})

    async def cancel_many(self, slots: Slots) -> SkillReply:
        """Cancel the two that are named."""
        kind = {"kind": kind_of(slots)}
        ids: list[int] = []
        for index in ("1", "2"):
            keys = (("name", "n"), ("duration", "d"), ("when", "w"), ("ordinal", "o"))
            chosen = {slot: slots[f"{key}{index}"] for slot, key in keys if f"{key}{index}" in slots}
            found = self.select({**kind, **chosen})
            if len(found) != 1:
                return await self.cancel({**kind, **chosen})
            ids.append(found[0].id)
        return await self._cancel_ids(ids)

    async def cancel_kind(self, slots: Slots) -> SkillReply:
        """Cancel what is set of a kind; asks first when that is more than one and "all" was not said."""
        found = self.select(slots)
        if len(found) < 2:
            return await self.cancel(slots)
        count = replies.count_words(len(found), kind_of(slots))
        return SkillReply(
            say("ask_cancel_all", count=count), question=Question("cancel_all", "confirm", slots)
        )

    async def cancel_all(self, slots: Slots) -> SkillReply:
        """Cancel everything of a kind, or for a day, or everything."""
        kind = kind_of(slots)
        found = self.select(slots)
        if not found and "when" in slots:
            return self._none_or_which("cancel_all", found, slots)
        if not kind and len(found) > 1 and "options" not in slots and not slots.get("confirmed"):
            # "Everything" is the one word that deletes what was not named: it is asked back.
            question = Question("cancel_all", "confirm", {**slots, "confirmed": True})
            return SkillReply(
                say("ask_cancel_all", count=say("several", count=number_words(len(found)))), question=question
            )
        self.context.timers.stop_ringing("voice")
        found = self.select(slots)
        if not found:
            return SkillReply(say("none_set", nouns=replies.plural(kind) if kind else say("things_set")))
        return await self._cancel_ids([entry.id for entry in found])

    async def cancel_all_but(self, slots: Slots) -> SkillReply:
        """Cancel everything of a kind but the one that is named; does nothing when that one is not set."""
        kept = self.select(slots)
        if len(kept) != 1:
            return self._none_or_which("cancel_all_but", kept, slots)
        scope: Slots = {key: slots[key] for key in ("kind", "any_kind", "options") if key in slots}
        return await self._cancel_ids([entry.id for entry in self.select(scope) if entry.id != kept[0].id])

    async def _cancel_ids(self, ids: Sequence[int]) -> SkillReply:
        if not ids:
            return SkillReply(say("nothing_else_set"))
        entries = [self._by_id(id) for id in ids]
        for id in ids:
            record = await self.context.timers.cancel(id)
            self.context.recent.remember(partial(self.context.timers.restore, record), id)
        if len(entries) == 1:
            return SkillReply(say("cancelled", title=replies.title(entries[0])))
        kinds = {entry.kind for entry in entries}
        if len(kinds) > 1:
            return SkillReply(say("all_cancelled"))
        return SkillReply(say("cancelled", title=replies.count_words(len(entries), kinds.pop())))

    async def snooze(self, slots: Slots) -> SkillReply:
        """Let what rings ring again later."""
        when: When | None = slots.get("when")
        seconds = slots.get("duration", when.duration_s if when is not None else None)
        if not self.context.timers.ringing():
            return SkillReply(say("nothing_rings"))
        if when is not None and seconds is None:
            now = self.context.now()
            aim = resolve_when(when, now, morning=now.hour < 12, clock_24h=self.context.clock_24h)
            if isinstance(aim, Unclear):
                return SkillReply(say(aim.reason))
            seconds = aim.wall_s - now.timestamp()
        seconds = SNOOZE_S if seconds is None else float(seconds)
        await self.context.timers.snooze(seconds)
        return SkillReply(say("snoozed", duration=replies.duration_words(seconds)))

    async def silence(self, slots: Slots) -> SkillReply:
        """Silence what rings."""
        return SkillReply("" if self.context.timers.stop_ringing("voice") else say("nothing_rings"))

    async def undo(self, slots: Slots) -> SkillReply:
        """Restore what the last sentence changed or deleted."""
        return SkillReply(say("undone" if await self.context.recent.revert() else "nothing_to_undo"))

    async def no(self, slots: Slots) -> SkillReply:
        """Restore what was done a moment ago: a plain "no" that answers no question means that."""
        return await self.undo(slots) if self.context.recent.is_fresh else SkillReply(say("okay"))

    # --- which one

    async def _change_one(
        self,
        intent: str,
        slots: Slots,
        change: _Change,
        *,
        keep: Slots | None = None,
    ) -> SkillReply:
        """Do ``change`` to the one that ``slots`` mean; asks which when there are several."""
        found = self.select(slots)
        if not found or (len(found) > 1 and not slots.get("all")):
            return self._none_or_which(intent, found, slots, keep)
        given = [await self._changed(entry, change) for entry in found]
        # One may be asked about ("half seven?"), and its question stays open.
        return given[0] if len(given) == 1 else SkillReply(" ".join(reply.text for reply in given))

    async def _changed(self, entry: TimerEntry, change: _Change) -> SkillReply:
        before = self.context.timers.record(entry.id)
        reply = await change(entry)
        if self.context.timers.record(entry.id) != before:
            self.context.recent.remember(lambda: self._change_back(before), entry.id)
        return reply

    async def _change_back(self, before: TimerRecord) -> None:
        # What has rung since is not brought back: it would ring again.
        if any(entry.id == before.id and not entry.ringing for entry in self.context.timers.list()):
            await self.context.timers.restore(before)

    def _none_or_which(
        self, intent: str, found: Sequence[TimerEntry], slots: Slots, keep: Slots | None = None
    ) -> SkillReply:
        kind = kind_of(slots)
        if (when := slots.get("when")) is not None and when.unclear:
            return SkillReply(say(when.unclear))
        if found:
            return self._ask_which(intent, found, keep or {})
        others = self.select({"kind": kind} if kind else {})
        if not others:
            return SkillReply(say("none_set_of", noun=replies.noun(kind) if kind else say("thing_set")))
        listed = join_few([self.describe(entry, with_kind=not kind) for entry in others])
        return SkillReply(say("no_such", noun=replies.noun(kind) if kind else say("thing"), items=listed))

    def _ask_which(self, intent: str, found: Sequence[TimerEntry], keep: Slots) -> SkillReply:
        kinds = {entry.kind for entry in found}
        listed = join_few([self.describe(entry, with_kind=len(kinds) > 1) for entry in found])
        count = (
            replies.count_words(len(found), found[0].kind)
            if len(kinds) == 1
            else say("several", count=number_words(len(found)))
        )
        options = tuple(entry.id for entry in found)
        slots = {**keep, **({"kind": found[0].kind} if len(kinds) == 1 else {})}
        return SkillReply(
            say("which", count=count, items=listed), question=Question(intent, "which", slots, options)
        )

    def _by_id(self, id: int) -> TimerEntry:
        return next(entry for entry in self.context.timers.list() if entry.id == id)

    def _now_words(self, entry: TimerEntry) -> str:
        """Return what is said after a change: when it rings now."""
        if entry.kind == "timer":
            return say(
                "now_left", title=replies.title(entry), duration=replies.duration_words(entry.due_in_s)
            )
        moment = replies.entry_moment_words(entry, self.context.now(), clock_24h=self.context.clock_24h)
        return say("now_at", title=replies.title(entry), moment=moment)
