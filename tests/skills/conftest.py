"""The house of the timers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.skills.timer_house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "voxd.db")
    await house.start()
    yield house
    await house.stop()
