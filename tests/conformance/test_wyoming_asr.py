"""The package `wyoming` on the other side, and a real third-party Wyoming server."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import ClassVar

import pytest
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event, Eventable
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info
from wyoming.server import AsyncEventHandler, AsyncTcpServer
from wyoming.wake import Detect, NotDetected

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_live import closed_port
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.words import recognised, spoken
from tests.servers.wyoming_asr import WyomingAsr, wyoming_asr
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.frames import samples_from_ms
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.wyoming.stt import WyomingStt
from voxd.providers.vendors.wyoming.wire import connect

OPENWAKEWORD = Path(sys.prefix) / "peers" / "wyoming" / "bin" / "wyoming-openwakeword"
START_S = 60.0
FORM = {"rate": 16_000, "width": 2, "channels": 1}
SOMEBODY = Attribution("somebody", "https://example.com")


class Ears(AsyncEventHandler):
    """A server made with the package; it understands the words of the tests."""

    told: ClassVar[list[Transcribe]] = []

    async def handle_event(self, event: Event) -> bool:
        if Describe.is_type(event.type):
            common = {"attribution": SOMEBODY, "installed": True, "description": None, "version": None}
            models = [AsrModel(name="tiny", languages=["en"], **common)]
            await self.write_event(Info(asr=[AsrProgram(name="ears", models=models, **common)]).event())
        elif Transcribe.is_type(event.type):
            self.told.append(Transcribe.from_event(event))
        elif AudioStart.is_type(event.type):
            start = AudioStart.from_event(event)
            assert (start.rate, start.width, start.channels) == (16_000, 2, 1)
            self.pcm = b""
        elif AudioChunk.is_type(event.type):
            self.pcm += AudioChunk.from_event(event).audio
        elif AudioStop.is_type(event.type):
            await self._answer(recognised(self.pcm))
            return False
        return True

    async def _answer(self, text: str) -> None:
        words = [TranscriptChunk(f"{word} ") for word in text.split()]
        for said in (TranscriptStart(language="en"), *words, TranscriptStop(), Transcript(text)):
            await self.write_event(said.event())


@pytest.fixture
async def transport() -> AsyncIterator[RecordedTransport]:
    Ears.told.clear()
    with closed_port() as port:
        pass
    server = AsyncTcpServer("127.0.0.1", port)
    await server.start(Ears)
    async with open_transport(f"tcp://127.0.0.1:{port}", "", name="ears", stage="stt") as transport:
        yield transport
    await server.stop()


async def test_voxd_is_understood_by_a_server_of_the_package(transport: RecordedTransport) -> None:
    stt = WyomingStt(StageConfig("ears", "wyoming", model="tiny", language="en-US"), transport)
    await stt.check(Budget())
    heard = await heard_of(stt, spoken(SAID), TranscriptionRequest(hints=("Zoë",)))
    assert [each.text for each in heard] == ["kitchen", "kitchen light", SAID, SAID]
    assert Ears.told == [Transcribe(name="tiny", language="en", transcript_terms=["Zoë"])]


async def ask(house: WyomingAsr, *events: Eventable, last: str) -> list[Event]:
    """Send ``events`` by the package's client; return the answers until ``last``."""
    answers: list[Event] = []
    async with asyncio.timeout(5), AsyncTcpClient("127.0.0.1", house.port) as client:
        for event in events:
            await client.write_event(event.event())
        while not answers or answers[-1].type != last:
            answer = await client.read_event()
            assert answer is not None
            answers.append(answer)
    return answers


@pytest.mark.parametrize("inline", [True, False])
async def test_the_packages_client_is_understood_by_the_fake(inline: bool) -> None:
    async with wyoming_asr(inline=inline, streaming=True) as house:
        [answer] = await ask(house, Describe(), last="info")
        assert Info.from_event(answer).asr[0].supports_transcript_streaming
        sound = AudioChunk(audio=spoken(SAID), **FORM)
        answers = await ask(house, Transcribe(), AudioStart(**FORM), sound, AudioStop(), last="transcript")
    chunks = [TranscriptChunk.from_event(each).text for each in answers if TranscriptChunk.is_type(each.type)]
    assert "".join(chunks) == SAID
    assert Transcript.from_event(answers[-1]).text.strip() == SAID


@contextlib.asynccontextmanager
async def openwakeword() -> AsyncIterator[str]:
    """Run the real server on a free port; yield its address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"tcp://127.0.0.1:{port}"
    server = await asyncio.create_subprocess_exec(
        *(str(OPENWAKEWORD), "--uri", url, "--debug"), stderr=asyncio.subprocess.PIPE
    )
    assert server.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(START_S):
            while b"Ready" not in (said := await server.stderr.readline()):
                assert said, "the server ended at once"
        draining = asyncio.create_task(server.stderr.read())
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()
        if draining is not None:
            await draining


@pytest.mark.skipif(
    not OPENWAKEWORD.exists(),
    reason=f"there is no {OPENWAKEWORD}: its TensorFlow Lite has no wheel past Python 3.11",
)
async def test_a_real_server_accepts_sound_and_returns_an_empty_transcript() -> None:
    async with openwakeword() as url, open_transport(url, "", name="ears", stage="stt") as transport:
        async with connect(transport, Budget(), "", kind="describe") as server:
            info = await server.info()
        assert info.wake
        assert info.wake[0].name == "openwakeword"
        async with asyncio.timeout(START_S), connect(transport, Budget(), "", kind="detect") as server:
            await server.send(Detect(names=[info.wake[0].models[0].name]), AudioStart(**FORM))
            silence = AudioChunk(audio=bytes(2 * samples_from_ms(100)), **FORM)
            await server.send(*([silence] * 20), AudioStop())
            assert NotDetected.is_type((await server.receive()).type)
        stt = WyomingStt(StageConfig("ears", "wyoming"), transport)
        with pytest.raises(ProviderError, match="does not offer speech-to-text"):
            await stt.check(Budget())
        assert [call["code"] for call in transport.data(E.PROVIDER_CALL)][-3:] == ["ok", "ok", "ok"]
