"""Closing the device when one of its parts hangs or fails."""

import asyncio

import pytest

from voxd.device import shutdown
from voxd.device.shutdown import ShutdownSequence


async def test_parts_close_in_reverse_when_one_hangs_and_one_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutdown, "TOGETHER_S", 0.05)
    ended: list[str] = []

    async def database() -> None:
        ended.append("database")

    async def hanging() -> None:
        ended.append("hanging")
        await asyncio.Event().wait()

    async def broken() -> None:
        ended.append("broken")
        message = "cannot close"
        raise RuntimeError(message)

    parts = ShutdownSequence()
    for close in (database, hanging, broken):
        parts.add(close)
    async with asyncio.timeout(5):
        await parts.run()
    assert ended == ["broken", "hanging", "database"]
    assert "hanging hangs" in caplog.text
    assert "broken failed" in caplog.text
    await parts.run()
    assert len(ended) == 3
