"""The skill that tells the time and the date."""

from collections.abc import Mapping

from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillReply, Slots


class TimeSkill(Skill):
    """Time of day, date and weekday."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {"time": self._time, "date": self._date, "day": self._date}

    async def _time(self, slots: Slots) -> SkillReply:
        words = replies.clock_words(self.context.now().time(), clock_24h=self.context.clock_24h)
        return SkillReply(f"It is {words}.")

    async def _date(self, slots: Slots) -> SkillReply:
        return SkillReply(f"It is {replies.date_words(self.context.now().date())}.")
