"""The official Deepgram client speaks with our fake of Aura, and asks it for the same as voxd does."""

import json
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.rig.transports import open_transport
from tests.servers.aura import Aura as Server
from tests.servers.voices import KEY, query_of, served, sound_of
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.deepgram.tts import DeepgramTts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("deepgram", reason="the extra `conformance` is not installed")
    from deepgram import AsyncDeepgramClient
    from deepgram.core.api_error import ApiError
    from deepgram.environment import DeepgramClientEnvironment

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""The client uses what its own libraries advise against."""

TEXT = "Your tea is ready."


@asynccontextmanager
async def client_of(url: str, key: str = KEY) -> AsyncIterator[AsyncDeepgramClient]:
    """A client that closes what it opened, which it does not by itself."""
    socket = url.replace("http://", "ws://")
    environment = DeepgramClientEnvironment(base=url, production=socket, agent=socket, agent_rest=url)
    async with httpx.AsyncClient() as http:
        yield AsyncDeepgramClient(api_key=key, environment=environment, httpx_client=http)


async def test_voxd_sends_the_same_request_as_the_official_client() -> None:
    async with (
        served(Server) as server,
        open_transport(server.url, KEY) as transport,
        client_of(server.url) as client,
    ):
        pieces = client.speak.v1.audio.generate(
            text=TEXT,
            model="aura-2-thalia-en",
            encoding="linear16",
            sample_rate=24_000,
            container="none",
            speed=0.9,
        )
        theirs = b"".join([piece async for piece in pieces])
        tts = DeepgramTts(StageConfig("den", "deepgram", options={"speed": 0.9}), transport)
        ours = b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget())])
        first, second = server.spoken
        assert theirs == ours == sound_of(TEXT, 24_000, "aura-2-thalia-en")
        assert (second.method, second.target.partition("?")[0]) == (
            first.method,
            first.target.partition("?")[0],
        )
        assert query_of(second) == query_of(first)
        assert json.loads(second.body) == json.loads(first.body)
        assert second.headers["authorization"] == first.headers["authorization"]


async def test_the_question_that_costs_nothing_is_one_of_the_official_client() -> None:
    async with (
        served(Server) as server,
        open_transport(server.url, KEY) as transport,
        client_of(server.url) as client,
    ):
        assert (await client.manage.v1.projects.list()).projects
        await DeepgramTts(StageConfig("den", "deepgram"), transport).check(Budget())
        first, second = server.plain.requests
        assert (second.method, second.target) == (first.method, first.target)


async def test_the_official_client_is_refused_with_a_wrong_key() -> None:
    async with served(Server) as server, client_of(server.url, "wrong") as client:
        with pytest.raises(ApiError) as raised:
            async for _ in client.speak.v1.audio.generate(text=TEXT):
                pass
        assert raised.value.status_code == 401
