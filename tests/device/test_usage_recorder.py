from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeClock
from tests.payloads import problem
from voxd.device.usage_recorder import UsageRecorder
from voxd.events import Event
from voxd.providers.facts import facts
from voxd.providers.usage import Usage
from voxd.store.db import Database
from voxd.store.usage import UsageLog

USED = Usage(audio_seconds=60.0, total_sessions=1, responses=2, input_audio_tokens=600, output_text_tokens=9)


def used(provider: str, cost: float | None, **more: Any) -> Event:
    data = {"provider": provider, "stage": "llm", "key": 0, "usage": USED, "cost_usd": cost, **more}
    assert problem("provider.used", data) == ""
    return Event(1, "provider.used", 0.0, None, data)


async def test_what_was_used_is_in_the_book_when_it_is_closed(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    book = UsageLog(db, FakeClock())
    keeper = UsageRecorder(book, keyed=lambda name: name == "cloud")
    keeper(used("cloud", 0.75, prices_of="2026-11-20"))
    keeper(used("other", None))
    keeper(used("local", None))
    await keeper.close()
    cloud, other = await book.newest(1)
    assert (cloud.audio_tokens, cloud.text_tokens, cloud.cost_usd) == (600, 9, 0.75)
    assert (cloud.stage, cloud.key, cloud.prices_of) == ("llm", 1, "2026-11-20")
    assert (other.key, other.cost_usd, other.prices_of) == (0, None, "")
    await db.close()


async def test_a_usage_log_that_cannot_be_written_stops_no_turn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = UsageRecorder(UsageLog(Database(tmp_path / "voxd.db"), FakeClock()), keyed=lambda name: False)
    keeper(used("cloud", None))
    await keeper.close()
    assert "cannot record what cloud used" in caplog.text


async def test_each_key_has_a_row_of_its_own(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    book = UsageLog(db, FakeClock())
    keeper = UsageRecorder(book, keyed=lambda name: True)
    keeper(used("cloud", 0.25))
    keeper(
        Event(2, "provider.key_changed", 0.0, None, {"provider": "cloud", "from": 1, "to": 2, "reason": ""})
    )
    keeper(used("cloud", 0.5))
    keeper(used("cloud", 0.5))
    await keeper.close()
    assert [(row.key, row.cost_usd) for row in await book.newest(1)] == [(1, 0.25), (2, 1.0)]
    assert (await book.newest(1))[0].prices_of == facts().prices.date.isoformat()
    await db.close()


async def test_each_request_of_a_member_of_a_pipeline_counts(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    book = UsageLog(db, FakeClock())
    keeper = UsageRecorder(book, keyed=lambda name: True)
    for _ in range(2):
        keeper(used("mind", None, usage=Usage(input_text_tokens=120)))
    keeper(used("cloud", None, stage="realtime", usage=Usage(audio_seconds=1.0)))
    await keeper.close()
    assert {row.provider: row.responses for row in await book.newest(1)} == {"mind": 2, "cloud": 0}
    await db.close()
