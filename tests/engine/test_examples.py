"""Every Python block of the reference texts on the library, as it is printed, against fakes on loopback.

The texts lie beside the project. Only the key and the place where a program would wait for its user are
replaced; ``voxengine`` is imported by `voxd.voxengine`.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

import voxd
from tests.engine.conftest import Log
from tests.engine.seed_blocks import Replies, blocks, run, scope
from tests.engine.sounds import tone
from tests.rig.soundcard import SoundCard
from tests.servers.openai_realtime import KEY, RealtimeServer, Refusal, Script, realtime_server
from tests.shared import SHARED
from voxd import VoiceEngine, register_provider
from voxd.audio.files import wav_bytes
from voxd.frames import Clip
from voxd.providers import registry
from voxd.providers.vendors.openai.realtime import OpenAIProvider

pytestmark = pytest.mark.skipif(not blocks("003"), reason="../shared/seeds is absent")

# Whole programs, which tests of their own below run as a user would.
_PROGRAM = re.compile(r"asyncio.run\(main|^async def (push_to_talk|multilingual)", re.MULTILINE)

BLOCKS = [
    pytest.param(block, id=f"{document}-{number}")
    for document in ("003", "004")
    for number, block in enumerate(blocks(document))
    if not _PROGRAM.search(block)
]


def example(start: str, document: str = "003") -> str:
    return next(block for block in blocks(document) if start in block)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealtimeServer]:
    async with realtime_server() as server:
        monkeypatch.setattr(OpenAIProvider, "endpoint", server.url)
        yield server


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[VoiceEngine]]:
    """Every engine an example makes."""
    engines: list[VoiceEngine] = []
    original = VoiceEngine.__init__

    def remember(self: VoiceEngine, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        engines.append(self)

    monkeypatch.setattr(VoiceEngine, "__init__", remember)
    return engines


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry for one test: what it registers as "azure" must not stay in place of the built-in class."""
    # `Registry` enters itself into the table; the entry of before comes back with the end of the test.
    monkeypatch.setitem(registry._BY_GROUP, registry.GROUP, registry._BY_GROUP[registry.GROUP])
    monkeypatch.setattr(registry, "_REGISTRY", registry.Registry(voxd.BaseProvider))


