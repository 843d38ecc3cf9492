"""The house of the timers, and a device to talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.skills.talk import Talk
from tests.skills.timer_house import House
from voxd.config import schema
from voxd.skills.understanding.grammar import Grammar
from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.speech import load_speech
from voxd.skills.understanding.understander import Understander
from voxd.store.db import MEMORY, Database


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "voxd.db")
    await house.start()
    yield house
    await house.stop()


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    return Grammar((), load_language(), load_speech())


@pytest.fixture(scope="session")
def understander(grammar: Grammar) -> Understander:
    near_miss = schema.Skills().near_miss
    return Understander(grammar, load_language(), load_speech(), near_miss=near_miss)


@pytest.fixture
async def talk(understander: Understander) -> AsyncIterator[Talk]:
    db = Database(Path(MEMORY))
    await db.open()
    talk = Talk(db, understander=understander)
    await talk.timers.start()
    yield talk
    await talk.timers.close()
    await db.close()


@pytest.fixture
async def full(talk: Talk) -> Talk:
    """A device with two timers, an alarm and a reminder: see `Talk.fill`."""
    await talk.fill()
    return talk
