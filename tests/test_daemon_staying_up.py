"""The daemon as a real process whose cloud comes and goes: nobody repeats himself, nothing is lost."""

from pathlib import Path
from typing import Any

from tests.rig.process import VoxdProcess
from tests.servers.flapping import Way, flapping
from tests.servers.openai_realtime import KEY, Refusal, Reply, Script, realtime_server
from tests.test_daemon_cloud import at, recorded, voxd


async def status(process: VoxdProcess) -> Any:
    async with process.client() as client:
        return await client.call("system.status")


async def test_what_only_the_cloud_knows_is_kept_and_answered_when_it_is_back(tmp_path: Path) -> None:
    async with realtime_server(replies=[Reply("Far away.")]) as server, flapping(server.port) as proxy:
        await proxy.take(Way.REFUSE)
        endpoint = f"ws://127.0.0.1:{proxy.port}/v1"
        async with (
            voxd(tmp_path, **at(server, endpoint=endpoint)) as process,
            process.events() as events,
            process.client() as client,
        ):
            sound = recorded("how far away is the moon tonight", tmp_path)
            asked = await client.call("turn.ask_audio", wav_base64=sound, speak=True)
            assert asked["outcome"] == "answered"
            assert "I have kept your question" in asked["reply"]
            assert asked["stages_ms"]["response"] < 4000
            await events.until("provider.failed", provider="cloud")
            await events.until("queue.added")
            known = await client.call("turn.ask", text="what time is it", speak=True)
            assert known["reply"].startswith("It is "), "the reason has been told"
            assert (await status(process))["agents"][0]["answering"] == "local"
            await proxy.take(Way.OPEN)
            await events.until("provider.restored", provider="cloud")
            late = await events.until("queue.answered")
            assert (late["reply"], late["provider"]) == ("Far away.", "cloud")
            again = await client.call("turn.ask", text="how far is the moon", speak=False)
            assert again["reply"] == "Far away."
            assert (await status(process))["problems"] == []


async def test_a_new_key_needs_no_restart(tmp_path: Path) -> None:
    wrong = Refusal(401, {"error": {"code": "invalid_api_key", "message": "Incorrect API key."}})
    async with realtime_server(Script(refusal=wrong)) as server:
        key = tmp_path / "key"
        key.write_text("sk-wrong")
        secret = {"file": str(key)}
        async with (
            voxd(tmp_path, **at(server, api_key=secret)) as process,
            process.events() as events,
            process.client() as client,
        ):
            assert "key" in (await client.call("turn.ask", text="what time is it"))["reply"]
            await client.call("turn.ask", text="what time is it")
            assert len(server.requests) == 1, "a wrong key is not tried again"
            server.script.refusal = None
            key.write_text(KEY)
            await client.call("config.reload")
            await events.until("provider.restored", provider="cloud")
            assert (await client.call("turn.ask", text="hello"))["reply"] == "Hello there."


async def test_when_the_days_money_is_spent_the_device_answers_also_after_a_restart(tmp_path: Path) -> None:
    options = {"default_reply": "Something dear."}
    cloud = {"kind": "mock", "options": options, "usd_per_day": 0.000001}
    async with voxd(tmp_path, **cloud) as process, process.events() as events, process.client() as client:
        assert (await client.call("turn.ask", text="hello", speak=True))["reply"] == "Something dear."
        await events.until("spend.stopped", provider="cloud")
        told = await client.call("turn.ask", text="what time is it", speak=True)
        assert "money for cloud is spent" in told["reply"]
        assert "It is " in told["reply"]
        assert await process.stop() == 0
    async with voxd(tmp_path, **cloud) as process, process.client() as client:
        problems = (await client.call("system.status"))["problems"]
        assert any("USD for cloud are spent" in problem for problem in problems)
        answered = await client.call("turn.ask", text="what time is it")
        assert "It is " in answered["reply"]
