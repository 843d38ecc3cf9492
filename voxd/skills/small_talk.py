"""The skill of small talk: greetings, jokes, sums, and requests that this device cannot serve."""

import itertools
from collections.abc import Mapping

from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillContext, SkillReply, Slots

FIXED: dict[str, str] = {
    "hello": "Hello.",
    "good_morning": "Good morning.",
    "good_night": "Good night.",
    "goodbye": "Goodbye.",
    "thanks": "You are welcome.",
    "who": "I am voxd, the voice of this device.",
    "where": "I am right here. I run on this device, without the cloud.",
    "yes": "Okay.",
    "no": "Okay.",
    "help": (
        "I can tell the time and the date, set timers, alarms and reminders, change the volume, "
        "and repeat what I said."
    ),
    "no_home": "Sorry, I can't control lights, doors or heating.",
    "no_weather": "I can't check the weather. I am not connected to a weather service.",
    "no_news": "Sorry, I can't get the news. I work offline.",
    "no_music": "Sorry, I can't play music yet.",
    "no_list": "Sorry, I can't keep lists yet.",
    "no_call": "Sorry, I can't send messages or make calls.",
}
"""Replies that never change, by intent."""

JOKES: tuple[str, ...] = (
    "Why did the clock go to school? To learn how to tell time.",
    "I would tell you a joke about silence, but there is nothing to hear.",
    "What did the timer say to the egg? Your time is up.",
)
"""Said in turn."""


class SmallTalkSkill(Skill):
    """Answers that need nothing but the sentence itself."""

    def __init__(self, context: SkillContext) -> None:
        super().__init__(context)
        self._jokes = itertools.cycle(JOKES)

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        fixed = {intent: _constant(text) for intent, text in FIXED.items()}
        return {**fixed, "joke": self._joke, "sum": self._sum}

    async def _joke(self, slots: Slots) -> SkillReply:
        return SkillReply(next(self._jokes))

    async def _sum(self, slots: Slots) -> SkillReply:
        left, right = slots["a"], slots["b"]
        match slots["operator"]:
            case "+":
                result: float = left + right
            case "-":
                result = left - right
            case "*":
                result = left * right
            case _ if right == 0:
                return SkillReply("Nothing can be divided by zero.")
            case _:
                result = left / right
        return SkillReply(replies.sentence(f"it is {replies.figure_words(result)}"))


def _constant(text: str) -> Handler:
    async def reply(slots: Slots) -> SkillReply:
        return SkillReply(text)

    return reply
