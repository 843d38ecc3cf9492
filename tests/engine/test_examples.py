"""The reference text's own examples and snippets, word for word, against the fake OpenAI server.

The text lies beside the project; only the package's name, the key and the place where a program would wait
for its user are replaced.
"""

import asyncio
import builtins
import logging
import re
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import voxd
from tests.engine.conftest import PATIENCE_S, Log
from tests.engine.sounds import tone
from tests.rig.soundcard import SoundCard
from tests.servers.openai_realtime import KEY, RealtimeServer, realtime_server
from tests.shared import SHARED, needs_shared
from voxd import VoiceEngine
from voxd.audio.files import wav_bytes
from voxd.frames import Clip
from voxd.providers.vendors.openai.realtime import OpenAIProvider

pytestmark = needs_shared

Scope = dict[str, Any]


def blocks(document: str) -> list[str]:
    """Return the Python blocks of a seed, with the library's real name and a key the server takes."""
    if not SHARED.is_dir():
        return []
    text = next((SHARED / "seeds").glob(f"{document}_*.txt")).read_text()
    found = re.findall(r"^```python\n(.*?)(?:^```|\Z)", text, re.DOTALL | re.MULTILINE)
    return [block.replace("voxengine", "voxd").replace("sk-...", KEY) for block in found]


def example(start: str) -> str:
    return next(block for block in blocks("003") if start in block)


IS_NO_PROGRAM = re.compile(r"^(def __init__|@dataclass|class BaseProvider|\s*\{)")
"""Signatures and payloads, which other tests are about."""

IS_COMPLETE = re.compile(r"asyncio.run\(main|^async def (push_to_talk|multilingual)", re.MULTILINE)

SNIPPETS = [
    block for block in blocks("003") if not IS_NO_PROGRAM.match(block) and not IS_COMPLETE.search(block)
]


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


async def run(block: str, scope: Scope) -> Any:
    """Run ``block`` as the body of a coroutine and return what it returns."""
    source = f"async def snippet():\n{textwrap.indent(block, '    ')}\n    return locals()"
    exec(compile(source, "<seed 003>", "exec"), scope)
    async with asyncio.timeout(PATIENCE_S):
        return await scope["snippet"]()


@pytest.mark.parametrize("block", SNIPPETS, ids=[block.splitlines()[0][:40] for block in SNIPPETS])
async def test_every_snippet_runs(
    block: str, server: RealtimeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await asyncio.to_thread((tmp_path / "recording.wav").write_bytes, wav_bytes(Clip(tone(400), 24_000)))
    config = voxd.VoiceEngineConfig(api_key=KEY, input_device="virtual")
    async with VoiceEngine(config=config) as engine:

        def ignore(*args: object) -> None:
            """Stand for a function of the reader's own."""

        scope: Scope = {name: getattr(voxd, name) for name in voxd.__all__}
        scope |= dict.fromkeys(
            ("handle_text", "handle_audio", "handle_long_text", "handler", "play_audio", "handle_function"),
            ignore,
        )
        scope |= {"engine": engine, "audio_chunk": tone(100), "Path": Path, "print": ignore}
        scope |= {"logger": logging.getLogger("example")}
        if re.search(r"^engine = ", block, re.MULTILINE) is None:
            block = f"global engine\n{block}"
        await run(block, scope)


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
    scope: Scope = {"play_audio": played.append, "print": printed.append, "keep_running": keep_running}
    await run(block, scope)
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
    scope: Scope = {
        **{name: getattr(voxd, name) for name in voxd.__all__},
        "asyncio": asyncio,
        "keyboard": keyboard,
    }
    await run(f"{block}\nawait push_to_talk_mode()", scope)
    await server.received("response.create")
    kinds = server.types()
    assert kinds.count("input_audio_buffer.commit") == 1
    assert "input_audio_buffer.clear" in kinds


async def test_the_multilingual_assistant(
    server: RealtimeServer, made: list[VoiceEngine], card: SoundCard
) -> None:
    printed: list[str] = []
    scope: Scope = {**{name: getattr(voxd, name) for name in voxd.__all__}, "print": printed.append}
    await run(f"{example('async def multilingual_assistant')}\nawait multilingual_assistant()", scope)
    log = Log(made[0])
    await log.wait("audio.input_chunk", 3)
    card.speak_pcm(tone(800, rate_hz=16_000))
    await log.wait("response.completed")
    await made[0].disconnect()
    assert "Transcription: Hello there." in printed
    heard = server.of_type("session.update")[0]["session"]["audio"]["input"]
    assert heard["transcription"]["language"] == "es"


async def test_switching_providers(server: RealtimeServer) -> None:
    block = next(block for block in blocks("004") if block.startswith("# Start with one provider"))
    config = voxd.VoiceEngineConfig(api_key=KEY)
    azure = {"endpoint": server.base_url.removesuffix("/v1"), "model": "mine"}
    new_config = voxd.VoiceEngineConfig(provider="azure", api_key=KEY, metadata=azure)
    scope: Scope = {"VoiceEngine": VoiceEngine, "config": config, "new_config": new_config}
    engine = (await run(block, scope))["engine"]
    assert engine.config.provider == "azure"
    assert await engine.text_2_audio_response("hello")
    await engine.disconnect()


def test_the_examples_are_still_where_they_were() -> None:
    assert len(SNIPPETS) > 25
    for start in ("asyncio.run(main())", "async def push_to_talk_mode", "async def multilingual_assistant"):
        assert example(start)
    assert builtins.print is print
