"""The skill that tells the time and the date, of now and of other days."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillReply, Slots
from voxd.skills.replies import say
from voxd.skills.timing.schedule import LocalMoment
from voxd.skills.understanding.moments import resolve_day, resolve_when
from voxd.skills.understanding.numbers import number_words
from voxd.skills.understanding.temporal import When


class TimeSkill(Skill):
    """Time of day, date, weekday and week, and how long it is until a moment."""

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        return {
            "time": self._time,
            "time_in": self._time_in,
            "date": self._date,
            "day": self._date,
            "date_on": self._date_on,
            "week": self._week,
            "time_until": self._time_until,
        }

    def _clock_words(self, at: datetime) -> str:
        return replies.clock_words(at.time(), clock_24h=self.context.clock_24h)

    async def _time(self, slots: Slots) -> SkillReply:
        return SkillReply(say("time", time=self._clock_words(self.context.now())))

    async def _time_in(self, slots: Slots) -> SkillReply:
        place = slots["place"]
        zone = _zones().get(place.replace(" ", "_"))
        if zone is None:
            return SkillReply(say("unknown_place", place=place))
        at = self.context.now().astimezone(ZoneInfo(zone))
        return SkillReply(say("time_in", place=place.title(), time=self._clock_words(at)))

    async def _date(self, slots: Slots) -> SkillReply:
        return SkillReply(say("date", date=replies.date_words(self.context.now().date())))

    async def _date_on(self, slots: Slots) -> SkillReply:
        when: When = slots["when"]
        day = resolve_day(when.day, self.context.now().date()) if when.day is not None else None
        if day is None:
            return SkillReply(say("no_such_date"))
        return SkillReply(say("date_on", date=replies.date_words(day)))

    async def _week(self, slots: Slots) -> SkillReply:
        # The week of ISO 8601: it begins on Monday, and week one holds the first Thursday of the year.
        return SkillReply(say("week", number=number_words(self.context.now().isocalendar().week)))

    async def _time_until(self, slots: Slots) -> SkillReply:
        when: When = slots["when"]
        now = self.context.now()
        if when.clock is None and when.day is not None:
            day = resolve_day(when.day, now.date())
            if day is None:
                return SkillReply(say("no_such_date"))
            days = (day - now.date()).days
            return SkillReply(
                say("days_until", count=replies.count_words(days, "day")) if days > 0 else say("was_then")
            )
        moment = resolve_when(when, now, morning=False, clock_24h=self.context.clock_24h)
        if not isinstance(moment, LocalMoment):
            return SkillReply(say(moment.reason))
        return SkillReply(say("until", duration=replies.duration_words(moment.wall_s - now.timestamp())))


@cache
def _zones() -> dict[str, str]:
    """Return the zones of the time zone database by the name of their city: "new_york"."""
    return {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones()) if "/" in name}
