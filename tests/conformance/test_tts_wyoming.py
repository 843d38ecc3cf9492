"""The package `wyoming` is the server of our voice, and the client of our fake."""

import asyncio
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.server import AsyncEventHandler, AsyncServer
from wyoming.tts import Synthesize, SynthesizeVoice

from tests.rig.transports import open_transport
from tests.servers.voices import sound_of
from tests.servers.wyoming_tts import RATE_HZ, wyoming_tts
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig
from voxd.providers.vendors.wyoming.tts import WyomingTts

TEXT = "Grüße & <tea>"
_BY = Attribution("somebody", "https://example.com")
_VOICE = TtsVoice(
    name="amy",
    attribution=_BY,
    installed=True,
    description=None,
    version=None,
    languages=["en"],
    speakers=None,
)
INFO = Info(
    tts=[
        TtsProgram(
            name="mouth", attribution=_BY, installed=True, description=None, version=None, voices=[_VOICE]
        )
    ]
)


class Mouth(AsyncEventHandler):
    """Speaks as the package's own servers do."""

    asked: list[Synthesize]

    def __init__(self, asked: list[Synthesize], *streams: Any) -> None:
        super().__init__(*streams)
        self.asked = asked

    async def handle_event(self, event: Event) -> bool:
        if Describe.is_type(event.type):
            await self.write_event(INFO.event())
        if Synthesize.is_type(event.type):
            self.asked.append(Synthesize.from_event(event))
            pcm = sound_of(self.asked[-1].text, RATE_HZ)
            await self.write_event(AudioStart(RATE_HZ, 2, 1).event())
            for at in range(0, len(pcm), 333):
                await self.write_event(AudioChunk(RATE_HZ, 2, 1, pcm[at : at + 333]).event())
            await self.write_event(AudioStop().event())
        return True


async def test_a_server_of_the_package_synthesizes_for_voxd(unused_tcp_port: int) -> None:
    asked: list[Synthesize] = []
    uri = f"tcp://127.0.0.1:{unused_tcp_port}"
    server = AsyncServer.from_uri(uri)
    await server.start(lambda *streams: Mouth(asked, *streams))
    try:
        async with open_transport(uri, "") as transport:
            config = StageConfig("den", "wyoming", voice="amy", options={"speaker": "2"})
            tts = WyomingTts(config, transport)
            await tts.check(Budget())
            assert b"".join([clip.pcm async for clip in tts.synthesize(TEXT, Budget())]) == sound_of(
                TEXT, RATE_HZ
            )
    finally:
        await server.stop()
    assert asked == [Synthesize(TEXT, voice=SynthesizeVoice(name="amy", speaker="2"))]


async def test_a_client_of_the_package_is_spoken_to_by_the_fake() -> None:
    async with wyoming_tts() as server, asyncio.timeout(5), AsyncClient.from_uri(server.url) as client:
        await client.write_event(Describe().event())
        event = await client.read_event()
        assert event is not None
        info = Info.from_event(event)
        assert info.tts[0].voices[0].name == "amy"
        await client.write_event(Synthesize(TEXT, voice=SynthesizeVoice(name="amy")).event())
        sound = b""
        while (event := await client.read_event()) and not AudioStop.is_type(event.type):
            if AudioChunk.is_type(event.type):
                chunk = AudioChunk.from_event(event)
                assert (chunk.rate, chunk.width, chunk.channels) == (RATE_HZ, 2, 1)
                sound += chunk.audio
        assert sound == sound_of(TEXT, RATE_HZ, "amy")
