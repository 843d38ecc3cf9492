"""Azure's own native client writes the same SSML, and has ours spoken as it is.

It speaks by WebSocket (USP) and not by REST as voxd does, so only the document is judged here: the request
around it is as documented, and unproven.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from tests.servers.voices import KEY, sound_of
from voxd.net.transport import Access
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.azure.tts import AzureTts, ssml

speech = pytest.importorskip(
    "azure.cognitiveservices.speech", reason="the extra `conformance` is not installed"
)

VOICE = "en-US-AvaMultilingualNeural"
TEXT = 'Is 3 < 4 & 5 > 2? "Yes," she said, in Köln.'
PCM = sound_of(TEXT, 24_000)


class Usp:
    """Enough of the service's WebSocket protocol for the client to have one document after another spoken."""

    def __init__(self) -> None:
        self.documents: list[str] = []
        self.formats: list[str] = []
        self.port = 0
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serve(self.talk, "127.0.0.1", 0, compression=None, ping_interval=None)
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def talk(self, socket: ServerConnection) -> None:
        async for message in socket:
            assert isinstance(message, str)
            head, _, body = message.partition("\r\n\r\n")
            headers = dict(line.split(":", 1) for line in head.split("\r\n"))
            told = {name.lower(): value.strip() for name, value in headers.items()}
            if told["path"] == "synthesis.context":
                self.formats.append(json.loads(body)["synthesis"]["audio"]["outputFormat"])
            if told["path"] == "ssml":
                self.documents.append(body)
                await self._speak(socket, told["x-requestid"])

    async def _speak(self, socket: ServerConnection, turn: str) -> None:
        async def tell(path: str, body: dict[str, Any]) -> None:
            kind = "Content-Type:application/json; charset=utf-8"
            await socket.send(f"X-RequestId:{turn}\r\n{kind}\r\nPath:{path}\r\n\r\n{json.dumps(body)}")

        await tell("turn.start", {"context": {"serviceTag": "a-tag"}})
        await tell("response", {"context": {}, "audio": {"type": "inline", "streamId": "1"}})
        head = f"X-RequestId:{turn}\r\nPath:audio\r\nX-StreamId:1\r\n".encode()
        for part in (PCM, b""):
            await socket.send(len(head).to_bytes(2) + head + part)
        await tell("turn.end", {})


@pytest.fixture
def server() -> Iterator[Usp]:
    """The native client blocks its thread: the server runs in another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="azure voice fake")
    thread.start()
    usp = Usp()

    def run(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(5)

    run(usp.start())
    yield usp
    run(usp.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def client_of(server: Usp, form: str = "Raw24Khz16BitMonoPcm") -> Any:
    url = f"ws://127.0.0.1:{server.port}/cognitiveservices/websocket/v1"
    config = speech.SpeechConfig(subscription=KEY, endpoint=url)
    config.speech_synthesis_voice_name = VOICE
    config.set_speech_synthesis_output_format(getattr(speech.SpeechSynthesisOutputFormat, form))
    return speech.SpeechSynthesizer(speech_config=config, audio_config=None)


def shape(document: str) -> list[tuple[str, dict[str, str], str]]:
    """Return the elements with their attributes and texts, as a parser sees them."""
    return [
        (element.tag, dict(element.attrib), element.text or "")
        for element in ElementTree.fromstring(document).iter()
    ]


def test_the_native_client_writes_the_same_document(server: Usp) -> None:
    # Kept until it is done: a client that is collected meanwhile waits 40 s now and then.
    client = client_of(server)
    result = client.speak_text_async(TEXT).get()
    assert result.reason == speech.ResultReason.SynthesizingAudioCompleted
    assert result.audio_data == PCM
    (theirs,) = server.documents
    assert shape(ssml(TEXT, voice=VOICE, language="en-US")) == shape(theirs)
    assert server.formats == ["raw-24khz-16bit-mono-pcm"]


def test_the_native_client_sends_ours_as_it_is(server: Usp) -> None:
    ours = ssml(TEXT, voice=VOICE, language="en-US", express={"style": "cheerful"}, prosody={"rate": "slow"})
    client = client_of(server)
    result = client.speak_ssml_async(ours).get()
    assert result.reason == speech.ResultReason.SynthesizingAudioCompleted
    assert [shape(each) for each in server.documents] == [shape(ours)]


@pytest.mark.parametrize(
    ("rate_hz", "form"),
    [
        (8000, "Raw8Khz16BitMonoPcm"),
        (16_000, "Raw16Khz16BitMonoPcm"),
        (22_050, "Raw22050Hz16BitMonoPcm"),
        (24_000, "Raw24Khz16BitMonoPcm"),
        (44_100, "Raw44100Hz16BitMonoPcm"),
        (48_000, "Raw48Khz16BitMonoPcm"),
    ],
)
def test_the_native_client_calls_every_rate_what_voxd_calls_it(server: Usp, rate_hz: int, form: str) -> None:
    client = client_of(server, form)
    client.speak_text_async(TEXT).get()
    options = {"region": "x", "sample_rate_hz": rate_hz}
    tts = AzureTts(StageConfig("den", "azure", options=options), None)  # type: ignore[arg-type]
    headers = tts._call(TEXT, Access("", KEY)).headers
    assert server.formats == [headers["X-Microsoft-OutputFormat"]]
