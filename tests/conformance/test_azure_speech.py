"""Azure's own native client recognises speech from our fake server, and voxd sends the frames it sends."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import heard_of
from tests.providers.vendors.stt_live import bench
from tests.servers.azure_speech import AzureSession, AzureSpeech
from tests.servers.live_speech import KEY
from tests.servers.words import spoken
from voxd.providers.pipeline.stages.contract import TranscriptionRequest

speech = pytest.importorskip(
    "azure.cognitiveservices.speech", reason="the extra `conformance` is not installed"
)

TEXT = "kitchen light off red"


@pytest.fixture
def server() -> Iterator[AzureSpeech]:
    """The native client blocks its thread: the server runs in another."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="azure speech fake")
    thread.start()
    house = AzureSpeech()
    running = house.running()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(5)

    run(running.__aenter__())
    yield house
    run(running.__aexit__(None, None, None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def recogniser(server: AzureSpeech, *, key: str = KEY) -> Any:
    config = speech.SpeechConfig(subscription=key, endpoint=f"{server.url}{server.path}")
    config.speech_recognition_language = "en-GB"
    stream = speech.audio.PushAudioInputStream(speech.audio.AudioStreamFormat(16_000, 16, 1))
    stream.write(spoken(TEXT))
    stream.close()
    client = speech.SpeechRecognizer(config, speech.audio.AudioConfig(stream=stream))
    speech.PhraseListGrammar.from_recognizer(client).addPhrase("Zoë")
    return client


def listen(client: Any) -> tuple[list[str], list[str]]:
    """Return the partials and the phrases the client makes of its sound."""
    partials, phrases, over = [], [], threading.Event()
    client.recognizing.connect(lambda event: partials.append(event.result.text))
    client.recognized.connect(lambda event: phrases.append(event.result.text))
    client.canceled.connect(lambda _: over.set())
    client.start_continuous_recognition_async().get()
    assert over.wait(10)
    client.stop_continuous_recognition_async().get()
    return partials, phrases


def shape(message: str | bytes) -> tuple[Any, ...]:
    """What must be the same in a frame of both: its headers, and the outline of what follows."""
    if isinstance(message, str):
        head, _, body = message.partition("\r\n\r\n")
        said: Any = outline(json.loads(body))
    else:
        size = 2 + int.from_bytes(message[:2])
        head, said = (
            message[2:size].decode(),
            message[size:][:4] if b"RIFF" in message[size:][:4] else "sound",
        )
    found = dict(line.split(":", 1) for line in head.strip().split("\r\n"))
    for name, form in (
        ("X-Timestamp", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("X-RequestId", r"[0-9a-f]{32}"),
    ):
        if name in found:
            assert re.fullmatch(form, found[name])
            found[name] = ""
    kind = found.pop("Content-Type", "")
    return type(message), found, "wav" in kind, said


def outline(value: Any) -> Any:
    """The keys of ``value``, and what stands in its lists."""
    if isinstance(value, dict):
        return {key: outline(each) for key, each in value.items() if key not in {"os", "system", "source"}}
    return [outline(each) for each in value] if isinstance(value, list) else type(value)


def test_the_native_client_recognises_partials_and_phrases(server: AzureSpeech) -> None:
    partials, phrases = listen(recogniser(server))
    assert partials[:1] == ["kitchen"]
    assert phrases[:2] == ["kitchen light", "off red"]


def test_the_native_client_is_refused_with_a_wrong_key(server: AzureSpeech) -> None:
    client = recogniser(server, key="f" * 32)
    result = client.recognize_once_async().get()
    assert result.reason == speech.ResultReason.Canceled
    assert result.cancellation_details.code == speech.CancellationErrorCode.AuthenticationFailure


def test_voxd_sends_the_frames_that_the_native_client_sends(server: AzureSpeech) -> None:
    listen(recogniser(server))
    theirs = [message for message in server.sessions[0].messages if b"telemetry" not in _bytes(message)]
    last = next(
        number for number, message in enumerate(theirs) if _bytes(message).endswith(b"X-StreamId:1\r\n")
    )

    async def ours() -> AzureSession:
        async with bench("azure") as bench_:
            await heard_of(bench_.make(language="en-GB"), spoken(TEXT), TranscriptionRequest(hints=("Zoë",)))
            assert isinstance(bench_.server.last, AzureSession)
            return bench_.server.last

    session = asyncio.run(ours())
    assert [shape(message) for message in session.messages] == [
        shape(message) for message in theirs[: last + 1]
    ]
    assert isinstance(server.sessions[0], AzureSession)
    assert session.contexts == server.sessions[0].contexts[:1]


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message
