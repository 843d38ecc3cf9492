"""The daemon as a real process with a cloud: the mock, and a fake OpenAI server on loopback."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.rig.process import VoxdProcess
from tests.rig.speech import question, say
from tests.servers.openai_realtime import KEY, RealtimeServer, Refusal, Reply, Script, realtime_server
from voxd.audio.files import read_wav, wav_bytes, write_wav
from voxd.errors import AuthenticationError, ProviderError
from voxd.frames import SAMPLE_RATE_HZ, Clip

CANARY = "sk-canary-4711"
FAILED = Reply("", sound_ms=0, status="failed", error={"code": "server_error", "message": "sorry"})
LONG = Reply("One two three four five six seven eight nine ten.", sound_ms=8000)


@asynccontextmanager
async def voxd(directory: Path, *, heard: Path | None = None, **provider: Any) -> AsyncIterator[VoxdProcess]:
    """A daemon whose agent uses ``provider``; its microphone hears the recording ``heard``, else silence."""
    if heard is None:
        heard = directory / "quiet.wav"
        write_wav(heard, Clip(bytes(32_000), SAMPLE_RATE_HZ))
    sets = (
        'audio.input="virtual"',
        'audio.output="virtual"',
        f'audio.virtual_input="{heard}"',
        'agents.default.provider="cloud"',
        *(f"providers.cloud.{key}={_toml(value)}" for key, value in provider.items()),
    )
    process = VoxdProcess(directory, sets=sets, env={"CLOUD_KEY": CANARY})
    try:
        yield await process.start()
    finally:
        await process.close()


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def at(server: RealtimeServer, **more: Any) -> dict[str, Any]:
    return {"kind": "openai", "api_key": KEY, "endpoint": server.base_url, **more}


def length_s(wav: str) -> float:
    return read_wav(Path(wav).read_bytes()).duration_s


def recorded(text: str, directory: Path) -> str:
    return base64.b64encode(wav_bytes(say(text, directory))).decode()


async def test_a_spoken_question_is_answered_by_the_cloud_while_it_is_asked(tmp_path: Path) -> None:
    reply = Reply("It is noon.", sound_ms=1200)
    async with realtime_server(replies=[reply]) as server:
        heard = question("what time is it", tmp_path)
        async with voxd(tmp_path, heard=heard, **at(server)) as process, process.events() as events:
            await events.until("wake.detected", word="hey_jarvis")
            await server.received("input_audio_buffer.append")
            assert "input_audio_buffer.commit" not in server.types(), "sound leaves while the user speaks"
            assert (await events.until("turn.transcript"))["text"] == server.script.heard
            assert (await events.until("turn.reply"))["text"] == "It is noon."
            wav = (await events.until("playback.started", kind="reply"))["wav"]
            ended = await events.until("turn.ended")
            assert ended["outcome"] == "answered"
            assert {"connect", "send", "cloud", "response"} <= ended["stages_ms"].keys()
            assert server.types().count("session.update") == 1, "one session, opened at the wake word"
            assert length_s(wav) == pytest.approx(1.2, abs=0.15)
            sound = b"".join(
                base64.b64decode(each["audio"]) for each in server.of_type("input_audio_buffer.append")
            )
            assert len(sound) / 48_000 > 0.8
            async with process.client() as client:
                entry = (await client.call("history.list", limit=1))[0]
                assert (entry["transcript"], entry["reply"]) == (server.script.heard, "It is noon.")
                status = await client.call("system.status")
                assert status["agents"] == [
                    {"agent": "default", "provider": "cloud", "answering": "cloud", "problem": ""}
                ]


@pytest.mark.parametrize("detection", ["server", "semantic"])
async def test_a_vendor_that_hears_the_end_himself_is_let_to(tmp_path: Path, detection: str) -> None:
    async with (
        realtime_server() as server,
        voxd(tmp_path, turn_detection=detection, **at(server)) as process,
        process.client() as client,
    ):
        sound = recorded("what time is it", tmp_path)
        answered = await client.call("turn.ask_audio", wav_base64=sound, speak=True)
        assert (answered["outcome"], answered["reply"]) == ("answered", "Hello there.")
        assert "input_audio_buffer.commit" not in server.types()


async def test_a_reply_that_is_stopped_is_truncated_at_what_was_heard(tmp_path: Path) -> None:
    async with (
        realtime_server(replies=[LONG]) as server,
        voxd(tmp_path, **at(server)) as process,
        process.events() as events,
        process.client() as client,
    ):
        asking = asyncio.create_task(client.call("turn.ask", text="count", speak=True))
        await events.until("playback.started", kind="reply")
        async with process.client() as other:
            await other.call("turn.stop")
        interrupted = await events.until("turn.interrupted")
        assert (await asking)["outcome"] == "cancelled"
        truncated = await server.received("conversation.item.truncate")
        assert truncated["audio_end_ms"] == pytest.approx(interrupted["played_ms"], abs=2)
        assert truncated["audio_end_ms"] < 4000


async def test_the_wake_word_interrupts_a_reply_of_the_cloud(tmp_path: Path) -> None:
    heard = tmp_path / "twice.wav"
    first = read_wav(question("what time is it", tmp_path).read_bytes())
    pause = bytes(2 * SAMPLE_RATE_HZ * 3)
    write_wav(heard, Clip(first.pcm + pause + first.pcm, SAMPLE_RATE_HZ))
    async with (
        realtime_server(replies=[LONG, Reply("It is one.")]) as server,
        voxd(tmp_path, heard=heard, **at(server)) as process,
        process.events() as events,
    ):
        interrupted = await events.until("turn.interrupted", by="wake_word")
        truncated = await server.received("conversation.item.truncate")
        assert truncated["audio_end_ms"] == pytest.approx(interrupted["played_ms"], abs=2)
        assert (await events.until("turn.reply"))["text"] == "It is one."
        assert (await events.until("turn.ended"))["outcome"] == "answered"


async def test_a_wrong_key_is_told_once_and_the_device_answers_the_same_question(tmp_path: Path) -> None:
    async with realtime_server() as server:
        key = {"env": "CLOUD_KEY"}
        async with (
            voxd(tmp_path, **at(server, api_key=key)) as process,
            process.events() as events,
            process.client() as client,
        ):
            sound = recorded("what time is it", tmp_path)
            first = await client.call("turn.ask_audio", wav_base64=sound, speak=False)
            assert first["outcome"] == "answered"
            assert first["transcript"] == "what time is it"
            assert "key" in first["reply"]
            assert "It is " in first["reply"]
            await events.until("provider.failed", provider="cloud", code="invalid_api_key")
            await events.until("provider.changed", to="local")
            second = await client.call("turn.ask_audio", wav_base64=sound, speak=False)
            assert second["reply"].startswith("It is ")
            assert len(server.requests) == 1, "no retry storm"
            with pytest.raises(AuthenticationError) as raised:
                await client.call("provider.test", name="cloud")
            status = await client.call("system.status")
            assert status["agents"][0]["answering"] == "local"
            assert any("local stands in for cloud" in problem for problem in status["problems"])
            shown = [
                str(raised.value), raised.value.hint, json.dumps(status),
                json.dumps(await client.call("config.show")), json.dumps(await client.call("provider.list")),
            ]  # fmt: skip
            client_events = [json.dumps(event) for event in await all_events(process)]
        assert CANARY not in "".join([*shown, *client_events, process.log])
        assert "canary" not in process.log


async def all_events(process: VoxdProcess) -> list[Any]:
    """Return what the daemon remembers of all that happened."""
    async with process.client() as client:
        subscription = client.subscribe(("*",), since=0)
        opening = await anext(subscription)
        found = []
        async for event in subscription:
            found.append(event)
            if event.get("id", 0) >= opening["last_id"]:
                break
        await subscription.aclose()
        return found


@pytest.mark.parametrize(
    "script",
    [
        Script(greet=False),
        Script(refusal=Refusal(429, "", {"Retry-After": "30"})),
        Script(replies=[FAILED]),
        Script(deaf_to={"response.create"}),
    ],
    ids=["silent at the door", "busy", "failing", "silent after the question"],
)
async def test_whatever_the_cloud_does_the_question_is_answered(tmp_path: Path, script: Script) -> None:
    async with (
        realtime_server(script) as server,
        voxd(tmp_path, connect_timeout_s=0.5, first_audio_timeout_s=0.5, **at(server)) as process,
        process.client() as client,
    ):
        answered = await client.call(
            "turn.ask_audio", wav_base64=recorded("what time is it", tmp_path), speak=False
        )
        assert answered["outcome"] == "answered"
        assert "It is " in answered["reply"]


async def test_nothing_listens_at_the_address(tmp_path: Path) -> None:
    async with realtime_server() as server:
        gone = at(server)
    async with voxd(tmp_path, **gone) as process, process.client() as client:
        answered = await client.call("turn.ask", text="what time is it")
        assert "It is " in answered["reply"]
        with pytest.raises(ProviderError):
            await client.call("provider.test", name="cloud")


async def test_the_mock_needs_no_network_and_can_be_exchanged(tmp_path: Path) -> None:
    options = {"replies": {"hello": "Hello from the mock."}, "default_reply": "I do not know."}
    async with (
        voxd(tmp_path, kind="mock", options=options) as process,
        process.events() as events,
        process.client() as client,
    ):
        assert (await client.call("turn.ask", text="hello"))["reply"] == "Hello from the mock."
        assert (await client.call("provider.test", name="cloud"))["latency_ms"] >= 0
        await client.call("provider.use", name="local")
        await events.until("provider.changed", to="local")
        assert (await client.call("turn.ask", text="what time is it"))["reply"].startswith("It is ")
        assert [each["agents"] for each in await client.call("provider.list")] == [["default"], []]
        await client.call("provider.use", name="cloud")
        assert (await client.call("turn.ask", text="hello", speak=True))["outcome"] == "answered"
        today = (await client.call("usage.get", days=1))[0]
        assert (today["provider"], today["responses"]) == ("cloud", 2)
        assert today["cost_usd"] > 0


async def test_a_model_sets_a_timer_of_the_device(tmp_path: Path) -> None:
    calls = [{"name": "set_timer", "arguments": {"seconds": 600, "name": "pasta"}}]
    options = {"replies": {"ten minutes for the pasta": {"text": "Done: {results}", "calls": calls}}}
    async with voxd(tmp_path, kind="mock", options=options) as process, process.client() as client:
        answered = await client.call("turn.ask", text="ten minutes for the pasta")
        assert answered["reply"].startswith("Done: Pasta timer set")
        assert [timer["name"] for timer in await client.call("timers.list")] == ["pasta"]


async def test_what_was_said_to_the_cloud_is_not_in_the_log(tmp_path: Path) -> None:
    options = {"default_reply": "The xylophone sleeps."}
    async with voxd(tmp_path, kind="mock", options=options) as process, process.client() as client:
        await client.call("turn.ask", text="where is the zebra", speak=True)
        assert await process.stop() == 0
        assert "zebra" not in process.log
        assert "xylophone" not in process.log