@pytest.mark.parametrize("block", BLOCKS)
async def test_every_block_runs(
    block: str,
    server: RealtimeServer,
    made: list[VoiceEngine],
    azure: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recording.wav").write_bytes(wav_bytes(Clip(tone(400), 24_000)))
    providers = ModuleType("my_providers")
    providers.AzureProvider = providers.GoogleProvider = Replies  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_providers", providers)
    config = voxd.VoiceEngineConfig(api_key=KEY, input_device="virtual")
    mocked = voxd.VoiceEngineConfig(provider="mock")
    if "switch_provider" in block:
        register_provider("azure", Replies)
    async with VoiceEngine(config=config) as engine:
        names = scope(engine=engine, config=config, new_config=mocked, BaseProvider=voxd.BaseProvider)
        found = await run(block, names)
        for name, test in found.items():
            if name.startswith("test_"):
                await test()
    for each in made:
        await each.disconnect()


async def test_the_azure_provider_registers_runs_and_disconnects(
    azure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text leaves three methods and two private helpers of its example to its reader."""
    received: list[Any] = []

    async def speak(connection: ServerConnection) -> None:
        received.append(dict(connection.request.headers) if connection.request else {})
        async for message in connection:
            received.append(json.loads(message))
            if received[-1]["type"] == "text":
                await connection.send(json.dumps({"type": "transcription", "text": "Hello there."}))
                await connection.send(json.dumps({"type": "audio", "audio": "ABAA8A=="}))

    # The text is of the time when websockets called this argument so.
    connect = websockets.connect
    monkeypatch.setattr(
        websockets, "connect", lambda url, extra_headers: connect(url, additional_headers=extra_headers)
    )
    names = scope()
    found = {
        **await run(example("class AzureProvider", "004"), names),
        **await run(example("class CustomProvider", "004"), names),
    }

    class Complete(found["AzureProvider"], found["CustomProvider"]):  # type: ignore[misc]
        async def _configure_azure_session(self) -> None:
            await self.connection.send(json.dumps({"type": "config"}))

        def _start_response_handler(self) -> None:
            self.reading = asyncio.create_task(self._read())

        async def _read(self) -> None:
            async for message in self.connection:
                await self._handle_provider_message(json.loads(message))

    async with serve(speak, "127.0.0.1", 0) as vendor:
        port = next(iter(vendor.sockets)).getsockname()[1]
        register_provider("azure", Complete)
        metadata = {"endpoint": f"ws://127.0.0.1:{port}", "region": "westus2"}
        config = voxd.VoiceEngineConfig(provider="azure", api_key="your-azure-key", metadata=metadata)
        async with VoiceEngine(config) as engine:
            reply = await engine.ask("hello")
            assert (reply.text, reply.audio) == ("Hello there.", b"\x00\x10\x00\xf0")
            await engine.send_audio(tone(100))
            await engine.interrupt()
        assert not engine.is_connected
    assert received[0]["x-region"] == "westus2"
    assert received[0]["ocp-apim-subscription-key"] == "your-azure-key"
    assert [each["type"] for each in received[1:]] == ["config", "text", "audio"]


async def test_a_rate_limit_is_handled_by_the_backup_provider(
    azure: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_provider("azure", Replies)
    async with realtime_server(Script(refusal=Refusal(429, "slow down"))) as busy:
        monkeypatch.setattr(OpenAIProvider, "endpoint", busy.url)
        engine = VoiceEngine(api_key=KEY)
        await run(example("# Handle provider-specific errors", "004"), scope(engine=engine))
        assert engine.is_connected
        assert engine.config.provider == "azure"
        await engine.disconnect()


async def test_the_voice_assistant(server: RealtimeServer, made: list[VoiceEngine], card: SoundCard) -> None:
    played: list[bytes] = []
    printed: list[str] = []

    async def keep_running() -> None:
        log = Log(made[0])
        await log.wait("audio.input_chunk", 3)
        card.speak_pcm(tone(800, rate_hz=16_000))
        await log.wait("response.completed")
        raise KeyboardInterrupt

    block = example("asyncio.run(main())").replace("asyncio.run(main())", "await main()")
    block = block.replace("await asyncio.sleep(1)", "await keep_running()")
    names = scope(play_audio=played.append, print=printed.append, keep_running=keep_running)
    await run(block, names)
    assert len(b"".join(played)) == 200 * 48
    assert printed[0].startswith("Voice assistant ready")
    assert "AI: Hello there." in printed
    assert printed[-1] == "Stopping..."
    assert not made[0].is_connected
    kinds = server.types()
    assert kinds.index("input_audio_buffer.append") < kinds.index("input_audio_buffer.commit")
    assert kinds[-1] == "response.create"


async def test_push_to_talk(server: RealtimeServer, made: list[VoiceEngine], card: SoundCard) -> None:
    async def keyboard(on_key_press: Callable[[], None], on_key_release: Callable[[], None]) -> None:
        log = Log(made[0])
        on_key_press()
        await log.wait("audio.input_chunk", 3)
        card.speak_pcm(tone(600, rate_hz=16_000))
        await log.wait("audio.input_chunk", 8)
        on_key_release()
        await log.wait("response.completed")
        await made[0].disconnect()

    block = example("async def push_to_talk_mode").replace(
        "# ... keyboard handling code ...", "await keyboard(on_key_press, on_key_release)"
    )
    await run(f"{block}\nawait push_to_talk_mode()", scope(keyboard=keyboard))
    await server.received("response.create")
    kinds = server.types()
    assert kinds.count("input_audio_buffer.commit") == 1
    assert "input_audio_buffer.clear" in kinds


async def test_the_multilingual_assistant(
    server: RealtimeServer, made: list[VoiceEngine], card: SoundCard
) -> None:
    printed: list[str] = []
    program = f"{example('async def multilingual_assistant')}\nawait multilingual_assistant()"
    await run(program, scope(print=printed.append))
    log = Log(made[0])
    await log.wait("audio.input_chunk", 3)
    card.speak_pcm(tone(800, rate_hz=16_000))
    await log.wait("response.completed")
    await made[0].disconnect()
    assert "Transcription: Hello there." in printed
    heard = server.of_type("session.update")[0]["session"]["audio"]["input"]
    assert heard["transcription"]["language"] == "es"


def test_the_examples_are_still_where_they_were() -> None:
    assert SHARED.is_dir()
    assert len(BLOCKS) > 60
    for start in ("asyncio.run(main())", "async def push_to_talk_mode", "async def multilingual_assistant"):
        assert example(start)
