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


async def test_usage_is_written_before_the_recorder_is_closed(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    log = UsageLog(db, FakeClock())
    recorder = UsageRecorder(log, has_key=lambda name: name == "cloud")
    recorder(used("cloud", 0.75, prices_of="2026-11-20"))
    recorder(used("other", None))
    recorder(used("guess", 0.5, prices_of="", is_upper_estimate=True))
    recorder(used("local", None))
    await recorder.close()
    cloud, guess, other = await log.newest(1)
    assert (guess.cost_usd, guess.upper_usd, guess.prices_of) == (0.5, 0.5, "")
    assert cloud.upper_usd == 0.0
    assert (cloud.audio_tokens, cloud.text_tokens, cloud.cost_usd) == (600, 9, 0.75)
    assert (cloud.stage, cloud.key, cloud.prices_of) == ("llm", 1, "2026-11-20")
    assert (other.key, other.cost_usd, other.prices_of) == (0, None, "")
    await db.close()


async def test_a_usage_log_that_cannot_be_written_stops_no_turn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = UsageRecorder(
        UsageLog(Database(tmp_path / "voxd.db"), FakeClock()), has_key=lambda name: False
    )
    recorder(used("cloud", None))
    await recorder.close()
    assert "cannot record what cloud used" in caplog.text


async def test_each_key_has_its_own_row(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    log = UsageLog(db, FakeClock())
    recorder = UsageRecorder(log, has_key=lambda name: True)
    recorder(used("cloud", 0.25))
    recorder(
        Event(2, "provider.key_changed", 0.0, None, {"provider": "cloud", "from": 1, "to": 2, "reason": ""})
    )
    recorder(used("cloud", 0.5))
    recorder(used("cloud", 0.5))
    await recorder.close()
    assert [(row.key, row.cost_usd) for row in await log.newest(1)] == [(1, 0.25), (2, 1.0)]
    assert (await log.newest(1))[0].prices_of == facts().prices.as_of
    await db.close()


async def test_each_request_of_a_member_of_a_pipeline_counts(tmp_path: Path) -> None:
    db = Database(tmp_path / "voxd.db")
    await db.open()
    log = UsageLog(db, FakeClock())
    recorder = UsageRecorder(log, has_key=lambda name: True)
    for _ in range(2):
        recorder(used("mind", None, usage=Usage(input_text_tokens=120)))
    recorder(used("cloud", None, stage="realtime", usage=Usage(audio_seconds=1.0)))
    await recorder.close()
    assert {row.provider: row.responses for row in await log.newest(1)} == {"mind": 2, "cloud": 0}
    await db.close()
