import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.conformance.gate import realtime_complaints
from tests.providers.vendors.tts_contract import TEXT, Make, TtsContract, clips_of, pcm_of
from tests.rig.transports import RecordedTransport, open_transport
from tests.servers.openai_realtime import (
    KEY,
    TASK,
    RealtimeServer,
    Refusal,
    Reply,
    Script,
    realtime_server,
    tone,
)
from voxd.errors import AuthenticationError, ProviderError, StreamError
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageConfig, TextToSpeech
from voxd.providers.vendors.openai.tts_realtime import OpenAIRealtimeTts

Build = Callable[..., OpenAIRealtimeTts]
Play = Callable[[RealtimeServer], Awaitable[None]]


def sound_of(text: str) -> bytes:
    """What the fake makes of ``text``: a tone in pieces of 20 ms, 10 ms a character."""
    length_ms = max(len(text), 3) * 10
    return b"".join(tone(min(20, length_ms - start_ms)) for start_ms in range(0, length_ms, 20))


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    async with realtime_server(Script(read_aloud=True)) as server:
        yield server
        assert realtime_complaints(server.frames) == []


@pytest.fixture
async def transport(server: RealtimeServer) -> AsyncIterator[RecordedTransport]:
    async with open_transport(server.base_url, KEY, name="den", stage="tts") as transport:
        yield transport


@pytest.fixture
async def build(transport: RecordedTransport) -> AsyncIterator[Build]:
    made: list[OpenAIRealtimeTts] = []

    def build(**config: Any) -> OpenAIRealtimeTts:
        made.append(OpenAIRealtimeTts(StageConfig("den", "openai_realtime", **config), transport))
        return made[-1]

    yield build
    for each in made:
        await each.close()


@pytest.fixture
async def when_asked(server: RealtimeServer) -> AsyncIterator[Callable[[Play], None]]:
    """Lets the server play something instead of the first response."""
    tasks = []

    def plan(play: Play) -> None:
        server.script.deaf_to.add("response.create")

        async def run() -> None:
            await server.received("response.create")
            await play(server)

        tasks.append(asyncio.create_task(run(), name=TASK))

    yield plan
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def garbage(server: RealtimeServer) -> None:
    await server.peer.socket.send("no JSON")


async def some_sound(server: RealtimeServer) -> None:
    at = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    await server.peer.delta(at, 20)
    server.peer.break_off()


class TestOpenAIRealtimeVoice(TtsContract):
    @pytest.fixture
    def make(self, build: Build) -> Make:
        return build

    @pytest.fixture
    async def make_refused(self, server: RealtimeServer) -> AsyncIterator[Make]:
        async with open_transport(
            server.base_url, "sk-wrong-0123456789", name="den", stage="tts"
        ) as transport:
            yield lambda: OpenAIRealtimeTts(StageConfig("den", "openai_realtime"), transport)

    @pytest.fixture
    def make_garbled(self, build: Build, when_asked: Callable[[Play], None]) -> Make:
        return self.faulty(build, lambda: when_asked(garbage))

    @pytest.fixture
    def make_broken(self, build: Build, when_asked: Callable[[Play], None]) -> Make:
        return self.faulty(build, lambda: when_asked(some_sound))

    @pytest.fixture
    def make_mute(self, server: RealtimeServer, build: Build) -> Make:
        return self.faulty(build, lambda: server.script.to_text.update({TEXT: Reply("")}))

    @pytest.fixture
    def make_silent(self, server: RealtimeServer, build: Build) -> Make:
        return self.faulty(build, lambda: server.script.deaf_to.add("response.create"))

    @pytest.fixture
    async def make_unreachable(self, unused_tcp_port: int) -> AsyncIterator[Make]:
        async with open_transport(
            f"ws://127.0.0.1:{unused_tcp_port}", KEY, name="den", stage="tts"
        ) as nobody:
            yield lambda: OpenAIRealtimeTts(StageConfig("den", "openai_realtime"), nobody)

    def faulty(self, build: Build, plan: Callable[[], None]) -> Make:
        def make() -> TextToSpeech:
            # What was said before this stage was made is no concern of its fault.
            self.server.frames.clear()
            plan()
            return build()

        return make

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        return sound_of(text)

    @pytest.fixture(autouse=True)
    def _served(self, server: RealtimeServer) -> None:
        self.server = server

    async def nobody_served(self) -> None:
        await self.server.until(lambda: self.server.open == 0)


