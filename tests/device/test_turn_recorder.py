"""What a finished turn leaves in the history, and when it is deleted."""

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


class Rig:
    """A recorder with a database and a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.database = Database(path)
        self.history = HistoryStore(self.database, HistoryConfig(max_age_days=1), self.clock, boot="b")
        self.recorder = TurnRecorder(self.history, Metrics(), self.clock)

    async def transcripts(self) -> list[str]:
        return [entry.transcript for entry in await self.history.newest(10)]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path / "voxd.db")
    await made.database.open()
    yield made
    await made.recorder.close()
    await made.database.close()


def turn(transcript: str) -> TurnRecord:
    return TurnRecord("t1", Source.SOCKET, "default", result=Outcome(transcript), outcome="answered")


async def test_turns_are_written_in_order_and_turns_without_words_only_counted(rig: Rig) -> None:
    for text in ("one", "", "two"):
        rig.recorder(turn(text))
    await rig.recorder.close()
    assert await rig.transcripts() == ["two", "one"]
    assert rig.recorder.turns == 3


async def test_old_turns_are_deleted_without_new_turns(rig: Rig) -> None:
    rig.recorder(turn("one"))
    await rig.recorder.close()
    rig.recorder.start()
    lived_s = []
    while await rig.transcripts():
        lived_s.append(rig.clock.monotonic())
        await rig.clock.advance(PRUNE_S)
    assert DAY_S <= lived_s[-1] - lived_s[0] <= DAY_S + PRUNE_S


async def test_a_history_that_cannot_be_written_stops_no_turn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path / "never-opened.db")
    rig.recorder.start()
    for text in ("zebra", "giraffe"):
        rig.recorder(turn(text))
    await rig.clock.advance(0)
    await rig.recorder.close()
    assert caplog.text.count("not written") == 1
    await rig.database.open()
    rig.recorder(turn("lion"))
    rig.recorder(turn("lynx"))
    await rig.recorder.close()
    assert caplog.text.count("written to the history again") == 1
    assert await rig.transcripts() == ["lynx", "lion"]
    assert "zebra" not in caplog.text
    await rig.database.close()
