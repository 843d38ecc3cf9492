"""The official OpenAI client transcribes with our fake server, and its types judge what voxd asks of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import WRONG_KEY, vendor
from tests.rig.transports import KEY, open_transport
from tests.servers.openai_transcriptions import MODEL, Transcriptions, complaint
from tests.servers.words import spoken
from voxd.audio.files import encode_flac, wav_bytes
from voxd.frames import Clip
from voxd.providers.pipeline.stages.contract import StageConfig, TranscriptionRequest
from voxd.providers.vendors.openai.stt import OpenAIStt

openai = pytest.importorskip("openai", reason="the extra `conformance` is not installed")

from openai.types.audio import TranscriptionStreamEvent, transcription_create_params  # noqa: E402

from tests.conformance.strict import complaint as judge  # noqa: E402

CLIP = Clip(spoken(SAID), 16_000)


@pytest.fixture
async def house() -> AsyncIterator[Transcriptions]:
    async with vendor(Transcriptions) as house:
        yield house


@pytest.fixture
async def client(house: Transcriptions) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{house.plain.url}/v1", max_retries=0) as client:
        yield client


@pytest.mark.parametrize(("name", "data"), [("a.flac", encode_flac(CLIP)), ("a.wav", wav_bytes(CLIP))])
async def test_the_official_client_transcribes(client: Any, name: str, data: bytes) -> None:
    answer = await client.audio.transcriptions.create(model=MODEL, file=(name, data), language="en")
    assert (answer.text, answer.usage.type, answer.usage.seconds) == (SAID, "duration", 1)


async def test_the_official_client_follows_a_stream(client: Any) -> None:
    file = ("a.flac", encode_flac(CLIP), "audio/flac")
    stream = await client.audio.transcriptions.create(model=MODEL, file=file, stream=True)
    events = [event async for event in stream]
    assert [event.delta for event in events[:-1]] == ["kitchen", " light", " off"]
    assert (events[-1].text, events[-1].usage.total_tokens) == (SAID, 17)
    assert [judge(TranscriptionStreamEvent, event.to_dict()) for event in events] == [""] * len(events)


async def test_the_official_client_is_refused(house: Transcriptions, client: Any) -> None:
    file = ("a.flac", encode_flac(CLIP))
    with pytest.raises(openai.AuthenticationError):
        await client.with_options(api_key=WRONG_KEY).audio.transcriptions.create(model=MODEL, file=file)
    house.script = [complaint(429, "No credit.", "insufficient_quota")]
    with pytest.raises(openai.RateLimitError) as raised:
        await client.audio.transcriptions.create(model=MODEL, file=file)
    assert raised.value.code == "insufficient_quota"


async def test_voxd_sends_the_form_that_the_official_client_sends(house: Transcriptions, client: Any) -> None:
    await client.audio.transcriptions.create(
        model=MODEL,
        file=("utterance.flac", encode_flac(CLIP), "audio/flac"),
        language="en",
        keywords=["Zoë", "voxd"],
        prompt="A device.",
        response_format="json",
        stream=True,
    )
    async with open_transport(f"{house.plain.url}/v1", name="ears", stage="stt") as transport:
        options = {"prompt": "A device.", "stream": True}
        stt = OpenAIStt(StageConfig("ears", "openai", options=options), transport)
        await heard_of(stt, CLIP.pcm, TranscriptionRequest(language="en", hints=("Zoë", "voxd")))
    theirs, ours = house.forms
    assert ours == theirs
    assert house.files[0] == house.files[1]
    known = transcription_create_params.TranscriptionCreateParamsStreaming
    assert {name.removesuffix("[]") for name in ours} <= known.__required_keys__ | known.__optional_keys__
