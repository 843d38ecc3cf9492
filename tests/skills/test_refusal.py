"""A sentence that is not understood is refused with a reply and a code for the reason."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from voxd.config import schema
from voxd.skills.contract import Refusal
from voxd.skills.evaluation.phrase_file import Given
from voxd.skills.evaluation.simulation import Simulator
from voxd.skills.replies import say
from voxd.store.db import MEMORY, Database

GIVEN = Given(datetime(2026, 11, 30, 10, tzinfo=UTC), UTC)


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    opened = Database(Path(MEMORY))
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("text", "refusal", "reply"),
    [
        ("", Refusal.NOT_HEARD, say("not_heard")),
        ("...", Refusal.NOT_HEARD, say("not_heard")),
        ("who wrote hamlet", Refusal.NEEDS_MODEL, say("needs_model")),
        ("colourless ideas", Refusal.NOT_UNDERSTOOD, say("unknown_words", words="colourless ideas")),
        ("the timer the alarm the volume", Refusal.NOT_UNDERSTOOD, say("not_understood")),
        ("how long is a fortnight in the alps", Refusal.NEEDS_MODEL, say("needs_model")),
    ],
)
async def test_every_refusal_has_its_reason_and_its_reply(
    db: Database, text: str, refusal: Refusal, reply: str
) -> None:
    async with Simulator(schema.Skills(), db).simulate(GIVEN) as simulation:
        answered = await simulation.engine.answer(text)
    assert (answered.intent, answered.refusal, answered.text) == ("", refusal, reply)


async def test_what_is_understood_has_no_refusal(db: Database) -> None:
    async with Simulator(schema.Skills(), db).simulate(GIVEN) as simulation:
        for text in ("what time is it", "set a timer", "turn on the light"):
            assert (await simulation.engine.answer(text)).refusal is None
