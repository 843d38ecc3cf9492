"""A network that comes and goes two hundred times: each utterance is answered, kept or explained, once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.contract import tone
from tests.providers.vendor_servers import SOON
from tests.servers.flapping import Flapping, Way, flapping
from tests.servers.openai_realtime import KEY, Reply, Script, realtime_server
from voxd.clock import SystemClock
from voxd.config import provider_schema, schema
from voxd.errors import NotUnderstood, ProviderError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.net.websocket import Deadlines
from voxd.providers.contract import ReplyAudio, ReplyEnd, ReplyText, Request, Transcript
from voxd.providers.contract import ReplyItem as Item
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.providers.vendors.openai.realtime import OpenAIProvider

FLAPS = 200
CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)
MOMENTS = ("before", "speaking", "ending", "replying", "never")
DEADLINES = replace(SOON, open_s=0.2)
TURN_S = 4.0
"""What a user may have to wait for an answer or a reason."""


def frames(number: int) -> list[Frame]:
    """An utterance that is like no other."""
    sound = tone(100, SAMPLE_RATE_HZ)
    marked = number.to_bytes(2, "little") + sound[2:]
    return [Frame(0, marked), *(Frame(at, sound) for at in range(1600, 4 * 1600, 1600))]


class Local:
    """The device itself: it knows every other utterance."""

    name = "local"

    def __init__(self) -> None:
        self.answered: list[int] = []
        self.begun = asyncio.Event()

    def prepare(self) -> None:
        """It is ready."""

    async def converse(self, request: Request) -> AsyncGenerator[Item]:
        assert request.audio is not None
        self.begun.set()
        heard = b"".join([frame.pcm async for frame in request.audio])
        number = int.from_bytes(heard[:2], "little")
        yield Transcript("", True, "local")
        if request.known_only and number % 2:
            raise NotUnderstood("beyond me")
        self.answered.append(number)
        yield ReplyText("It is noon.")
        yield ReplyAudio(CLIP)
        yield ReplyEnd()

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        yield CLIP

    async def close(self) -> None:
        """It is everybody's."""


class House:
    def __init__(self, proxy: Flapping, deadlines: Deadlines, first_audio_timeout_s: float = 0.2) -> None:
        self.proxy, self._deadlines = proxy, deadlines
        self.emit, self.local = RecordingEmit(), Local()
        self.kept: list[tuple[int, Clip]] = []
        # Probes keep to the rule of the clock that stands still; a turn is counted in real time.
        self.clock = FakeClock()
        self.health = CircuitBreaker(emit=self.emit, clock=self.clock)
        self.live = RealtimeProvider(
            RealtimeConfig(
                "cloud",
                "openai",
                self._provider,
                SessionConfig(),
                first_audio_timeout_s=first_audio_timeout_s,
            ),
            tools=ToolBox(),
            emit=self.emit,
            clock=SystemClock(),
            speak=self.local.speak,
            failed=self.health.record_failure,
        )
        self.health.set_probe("cloud", self._probe)
        self.both = FailoverProvider(
            [self.live, self.local],
            self.local,
            health=self.health,
            spend=SpendGuard(schema.Config(), emit=self.emit, clock=self.clock),
            emit=self.emit,
            clock=SystemClock(),
            keep=self._keep,
        )

    def _provider(self) -> OpenAIProvider:
        url = f"ws://127.0.0.1:{self.proxy.port}/v1/realtime"
        return OpenAIProvider({"api_key": KEY, "endpoint": url}, self._deadlines)

    async def _probe(self) -> None:
        provider = self._provider()
        await provider.connect()
        await provider.disconnect()

    async def _keep(self, agent: str, clip: Clip | None, text: str) -> bool:
        assert clip is not None
        self.kept.append((int.from_bytes(clip.pcm[:2], "little"), clip))
        return True

    async def ask(self, number: int, way: Way, moment: str) -> str:
        """Ask, with the network taking ``way`` at ``moment``; returns what came of it."""

        async def utterance() -> AsyncIterator[Frame]:
            for index, frame in enumerate(frames(number)):
                if moment == "speaking" and index == 2:
                    await self.proxy.take(way)
                yield frame
            if moment == "ending":
                await self.proxy.take(way)

        if moment == "before":
            await self.proxy.take(way)
        said, heard = "", False
        request = Request(f"t{number}", "default", audio=utterance())
        try:
            async with asyncio.timeout(TURN_S), aclosing(self.both.converse(request)) as replies:
                async for item in replies:
                    if isinstance(item, ReplyText):
                        said += item.text
                    elif isinstance(item, ReplyAudio):
                        if moment == "replying" and not heard:
                            await self.proxy.take(way)
                        heard = True
        except ProviderError:
            return "broken" if heard else "lost"
        return "silence" if not heard else _meaning(said)

    async def recover(self) -> None:
        """Let the network come back, and have that noticed."""
        await self.proxy.take(Way.OPEN)
        async with asyncio.timeout(TURN_S):
            while not self.health.is_healthy("cloud"):
                await self.clock.advance(61.0)
                await asyncio.sleep(0)


