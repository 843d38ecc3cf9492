"""Google's own client recognises with our fake server, and its types judge what voxd asks of it."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import vendor
from tests.rig.transports import open_transport
from tests.servers.google_speech import GoogleSpeechServer, complaint
from tests.servers.words import spoken
from voxd.audio.files import decode_flac
from voxd.frames import Clip
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.google.stt import GoogleStt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    speech = pytest.importorskip("google.cloud.speech_v1", reason="the extra `conformance` is not installed")
    from google.api_core import exceptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.speech_v1.services.speech.transports import SpeechRestTransport
    from google.protobuf.json_format import ParseDict, ParseError

CLIP = Clip(spoken(SAID), 16_000)


@pytest.fixture
async def house() -> AsyncIterator[GoogleSpeechServer]:
    async with vendor(lambda plain: GoogleSpeechServer(plain, key=None)) as house:
        yield house


async def recognise(house: GoogleSpeechServer, pcm: bytes) -> Any:
    """Ask by the vendor's client, which blocks."""
    config = {"encoding": "LINEAR16", "sample_rate_hertz": 16_000, "language_code": "en-US"}

    def ask() -> Any:
        transport = SpeechRestTransport(
            credentials=AnonymousCredentials(),
            host=house.plain.url.removeprefix("http://"),
            url_scheme="http",
        )
        with speech.SpeechClient(transport=transport) as client:
            return client.recognize(config=config, audio={"content": pcm}, retry=None, timeout=5)

    return await asyncio.to_thread(ask)


async def test_the_vendors_client_recognises(house: GoogleSpeechServer) -> None:
    answer = await recognise(house, CLIP.pcm)
    assert "".join(result.alternatives[0].transcript for result in answer.results) == SAID
    assert answer.total_billed_time.seconds == 15
    assert list((await recognise(house, bytes(32_000))).results) == []


async def test_the_vendors_client_receives_a_refusal(house: GoogleSpeechServer) -> None:
    house.script = [complaint(429, "RESOURCE_EXHAUSTED", "Quota exceeded.")]
    with pytest.raises(exceptions.TooManyRequests, match="Quota exceeded"):
        await recognise(house, CLIP.pcm)


async def test_the_vendors_types_accept_the_requests_of_voxd(house: GoogleSpeechServer) -> None:
    options = {"languages": ["fr"], "boost": 10.0}
    async with open_transport(house.plain.url, name="ears", stage="stt") as transport:
        stt = GoogleStt(StageConfig("ears", "google", options=options), transport)
        await heard_of(stt, CLIP.pcm, TranscriptionRequest(language="de", hints=("Zoë",)))
    [body] = house.bodies
    request = speech.RecognizeRequest()
    ParseDict(body, request._pb)
    assert request.config.encoding == speech.RecognitionConfig.AudioEncoding.FLAC
    assert request.config.speech_contexts[0].phrases == ["Zoë"]
    assert request.config.enable_automatic_punctuation
    assert request.config.alternative_language_codes == ["fr-FR"]
    assert decode_flac(request.audio.content) == CLIP
    with pytest.raises(ParseError):
        ParseDict({**body, "config": {**body["config"], "hints": []}}, speech.RecognizeRequest()._pb)
