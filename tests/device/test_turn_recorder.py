"""What a finished turn leaves behind, and when it is forgotten."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from voxd.config.schema import History as HistoryConfig
from voxd.device.turn_recorder import PRUNE_S, TurnRecorder
from voxd.observe.metrics import Metrics
from voxd.store.db import Database
from voxd.store.history import HistoryStore
from voxd.turn.inputs import Source
from voxd.turn.reply_player import Outcome, TurnRecord

DAY_S = 86_400.0


class Desk:
    """A recorder with a database and a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.database = Database(path)
        self.history = HistoryStore(self.database, HistoryConfig(max_age_days=1), self.clock, boot="b")
        self.recorder = TurnRecorder(self.history, Metrics(), self.clock)

    async def remembered(self) -> list[str]:
        return [entry.transcript for entry in await self.history.newest(10)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "voxd.db")
    await made.database.open()
    yield made
    await made.recorder.close()
    await made.database.close()


def turn(transcript: str) -> TurnRecord:
    return TurnRecord("t1", Source.SOCKET, "default", result=Outcome(transcript), outcome="answered")


async def test_turns_are_remembered_in_order_and_silent_ones_only_counted(desk: Desk) -> None:
    for text in ("one", "", "two"):
        desk.recorder(turn(text))
    await desk.recorder.close()
    assert await desk.remembered() == ["two", "one"]
    assert desk.recorder.turns == 3


async def test_old_turns_are_forgotten_though_nobody_speaks_any_more(desk: Desk) -> None:
    desk.recorder(turn("one"))
    await desk.recorder.close()
    desk.recorder.start()
    lived_s = []
    while await desk.remembered():
        lived_s.append(desk.clock.monotonic())
        await desk.clock.advance(PRUNE_S)
    assert DAY_S <= lived_s[-1] - lived_s[0] <= DAY_S + PRUNE_S


async def test_a_history_that_cannot_be_written_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(tmp_path / "never-opened.db")
    desk.recorder.start()
    for text in ("zebra", "giraffe"):
        desk.recorder(turn(text))
    await desk.clock.advance(0)
    await desk.recorder.close()
    assert caplog.text.count("not written") == 1
    await desk.database.open()
    desk.recorder(turn("lion"))
    desk.recorder(turn("lynx"))
    await desk.recorder.close()
    assert caplog.text.count("written to the history again") == 1
    assert await desk.remembered() == ["lynx", "lion"]
    assert "zebra" not in caplog.text
    await desk.database.close()
