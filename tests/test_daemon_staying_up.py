"""The daemon as a real process whose cloud comes and goes: the user repeats nothing, nothing is lost."""

from pathlib import Path
from typing import Any

from tests.rig.process import VoxdProcess
from tests.servers.chat import Chat
from tests.servers.flapping import Way, flapping
from tests.servers.openai_realtime import KEY, Refusal, Reply, Script, realtime_server
from tests.servers.scripted import KEY as CHAT_KEY
from tests.servers.scripted import Reply as Written
from tests.servers.scripted import scripted
from tests.test_daemon_cloud import at, recorded, voxd
from voxd.audio.files import write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip


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
            assert known["reply"].startswith("It is "), "the reason has been given"
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
        reply = await client.call("turn.ask", text="what time is it", speak=True)
        assert "Cloud has reached today's spending limit" in reply["reply"]
        assert "It is " in reply["reply"]
        assert await process.stop() == 0
    async with voxd(tmp_path, **cloud) as process, process.client() as client:
        problems = (await client.call("system.status"))["problems"]
        assert any("USD for cloud are spent" in problem for problem in problems)
        answered = await client.call("turn.ask", text="what time is it")
        assert "It is " in answered["reply"]


async def test_a_pipeline_answers_and_who_of_it_fails_is_named(tmp_path: Path) -> None:
    async with scripted(Chat(), Written(("It is ", "far away."))) as server:
        proxy_port = int(server.url.rpartition(":")[2].partition("/")[0])
        async with flapping(proxy_port) as proxy:
            quiet = tmp_path / "quiet.wav"
            write_wav(quiet, Clip(bytes(32_000), SAMPLE_RATE_HZ))
            process = VoxdProcess(
                tmp_path,
                sets=(
                    'audio.input="virtual"',
                    'audio.output="virtual"',
                    f'audio.virtual_input="{quiet}"',
                    'agents.default.provider="pipe"',
                    'pipelines.pipe.llm=["thinker"]',
                    'providers.thinker.kind="openai"',
                    f'providers.thinker.api_key="{CHAT_KEY}"',
                    f'providers.thinker.endpoint="http://127.0.0.1:{proxy.port}/v1"',
                ),
            )
            try:
                await process.start()
                async with process.client() as client, process.events() as events:
                    answered = await client.call("turn.ask", text="how far is the moon", speak=True)
                    assert (answered["outcome"], answered["reply"]) == ("answered", "It is far away.")
                    assert (await client.call("provider.test", name="pipe"))["latency_ms"] >= 0
                    assert (await client.call("provider.test", name="thinker"))["latency_ms"] >= 0
                    (used,) = await client.call("usage.get", days=1)
                    assert (used["provider"], used["stage"], used["key"]) == ("thinker", "llm", 1)
                    await proxy.take(Way.REFUSE)
                    answered = await client.call("turn.ask", text="what time is it", speak=True)
                    assert "I can't reach thinker" in answered["reply"]
                    assert (await events.until("provider.failed"))["provider"] == "thinker"
                    listed = await client.call("provider.list")
                    assert [(row["name"], bool(row["problem"])) for row in listed] == [
                        ("local", False), ("thinker", True), ("pipe", True)
                    ]  # fmt: skip
                    await proxy.take(Way.OPEN)
                    await events.until("provider.restored", provider="thinker")
                    answered = await client.call("turn.ask", text="how far is the moon", speak=True)
                    assert answered["reply"] == "It is far away."
            finally:
                await process.close()
