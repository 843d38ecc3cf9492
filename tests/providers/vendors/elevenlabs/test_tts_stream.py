import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from tests.providers.vendors.tts_contract import (
    TEXT,
    Make,
    TtsContract,
    clips_of,
    heard_until_it_breaks,
    pcm_of,
)
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.elevenlabs_stream import (
    StreamInput,
    complaint,
    cut,
    hang_up,
    mute,
    say,
    silent,
    stream_input,
)
from tests.servers.elevenlabs_voice import ElevenLabsVoice
from tests.servers.voices import KEY, served, sound_of
from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited, StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages import tts_pace as pace
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech
from voxd.providers.vendors.elevenlabs.tts_stream import ElevenLabsStreamTts

WRONG_KEY = "sk-voice-wrong-0123456789"


class Vendor(StreamInput):
    """The socket, and the REST server that reports the account, at one address."""


@pytest.fixture
async def server() -> AsyncIterator[StreamInput]:
    async with stream_input() as server:
        yield server
        assert server.violations == []


@pytest.fixture
async def transport(server: StreamInput) -> AsyncIterator[RecordedTransport]:
    async with open_transport(server.url, KEY, name="den", stage="tts") as transport:
        yield transport


Build = Callable[..., ElevenLabsStreamTts]


@pytest.fixture
async def build(transport: RecordedTransport) -> AsyncIterator[Build]:
    made: list[ElevenLabsStreamTts] = []

    def build(**config: Any) -> ElevenLabsStreamTts:
        made.append(ElevenLabsStreamTts(StageConfig("den", "elevenlabs_stream", **config), transport))
        return made[-1]

    yield build
    for each in made:
        await each.close()


class TestElevenLabsStream(TtsContract):
    @pytest.fixture
    def make(self, build: Build) -> Make:
        return build

    def faulty(self, server: StreamInput, build: Build, fault: Any) -> Make:
        def make() -> TextToSpeech:
            server.faults.append(fault)
            return build()

        return make

    @pytest.fixture
    async def make_refused(self) -> AsyncIterator[Make]:
        async with served(ElevenLabsVoice) as rest, stream_input() as server:
            server.refuse_by_http = True

            class Both(ElevenLabsStreamTts):
                """Requests the account at the address that serves it."""

                async def check(self, budget: Budget) -> None:
                    async with open_transport(rest.url, WRONG_KEY, name="den", stage="tts") as transport:
                        await ElevenLabsStreamTts(self.config, transport).check(budget)

            async with open_transport(server.url, WRONG_KEY, name="den", stage="tts") as transport:
                yield lambda: Both(StageConfig("den", "elevenlabs_stream"), transport)

    @pytest.fixture
    def make_garbled(self, server: StreamInput, build: Build) -> Make:
        return self.faulty(server, build, say("no JSON"))

    @pytest.fixture
    def make_broken(self, server: StreamInput, build: Build) -> Make:
        return self.faulty(server, build, cut(after_bytes=401))

    @pytest.fixture
    def make_mute(self, server: StreamInput, build: Build) -> Make:
        return self.faulty(server, build, mute)

    @pytest.fixture
    def make_silent(self, server: StreamInput, build: Build) -> Make:
        return self.faulty(server, build, silent)

    @pytest.fixture
    async def make_unreachable(self, unused_tcp_port: int) -> AsyncIterator[Make]:
        async with open_transport(
            f"ws://127.0.0.1:{unused_tcp_port}", KEY, name="den", stage="tts"
        ) as nobody:
            yield lambda: ElevenLabsStreamTts(StageConfig("den", "elevenlabs_stream"), nobody)

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text, 24_000, tts.voice)

    @pytest.fixture(autouse=True)
    def _served(self, server: StreamInput) -> None:
        self.server = server

    async def nobody_served(self) -> None:
        await self.server.until(lambda: self.server.open == 0)

    async def test_the_check_reports_whether_the_vendor_is_usable(self, tts: TextToSpeech) -> None:
        """The account is asked by HTTP, which is another server here."""
        async with served(ElevenLabsVoice) as rest:
            url = rest.url.replace("http://", "ws://")
            async with open_transport(url, KEY, name="den", stage="tts") as transport:
                await ElevenLabsStreamTts(tts.config, transport).check(Budget(retries=0))


async def test_the_first_message_carries_the_settings(build: Build, server: StreamInput) -> None:
    options = {
        "style": 0.3,
        "speed": 1.1,
        "seed": 7,
        "apply_text_normalization": "off",
        "sample_rate_hz": 16_000,
    }
    clips = await clips_of(build(voice="a/b", language="de", options=options), "  Guten Tag. ")
    (peer,) = server.peers
    assert peer.voice == "a/b"
    assert peer.query == {
        "model_id": "eleven_flash_v2_5",
        "output_format": "pcm_16000",
        "auto_mode": "true",
        "inactivity_timeout": "60",
        "language_code": "de",
        "apply_text_normalization": "off",
        "seed": "7",
    }
    settings = {"stability": 0.5, "similarity_boost": 0.75, "style": 0.3, "speed": 1.1}
    assert peer.frames == [{"text": " ", "voice_settings": settings}, {"text": "Guten Tag. "}, {"text": ""}]
    assert {clip.rate_hz for clip in clips} == {16_000}


async def test_a_socket_opened_ahead_speaks_the_next_clause(build: Build, server: StreamInput) -> None:
    tts = build()
    tts.prepare()
    await server.until(lambda: bool(server.peers and server.peers[0].frames))
    tts.prepare()
    await clips_of(tts)
    assert len(server.peers) == 1
    await clips_of(tts)
    assert len(server.peers) == 2