def _meaning(said: str) -> str:
    if "kept your question" in said:
        return "kept"
    return "device" if "It is noon." in said else "cloud"


@pytest.mark.parametrize("seed", [1])
async def test_every_utterance_is_answered_kept_or_explained_exactly_once(seed: int) -> None:
    chance = random.Random(seed)
    outcomes: dict[int, str] = {}
    before = asyncio.all_tasks()
    reply = Reply("Hello there.", sound_ms=60, delta_ms=20)
    async with realtime_server(Script(replies=[reply])) as server, flapping(server.port) as proxy:
        house = House(proxy, DEADLINES)
        for number in range(FLAPS):
            way, moment = chance.choice((Way.REFUSE, Way.RESET, Way.BLACKHOLE)), chance.choice(MOMENTS)
            outcomes[number] = await house.ask(number, way, moment)
            if chance.random() < 0.8:
                await house.recover()
        for number in range(FLAPS, FLAPS + 3):
            # The loss of a session may be noticed only when it is used.
            await house.recover()
            outcomes[number] = await house.ask(number, Way.OPEN, "never")
        await house.health.close()
        await house.both.close()
    kinds = Counter(outcomes.values())
    assert kinds["lost"] == kinds["silence"] == 0, kinds
    assert min(kinds[kind] for kind in ("cloud", "device", "kept")) > 20, "a test of all ways"
    assert outcomes[FLAPS + 2] == "cloud", "and then the cloud answers again"
    assert [number for number, _ in house.kept] == [n for n, kind in outcomes.items() if kind == "kept"]
    assert house.local.answered == [n for n, kind in outcomes.items() if kind == "device"]
    for number, clip in house.kept:
        assert clip.pcm == b"".join(frame.pcm for frame in frames(number)), "kept whole"
    types = Counter(house.emit.types())
    assert types["provider.failed"] == types["provider.restored"], "each outage told once, and its end"
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}


async def test_a_half_open_link_is_noticed_within_three_seconds_while_the_user_still_speaks() -> None:
    """With the deadlines of the device (reliability.md, R10)."""
    loop, struck = asyncio.get_running_loop(), 0.0
    async with realtime_server(Script()) as server, flapping(server.port) as proxy:
        house = House(proxy, Deadlines())

        async def utterance() -> AsyncIterator[Frame]:
            nonlocal struck
            for frame in frames(2)[:2]:
                yield frame
            await server.received("input_audio_buffer.append")
            await proxy.take(Way.BLACKHOLE)
            struck = loop.time()
            await house.local.begun.wait()
            for frame in frames(2)[2:]:
                yield frame

        request = Request("t1", "default", audio=utterance())
        async with asyncio.timeout(10.0), aclosing(house.both.converse(request)) as replies:
            said = [item async for item in replies]
            took_s = loop.time() - struck
        await house.health.close()
        await house.both.close()
    assert ReplyText("It is noon.") in said
    failed = next(data for type, data in house.emit.events if type == "provider.failed")
    assert failed["code"] == "half_open"
    assert 1.0 < took_s < 5.0, "three seconds, and a busy machine"


async def test_the_device_begins_two_seconds_after_the_question_when_nothing_comes() -> None:
    """With the time a provider has when nobody says otherwise (reliability.md, R11)."""
    loop, asked = asyncio.get_running_loop(), 0.0
    script = Script(deaf_to={"response.create"})
    async with realtime_server(script) as server, flapping(server.port) as proxy:
        limit_s = provider_schema.ProviderConfig(kind="openai").first_audio_timeout_s
        house = House(proxy, Deadlines(), limit_s)

        async def utterance() -> AsyncIterator[Frame]:
            nonlocal asked
            for frame in frames(2):
                yield frame
            asked = loop.time()

        request = Request("t1", "default", audio=utterance())
        async with asyncio.timeout(10.0), aclosing(house.both.converse(request)) as replies:
            asking = asyncio.create_task(_all(replies))
            await house.local.begun.wait()
            took_s = loop.time() - asked
            said = await asking
        await house.health.close()
        await house.both.close()
    assert ReplyText("It is noon.") in said
    assert 1.9 < took_s < 4.0, "two seconds, and a busy machine"


async def _all(replies: AsyncGenerator[Item]) -> list[Item]:
    return [item async for item in replies]
