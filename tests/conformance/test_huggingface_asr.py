"""Hugging Face's own client recognises with our fake server, and voxd sends what it sends."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.providers.vendors.stt_contract import SAID, heard_of
from tests.providers.vendors.stt_uploads import WRONG_KEY, vendor
from tests.rig.transports import KEY, open_transport
from tests.servers.huggingface_asr import ROUTER, HuggingFaceServer
from tests.servers.words import spoken
from voxd.audio.files import encode_flac
from voxd.frames import Clip
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.huggingface.stt import HuggingFaceStt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    hub = pytest.importorskip("huggingface_hub", reason="the extra `conformance` is not installed")

MODEL = "openai/whisper-large-v3"
CLIP = Clip(spoken(SAID), 16_000)


@pytest.fixture
async def house() -> AsyncIterator[HuggingFaceServer]:
    async with vendor(HuggingFaceServer) as house:
        yield house


async def recognise(house: HuggingFaceServer, key: str) -> Any:
    """Ask by the vendor's client, which blocks."""

    def ask() -> Any:
        with hub.InferenceClient(token=key, timeout=5, headers={"Content-Type": "audio/flac"}) as client:
            url = f"{house.plain.url}{ROUTER}/models/{MODEL}"
            return client.automatic_speech_recognition(encode_flac(CLIP), model=url)

    return await asyncio.to_thread(ask)


async def test_the_vendors_client_recognises(house: HuggingFaceServer) -> None:
    assert (await recognise(house, KEY)).text.strip() == SAID


async def test_the_vendors_client_is_refused_with_a_wrong_key(house: HuggingFaceServer) -> None:
    with pytest.raises(Exception, match="401"):
        await recognise(house, WRONG_KEY)


async def test_voxd_sends_what_the_vendors_client_sends(house: HuggingFaceServer) -> None:
    await recognise(house, KEY)
    async with open_transport(f"{house.plain.url}{ROUTER}", name="ears", stage="stt") as transport:
        await heard_of(HuggingFaceStt(StageConfig("ears", "huggingface"), transport), CLIP.pcm)
    theirs, ours = house.plain.requests
    assert (ours.method, ours.target, ours.body) == (theirs.method, theirs.target, theirs.body)
    names = ("authorization", "content-type", "content-length")
    assert [ours.headers[name] for name in names] == [theirs.headers[name] for name in names]