async def test_a_socket_opened_ahead_that_is_gone_costs_nothing(build: Build, server: StreamInput) -> None:
    tts = build()
    tts.prepare()
    await server.until(lambda: bool(server.peers and server.peers[0].frames))
    server.peers[0].socket.transport.abort()
    await server.until(lambda: server.open == 0)
    assert pcm_of(await clips_of(tts)) == sound_of(TEXT, 24_000, tts.voice)


async def test_an_unused_socket_is_closed(
    build: Build, server: StreamInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ElevenLabsStreamTts, "spare_s", 0.02)
    tts = build()
    tts.prepare()
    await server.until(lambda: bool(server.peers) and server.open == 0)
    async with asyncio.timeout(5):
        while len(server.peers) < 2:
            tts.prepare()
            await asyncio.sleep(0)


async def test_an_unreachable_vendor_at_an_early_connection_is_not_yet_a_fault(
    unused_tcp_port: int,
) -> None:
    async with open_transport(f"ws://127.0.0.1:{unused_tcp_port}", KEY, name="den", stage="tts") as transport:
        tts = ElevenLabsStreamTts(StageConfig("den", "elevenlabs_stream"), transport)
        tts.prepare()
        with pytest.raises(ConnectionFailed):
            await clips_of(tts)
        tts.prepare()
        await tts.close()


async def test_an_unexpected_exception_while_preparing_is_logged(
    build: Build, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise RuntimeError("a mistake")

    tts = build()
    monkeypatch.setattr(tts, "_address", mistaken)
    tts.prepare()
    await asyncio.sleep(0)
    await tts.close()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "RuntimeError" in record.getMessage()


async def test_what_breaks_off_before_any_sound_is_spoken_on_a_new_socket(
    build: Build, server: StreamInput, transport: RecordedTransport
) -> None:
    server.faults.append(cut())
    tts = build()
    assert pcm_of(await clips_of(tts, retries=1)) == sound_of(TEXT, 24_000, tts.voice)
    (note,) = transport.data("provider.note")
    assert note["kind"] == "speech_again"


async def test_what_breaks_off_after_some_sound_is_not_spoken_again(
    build: Build, server: StreamInput
) -> None:
    server.faults.append(cut(after_bytes=1000))
    tts = build()
    heard: list[Clip] = []
    with pytest.raises(ConnectionFailed):
        await heard_until_it_breaks(tts, heard, retries=2)
    assert pcm_of(heard) == sound_of(TEXT, 24_000, tts.voice)[:1000]
    assert len(server.peers) == 1


async def test_a_server_may_hang_up_without_a_last_word(build: Build, server: StreamInput) -> None:
    whole = sound_of(TEXT, 24_000, build().voice)
    server.faults.append(hang_up(after_bytes=len(whole), code=1000))
    assert pcm_of(await clips_of(build())) == whole


@pytest.mark.parametrize("code", [1000, 1011])
async def test_a_close_without_sound_is_not_an_answer(build: Build, server: StreamInput, code: int) -> None:
    server.faults.append(hang_up(code=code))
    with pytest.raises(ConnectionFailed):
        await clips_of(build())


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (complaint("quota_exceeded"), ProviderError, "insufficient_quota"),
        (complaint("invalid_api_key"), AuthenticationError, "invalid_api_key"),
        (complaint("too_many_concurrent_requests"), RateLimited, "too_many_concurrent"),
        (complaint("input_timeout_exceeded", "Input timeout exceeded"), StreamError, "stream_failed"),
        (
            hang_up(code=1008, reason="quota_exceeded: no characters left"),
            ProviderError,
            "insufficient_quota",
        ),
        (hang_up(after_bytes=101, code=1008, reason="system_busy"), ConnectionFailed, "overloaded"),
        (say('{"error": {"code": 1008, "status": "system_busy"}}'), ConnectionFailed, "overloaded"),
        (say('{"audio": 7}'), StreamError, "bad_frame"),
        (say('{"audio": "%%%"}'), StreamError, "bad_frame"),
        (say("[" * 5000), StreamError, "bad_frame"),
    ],
)
async def test_each_error_of_the_vendor_is_distinct(
    build: Build, server: StreamInput, fault: Any, kind: type[ProviderError], code: str
) -> None:
    server.faults.append(fault)
    with pytest.raises(ProviderError) as raised:
        await clips_of(build())
    assert (type(raised.value), raised.value.code) == (kind, code)


async def test_a_wrong_key_may_be_reported_in_a_frame(server: StreamInput) -> None:
    async with open_transport(server.url, WRONG_KEY, name="den", stage="tts") as transport:
        with pytest.raises(AuthenticationError):
            await clips_of(ElevenLabsStreamTts(StageConfig("den", "elevenlabs_stream"), transport))


async def test_a_vendor_that_stops_in_the_middle_is_not_waited_for(
    build: Build, server: StreamInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GRACE_S", 0.05)

    async def stop(peer: Any, pcm: bytes) -> None:
        await peer.sound(pcm[:320])
        await peer.socket.wait_closed()

    server.faults.append(stop)
    with pytest.raises(StreamError) as raised:
        await clips_of(build())
    assert raised.value.code == "too_slow"


async def test_giving_up_closes_the_socket(build: Build, server: StreamInput) -> None:
    async with asyncio.timeout(5), aclosing(build().synthesize(TEXT * 20, Budget())) as clips:
        await anext(clips)
    await server.until(lambda: server.open == 0)
    # A polite end would wait until the vendor has said everything.
    assert server.peers[0].socket.close_code == 1006


def test_what_it_sends_is_json(build: Build) -> None:
    assert json.loads(json.dumps(build().variant))