async def test_a_text_is_a_response_of_its_own(build: Build, server: RealtimeServer) -> None:
    tts = build(voice="cedar", options={"speed": 1.2, "instructions": "calmly"})
    clips = await clips_of(tts)
    assert {clip.rate_hz for clip in clips} == {24_000}
    session = server.of_type("session.update")[0]["session"]
    assert session["audio"]["output"]["voice"] == "cedar"
    assert session["audio"]["output"]["speed"] == 1.2
    assert session["audio"]["input"]["turn_detection"] is None
    response = server.of_type("response.create")[0]["response"]
    assert (response["conversation"], response["output_modalities"]) == ("none", ["audio"])
    assert response["input"][0]["content"] == [{"type": "input_text", "text": TEXT}]
    assert "calmly" in response["instructions"]
    assert "model=gpt-realtime-2.1-mini" in server.requests[0].path


async def test_a_session_opened_ahead_speaks_the_next_clause(build: Build, server: RealtimeServer) -> None:
    tts = build()
    tts.prepare()
    await server.received("session.update")
    await clips_of(tts)
    assert len(server.connections) == 1


async def test_the_usage_the_vendor_bills_is_reported(build: Build, transport: RecordedTransport) -> None:
    await clips_of(build())
    (note,) = transport.data("provider.note")
    assert note["kind"] == "billed"
    assert note["details"]["output_audio_tokens"] == len(TEXT) * 10 // 50


async def test_words_that_were_not_to_be_read_are_noticed(
    build: Build, server: RealtimeServer, transport: RecordedTransport
) -> None:
    server.script.to_text[TEXT] = Reply("Sure! What kind of tea would you like?")
    await clips_of(build())
    (note,) = [note for note in transport.data("provider.note") if note["kind"] == "reworded"]
    assert 0 <= note["details"]["likeness"] < 90
    assert "tea" not in repr(note)


async def test_a_session_that_does_not_begin_is_not_waited_for_longer_than_the_turn_has(
    build: Build, server: RealtimeServer
) -> None:
    server.script.greet = False
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(ProviderError) as raised:
        await anext(build().synthesize(TEXT, Budget(until_s=began_s + 0.2, retries=0)))
    assert raised.value.code == "timeout"
    assert loop.time() - began_s < 2.0


@pytest.mark.parametrize("said", ["your tea is ready", "Your tea is ready!", " Your  tea is READY. "])
async def test_words_that_sound_the_same_are_the_same(
    build: Build, server: RealtimeServer, transport: RecordedTransport, said: str
) -> None:
    server.script.to_text[TEXT] = Reply(said)
    await clips_of(build())
    assert [note["kind"] for note in transport.data("provider.note")] == ["billed"]


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (
            Reply(status="failed", error={"code": "insufficient_quota", "message": "m"}),
            ProviderError,
            "insufficient_quota",
        ),
        (
            Reply(status="failed", error={"code": "server_error", "message": "m"}),
            ProviderError,
            "server_error",
        ),
        (Reply(status="incomplete"), StreamError, "truncated"),
    ],
)
async def test_a_text_that_was_not_read_to_its_end_is_a_fault(
    build: Build, server: RealtimeServer, reply: Reply, kind: type[ProviderError], code: str
) -> None:
    server.script.to_text[TEXT] = reply
    with pytest.raises(ProviderError) as raised:
        await clips_of(build())
    assert (type(raised.value), raised.value.code) == (kind, code)


async def test_a_complaint_is_a_fault(build: Build, when_asked: Callable[[Play], None]) -> None:
    async def complain(server: RealtimeServer) -> None:
        await server.peer.complain("rate_limit_exceeded", "slow down")

    when_asked(complain)
    with pytest.raises(ProviderError) as raised:
        await clips_of(build())
    assert raised.value.code == "rate_limited"


async def test_an_unknown_voice_is_reported(build: Build, server: RealtimeServer) -> None:
    server.script.refuse_update = "invalid_value"
    with pytest.raises(ProviderError) as raised:
        await clips_of(build(voice="nobody"))
    assert raised.value.code == "invalid_value"


async def test_a_wrong_key_fails_the_check(server: RealtimeServer, build: Build) -> None:
    server.script.refusal = Refusal(401, {"error": {"code": "invalid_api_key", "message": "no"}})
    with pytest.raises(AuthenticationError):
        await build().check(Budget(retries=0))


async def test_a_session_that_breaks_before_any_sound_is_replaced(
    build: Build, server: RealtimeServer, when_asked: Callable[[Play], None]
) -> None:
    async def break_off(server: RealtimeServer) -> None:
        server.script.deaf_to.clear()
        server.peer.break_off()

    when_asked(break_off)
    assert pcm_of(await clips_of(build(), retries=1)) == sound_of(TEXT)
    assert len(server.connections) == 2


def test_what_a_text_costs_is_estimated_in_tokens(build: Build) -> None:
    spent = build().bill("a" * 140)
    assert spent.characters == 0
    assert spent.output_audio_tokens == 200
    assert spent.output_text_tokens == 35
    assert spent.input_text_tokens > 35
