"""The daemon as a real process whose cloud is gone, that is killed, and keeps its promise all the same."""

import asyncio
import base64
import json
import signal
from pathlib import Path
from typing import Any

from tests.rig.process import VoxdProcess
from tests.rig.speech import say
from tests.servers.openai_realtime import KEY, RealtimeServer, Refusal, Reply, Script, realtime_server
from voxd.audio.files import wav_bytes, write_wav
from voxd.frames import SAMPLE_RATE_HZ, Clip

GONE = Refusal(503, "")


def voxd(directory: Path, server: RealtimeServer) -> VoxdProcess:
    """A daemon that only its cloud can answer, and that speaks deferred answers."""
    quiet = directory / "quiet.wav"
    write_wav(quiet, Clip(bytes(32_000), SAMPLE_RATE_HZ))
    sets = (
        'audio.input="virtual"',
        'audio.output="virtual"',
        f'audio.virtual_input="{quiet}"',
        'agents.default.provider="cloud"',
        "agents.default.fallback=[]",
        'providers.cloud.kind="openai"',
        f'providers.cloud.api_key="{KEY}"',
        f'providers.cloud.endpoint="{server.base_url}"',
        "queue.speak=true",
    )
    return VoxdProcess(directory, sets=sets)


async def asked(process: VoxdProcess, directory: Path) -> dict[str, Any]:
    sound = base64.b64encode(wav_bytes(say("what time is it", directory))).decode()
    async with process.client() as client:
        answer: dict[str, Any] = await client.call("turn.ask_audio", wav_base64=sound, speak=False)
        return answer


async def test_a_question_outlives_the_cloud_and_the_daemon(tmp_path: Path) -> None:
    async with realtime_server(Script(refusal=GONE, replies=[Reply("It was noon.")])) as server:
        first = voxd(tmp_path, server)
        try:
            await first.start()
            answer = await asked(first, tmp_path)
            assert answer["outcome"] == "answered"
            assert "I have kept your question" in answer["reply"]
            async with first.client() as client:
                [entry] = await client.call("queue.list")
                assert (entry["state"], (await client.call("system.status"))["queued"]) == ("waiting", 1)
            assert first.process is not None
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        finally:
            await first.close()

        server.script.refusal = None
        again = voxd(tmp_path, server)
        try:
            await again.start()
            async with again.events() as events:
                late = await events.until("queue.answered")
                assert (late["id"], late["provider"], late["reply"]) == (entry["id"], "cloud", "It was noon.")
                said = await events.until("turn.reply")
                assert said["text"] == f"Earlier you asked: {server.script.heard}. It was noon."
                assert (await events.until("turn.ended"))["outcome"] == "answered"
            async with again.client() as client, asyncio.timeout(10):
                # It was said before it is noted as delivered.
                while [each["state"] for each in await client.call("queue.list")] != ["delivered"]:
                    continue
            assert await again.stop() == 0
        finally:
            await again.close()
    assert server.script.heard not in first.log + again.log, "the log holds no words of the user"
    heard = b"".join(base64.b64decode(each["audio"]) for each in server.of_type("input_audio_buffer.append"))
    assert len(heard) / 48_000 > 0.8, "the sound itself was kept"
    assert json.dumps(server.frames).count('"response.create"') == 1
