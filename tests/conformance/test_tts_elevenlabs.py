"""The official ElevenLabs client speaks with our fakes, and asks them for the same as voxd does."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.rig.transports import open_transport
from tests.servers.elevenlabs_stream import complaint, stream_input
from tests.servers.elevenlabs_voice import ElevenLabsVoice, refusal
from tests.servers.plain_http import Asked
from tests.servers.voices import KEY, query_of, served, sound_of
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.elevenlabs.tts import ElevenLabsTts
from voxd.providers.vendors.elevenlabs.tts_stream import ElevenLabsStreamTts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("elevenlabs", reason="the extra `conformance` is not installed")
    from elevenlabs import ElevenLabs as Official
    from elevenlabs import types
    from elevenlabs.client import AsyncElevenLabs
    from elevenlabs.core.api_error import ApiError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""The client uses what its own libraries advise against."""

TEXT = "Your tea is ready."
SETTINGS: dict[str, Any] = {
    "stability": 0.4,
    "similarity_boost": 0.6,
    "style": 0.1,
    "use_speaker_boost": True,
    "speed": 1.1,
}


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[AsyncElevenLabs]:
    """A client that closes what it opened, which it does not by itself."""
    async with httpx.AsyncClient() as http:
        yield AsyncElevenLabs(api_key=KEY, base_url=url, httpx_client=http)


def asked(request: Asked) -> tuple[str, str, dict[str, str], Any]:
    return request.method, request.target.partition("?")[0], query_of(request), json.loads(request.body)


async def test_the_official_client_is_spoken_to_by_the_fake() -> None:
    async with served(ElevenLabsVoice) as server, client_of(server.url) as client:
        sound = client.text_to_speech.stream("amy", text=TEXT, output_format="pcm_16000", seed=7)
        assert b"".join([piece async for piece in sound]) == sound_of(TEXT, 16_000, ("amy", 7))
        account = await client.user.subscription.get()
        assert account.character_limit == 10_000
        assert server.violations == []


async def test_voxd_sends_the_same_request_as_the_official_client() -> None:
    async with (
        served(ElevenLabsVoice) as server,
        open_transport(server.url, KEY) as transport,
        client_of(server.url) as client,
    ):
        sound = client.text_to_speech.stream(
            "amy",
            text=TEXT,
            output_format="pcm_24000",
            model_id="eleven_flash_v2_5",
            language_code="en",
            voice_settings=types.VoiceSettings(**SETTINGS),
            seed=7,
            previous_text="Hello.",
            apply_text_normalization="on",
        )
        theirs = b"".join([piece async for piece in sound])
        options = {**SETTINGS, "seed": 7, "apply_text_normalization": "on"}
        tts = ElevenLabsTts(
            StageConfig("den", "elevenlabs", voice="amy", language="en-GB", options=options), transport
        )
        ours = b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget(), previous="Hello.")])
        first, second = server.spoken
        assert asked(second) == asked(first)
        assert ours == theirs
        assert second.headers["xi-api-key"] == first.headers["xi-api-key"]


@pytest.mark.parametrize(("status", "http"), [("quota_exceeded", 401), ("too_many_concurrent_requests", 429)])
async def test_the_official_client_is_refused_as_voxd_is(status: str, http: int) -> None:
    async with served(ElevenLabsVoice) as server, client_of(server.url) as client:
        server.faults.append(refusal(status, http))
        with pytest.raises(ApiError) as raised:
            async for _ in client.text_to_speech.stream("amy", text=TEXT, request_options={"max_retries": 0}):
                pass
        assert raised.value.status_code == http
        assert raised.value.body["detail"]["status"] == status


def spoken_live(url: str) -> bytes:
    """Have `TEXT` spoken by the client's stream-input, which is not a coroutine."""
    client = Official(api_key=KEY, base_url="http://127.0.0.1:9")
    client.text_to_speech._ws_base_url = url

    def words() -> Iterator[str]:
        yield from TEXT.split(" ")

    pieces = client.text_to_speech.convert_realtime(
        "amy",
        text=(f"{word} " for word in words()),
        model_id="eleven_flash_v2_5",
        output_format="pcm_16000",
        voice_settings=types.VoiceSettings(stability=0.5),
    )
    return b"".join(pieces)


async def test_the_official_client_is_spoken_to_on_a_socket() -> None:
    async with stream_input() as server:
        sound = await asyncio.to_thread(spoken_live, server.url)
        text = "".join(frame["text"] for frame in server.peers[0].frames).strip()
        assert sound == sound_of(text, 16_000, "amy")
        assert text.split() == TEXT.split()
        assert server.violations == []


async def test_the_official_client_takes_a_complaint_for_an_error() -> None:
    async with stream_input() as server:
        server.faults.append(complaint("quota_exceeded"))
        with pytest.raises(ApiError) as raised:
            await asyncio.to_thread(spoken_live, server.url)
        assert raised.value.body["error"] == "quota_exceeded"


async def test_every_frame_of_voxd_is_one_of_the_official_types() -> None:
    async with stream_input() as server, open_transport(server.url, KEY) as transport:
        config = StageConfig("den", "elevenlabs_stream", voice="amy", language="en", options=SETTINGS)
        tts = ElevenLabsStreamTts(config, transport)
        assert [clip async for clip in tts.synthesize(TEXT, Budget())]
        (peer,) = server.peers
        kinds = (types.InitializeConnection, types.SendText, types.CloseConnection)
        assert len(peer.frames) == len(kinds)
        for frame, kind in zip(peer.frames, kinds, strict=True):
            found = kind.model_validate(frame)
            assert not found.model_extra
            for part in (getattr(found, "voice_settings", None),):
                assert part is None or not part.model_extra
        known = {"model_id", "output_format", "auto_mode", "inactivity_timeout", "language_code"}
        assert set(peer.query) == known
