"""The skill that tells what is set: timers, alarms and reminders, and how long they still run."""

from collections.abc import Mapping

from voxd.reports import TimerEntry
from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillReply, Slots
from voxd.skills.replies import say
from voxd.skills.timer_targets import kind_of, select
from voxd.skills.understanding.numbers import number_words

MAX_LISTED = 4
"""No answer lists more than this."""


class TimerListingSkill(Skill):
    """The intents that only tell; the base of what changes timers, which names them in the same words."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {"time_left": self.time_left, "list": self.list_all, "next": self.next}

    async def time_left(self, slots: Slots) -> SkillReply:
        """Say how long the countdowns still run."""
        running = self.select({"kind": "timer", **slots})
        if not running:
            return SkillReply(say("no_such_timer" if self.select({"kind": "timer"}) else "no_timer_running"))
        return SkillReply(replies.sentence(join_few([self.left_words(entry) for entry in running])))

    async def list_all(self, slots: Slots) -> SkillReply:
        """Say what is set, of a kind and for a day if they were said, and what was missed."""
        missed = [replies.title(entry) for entry in self.context.timers.take_missed()]
        missed_words = say("missed", items=replies.join_items(missed)) + " " if missed else ""
        kind = kind_of(slots)
        found = self.select(slots)
        if not found:
            nouns = replies.plural(kind) if kind else say("things_set")
            return SkillReply(missed_words + say("none_set", nouns=nouns))
        listed = join_few([self.describe(entry, with_kind=not kind) for entry in found])
        if not kind:
            return SkillReply(missed_words + say("set_are", items=listed))
        return SkillReply(
            missed_words + say("you_have", count=replies.count_words(len(found), kind), items=listed)
        )

    async def next(self, slots: Slots) -> SkillReply:
        """Say which one of a kind is due next."""
        found = [entry for entry in self.select(slots) if not entry.paused]
        if not found:
            return await self.list_all(slots)
        return SkillReply(say("next_is", item=self.describe(found[0], with_kind=True)))

    def select(self, slots: Slots) -> list[TimerEntry]:
        """Return what ``slots`` mean of all that is set, see `timer_targets.select`."""
        return select(self.context.timers.list(), slots, self.context.now(), self.context.recent.ids)

    def left_words(self, entry: TimerEntry) -> str:
        """Return how long a countdown still runs: "five minutes left on the pizza timer"."""
        left = say("left", duration=replies.duration_words(entry.due_in_s))
        if entry.paused:
            left = say("left_paused", left=left)
        return say("left_on", left=left, title=replies.title(entry)) if entry.name else left

    def describe(self, entry: TimerEntry, *, with_kind: bool = False) -> str:
        """Return what ``entry`` is called and when it rings: "pizza, five minutes left"."""
        left = say("left", duration=replies.duration_words(entry.due_in_s))
        moment = (
            (say("left_paused", left=left) if entry.paused else left)
            if entry.kind == "timer"
            else (replies.entry_moment_words(entry, self.context.now(), clock_24h=self.context.clock_24h))
        )
        name = replies.title(entry) if with_kind else replies.to_you(entry.name)
        return f"{name}, {moment}" if name else moment


def join_few(items: list[str]) -> str:
    """Return the first few of ``items``, and how many more there are, so that the reply stays short."""
    more = len(items) - MAX_LISTED
    more_words = [say("more", count=number_words(more))] if more > 0 else []
    return replies.join_items([*items[:MAX_LISTED], *more_words])
