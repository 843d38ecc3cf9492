from pathlib import Path

import pytest

from tests.fakes import FakeClock
from voxd.appliance.bookkeeper import Bookkeeper
from voxd.providers.usage import Cost, Usage
from voxd.store.db import Database
from voxd.store.usage import UsageLog

USED = Usage(audio_seconds=60.0, total_sessions=1, responses=2, input_audio_tokens=600, output_text_tokens=9)


async def test_what_was_used_is_in_the_book_when_it_is_closed(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    book = UsageLog(db, FakeClock())
    keeper = Bookkeeper(book)
    keeper("cloud", USED, Cost(audio_cost=0.5, text_cost=0.25, prices_of="2026-11-20"))
    keeper("other", USED, None)
    await keeper.close()
    cloud, other = await book.newest(1)
    assert (cloud.audio_tokens, cloud.text_tokens, cloud.cost_usd) == (600, 9, 0.75)
    assert (other.cost_usd, other.prices_of) == (None, "")
    await db.close()


async def test_a_book_that_cannot_be_written_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Bookkeeper(UsageLog(Database(tmp_path / "voxd.db"), FakeClock()))
    keeper("cloud", USED, None)
    await keeper.close()
    assert "what cloud used is not entered" in caplog.text
