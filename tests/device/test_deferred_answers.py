"""Queued questions on a whole device: answered by its vendor, spoken, deleted on request."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.device.conftest import DeviceRig
from voxd.config.provider_schema import Agent, ProviderConfig
from voxd.config.schema import Cache, Queue
from voxd.daemon import Daemon
from voxd.errors import NotFound
from voxd.providers.routing import offline_queue

SCRIPT = {"replies": {"moon": {"text": "Very far."}}}
CLOUD = ProviderConfig(kind="mock", options=SCRIPT)


def payloads(daemon: Daemon, type: str) -> list[dict[str, Any]]:
    return [event.data for event in daemon.bus.history if event.type == type]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def use_cloud(rig: DeviceRig, **queue: Any) -> None:
    rig.change(providers={"cloud": CLOUD}, agents={"default": Agent(provider="cloud")}, queue=Queue(**queue))


def phrases_in(directory: Path) -> list[str]:
    return [file.name for file in (directory / "cache" / "phrases").glob("*")]


def cache_phrase(directory: Path) -> None:
    (directory / "cache" / "phrases").mkdir(parents=True)
    (directory / "cache" / "phrases" / "0123.flac").write_bytes(b"a cached phrase")


async def test_a_deferred_answer_comes_from_the_vendor_and_is_spoken(
    rig: DeviceRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline_queue, "START_DELAY_S", 0.0)
    use_cloud(rig, speak=True)
    daemon = await rig.start()
    device = daemon.appliance
    assert await daemon.providers.offline_queue.keep("default", None, "moon")
    assert device.status().queued == 1
    [entry] = await device.queue()
    assert (entry.state, entry.duration_ms) == ("waiting", 0)
    assert await device.retry_queued(entry.id) == 1
    await until(lambda: device.status().queued == 0)
    [answered] = payloads(daemon, "queue.answered")
    assert (answered["id"], answered["provider"], answered["reply"]) == (entry.id, "cloud", "Very far.")
    await daemon.recorder.close()
    announced, late = await device.history(2), "Earlier you asked: moon. Very far."
    assert late in {turn.reply for turn in announced}
    assert "queue" in {turn.source for turn in announced}
    assert [entry.state for entry in await device.queue()] == ["delivered"]


async def test_forgetting_deletes_queued_questions_and_cached_phrases(rig: DeviceRig) -> None:
    cache_phrase(rig.directory)
    daemon = await rig.start()
    for text in ("my secret", "my other secret"):
        await daemon.providers.offline_queue.keep("default", None, text)
    await daemon.appliance.forget()
    assert (await daemon.appliance.queue(), daemon.appliance.status().queued) == ([], 0)
    assert [data["reason"] for data in payloads(daemon, "queue.dropped")] == ["forgotten"] * 2
    assert phrases_in(rig.directory) == []


async def test_cached_phrases_are_deleted_when_the_cache_is_off(rig: DeviceRig) -> None:
    cache_phrase(rig.directory)
    await (await rig.start()).stop()
    assert phrases_in(rig.directory) == ["0123.flac"]
    rig.change(cache=Cache(phrases_mb=0))
    await rig.start()
    assert phrases_in(rig.directory) == []


async def test_queued_questions_survive_a_restart_and_can_be_dropped(rig: DeviceRig) -> None:
    daemon = await rig.start()
    for text in ("one", "two"):
        await daemon.providers.offline_queue.keep("default", None, text)
    first, second = await daemon.appliance.queue()
    assert await daemon.appliance.drop_queued(first.id) == 1
    with pytest.raises(NotFound):
        await daemon.appliance.drop_queued(first.id)
    await daemon.stop()
    again = await rig.start()
    await until(lambda: again.appliance.status().queued == 1)
    assert [entry.id for entry in await again.appliance.queue()] == [second.id]
    assert await again.appliance.drop_queued(None) == 1


async def test_a_full_queue_is_reported_as_a_problem(rig: DeviceRig) -> None:
    rig.change(queue=Queue(max_utterances=1))
    daemon = await rig.start()
    assert await daemon.providers.offline_queue.keep("default", None, "one")
    assert not await daemon.providers.offline_queue.keep("default", None, "two")
    assert "the queue is full" in daemon.appliance.status().summary
    assert [data["code"] for data in payloads(daemon, "error")] == ["queue_full"]
