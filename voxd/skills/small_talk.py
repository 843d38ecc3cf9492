"""The skill of small talk: greetings, jokes, sums, and requests that this device cannot serve."""

import itertools
from collections.abc import Mapping

from voxd.skills import replies
from voxd.skills.contract import Handler, Skill, SkillContext, SkillReply, Slots
from voxd.skills.replies import load_replies, say


class SmallTalkSkill(Skill):
    """Answers that need nothing but the sentence itself."""

    def __init__(self, context: SkillContext) -> None:
        super().__init__(context)
        self._jokes = itertools.cycle(load_replies().jokes["texts"])

    def handlers(self) -> Mapping[str, Handler]:
        """Return what each intent of the skill does."""
        fixed = {intent: _constant(text) for intent, text in load_replies().fixed.items()}
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
                return SkillReply(say("divided_by_zero"))
            case _:
                result = left / right
        return SkillReply(say("result", value=replies.figure_words(result)))


def _constant(text: str) -> Handler:
    async def reply(slots: Slots) -> SkillReply:
        return SkillReply(text)

    return reply
