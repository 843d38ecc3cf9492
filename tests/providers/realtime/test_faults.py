"""Every fault a vendor can play, through a session and through a turn: event, code, words, and no trace.

The table is the list of issue 3, "Proof". Each fault is played twice more than in the tests of the vendors:
on a `Session`, for the event it tells, and on the device's own stack, for what the user hears.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.fakes import settle
from tests.providers.contract import tone
from tests.providers.realtime.listener import EventLog
from tests.providers.vendor_servers import PCM, Gemini, OpenAi, Vendor, our_tasks, sockets_to, vendor
from tests.servers import gemini_live
from tests.servers.dripping import drip
from tests.servers.gemini_steps import END, Close, Until, said, sound
from tests.servers.openai_realtime import Refusal, Reply
from voxd.clock import SystemClock
from voxd.config import schema
from voxd.errors import ProviderError
from voxd.events import EventType as E
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.net.websocket import MAX_FRAME_BYTES
from voxd.providers.contract import PlaybackResult, ReplyAudio, ReplyEnd, ReplyText, Request, Transcript
from voxd.providers.contract import ReplyItem as Item
from voxd.providers.events import publish_to
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.realtime.session import Session
from voxd.providers.routing.announcements import announce_failover
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox
from voxd.turn.spoken_errors import UNKNOWN_REASON, spoken_error

DEADLINE_S = 3.0
"""Within this every turn has ended; the deadlines of the providers here are a tenth of a second or three."""

CLIP = Clip(bytes(320), SAMPLE_RATE_HZ)
ANSWER: list[Item] = [
    Transcript("time", True, "local"),
    ReplyText("It is noon."),
    ReplyAudio(CLIP),
    ReplyEnd(),
]
UTTERANCE = [Frame(at, tone(100, SAMPLE_RATE_HZ)) for at in range(0, 5 * 1600, 1600)]

Play = Callable[[ServerConnection], Awaitable[None]]


@dataclass(frozen=True)
class Opening:
    """A fault that keeps a session from beginning: ``arrange`` tells the fake."""

    name: str
    vendor: str
    code: str
    arrange: Callable[[Any], object]
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Break:
    """A fault that ends a session in the middle of a question or of its answer: ``play`` does it."""

    name: str
    vendor: str
    code: str
    play: Play
    told: E = E.CONNECTION_LOST


# --- the table --------------------------------------------------------------------------------------


def refuse(status: int, body: Any = "", **headers: str) -> Callable[[Any], None]:
    """Answer with an HTTP status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def arrange(fake: Any) -> None:
        if isinstance(fake, OpenAi):
            fake.server.script.refusal = Refusal(status, body, named)
        else:
            fake.server.http = (status, named, json.dumps(body).encode())

    return arrange


def greet_with(*steps: Any) -> Callable[[Any], None]:
    def arrange(fake: Gemini) -> None:
        fake.server.greeting = steps

    return arrange


def say_nothing(fake: Any) -> None:
    if isinstance(fake, OpenAi):
        fake.server.script.greet = False
    else:
        fake.server.greeting = ()


def close_with_4000(fake: OpenAi) -> None:
    fake.server.script.close_with = 4000


def close_the_port(fake: Any) -> None:
    """Nobody listens where the provider calls."""
    fake.make = _elsewhere(fake.make)


def _elsewhere(make: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        provider = make()
        provider.config["endpoint"] = "ws://127.0.0.1:9"
        return provider

    return made


def closing(code: int, reason: str) -> Play:
    async def play(socket: ServerConnection) -> None:
        await socket.close(code, reason)

    return play


def sending(*frames: str | bytes, then: Play | None = None) -> Play:
    async def play(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(frame)
        if then is not None:
            await then(socket)

    return play


async def freezing(socket: ServerConnection) -> None:
    """Be half-open."""
    socket.transport.pause_reading()


async def dripping(socket: ServerConnection) -> None:
    """Send a byte at a time, much too slowly for the frame ever to be whole."""
    drip(socket, 0.01)


async def resetting(socket: ServerConnection) -> None:
    socket.transport.abort()


HUGE = b" " * (MAX_FRAME_BYTES + 1)
SIXTY_MINUTES = "Your session hit the maximum duration of 60 minutes."
BROKEN = json.dumps(
    {"type": "error", "error": {"code": "server_error", "message": "The server had an error."}}
)
WRONG_KEY = {"error": {"code": "invalid_api_key", "message": "Incorrect API key provided."}}
NO_MONEY = {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota."}}
GOOGLES_WRONG_KEY = {
    "error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}
}

OPENINGS = [
    Opening("refused", "openai", "network_error", close_the_port),
    Opening("refused", "gemini", "network_error", close_the_port),
    Opening("401", "openai", "invalid_api_key", refuse(401, WRONG_KEY)),
    Opening("400 for a key", "gemini", "invalid_api_key", refuse(400, GOOGLES_WRONG_KEY)),
    Opening("1007 for a key", "gemini", "invalid_api_key", greet_with(Close(*gemini_live.BAD_KEY))),
    Opening("429", "openai", "rate_limited", refuse(429, Retry_After="7"), retry_after_s=7.0),
    Opening("429", "gemini", "rate_limited", refuse(429, Retry_After="7"), retry_after_s=7.0),
    Opening("no money", "openai", "insufficient_quota", refuse(429, NO_MONEY)),
    Opening("503", "openai", "server_error", refuse(503)),
    Opening("503", "gemini", "server_error", refuse(503)),
    Opening("4000", "openai", "beta_api_shape_disabled", close_with_4000),
    Opening("silence after connect", "openai", "timeout", say_nothing),
    Opening("silence after connect", "gemini", "timeout", say_nothing),
]

BREAKS = [
    Break("1001 after 60 minutes", "openai", "session_expired", closing(1001, SIXTY_MINUTES)),
    Break("1011 after 15 minutes", "gemini", "session_expired", closing(*gemini_live.DEADLINE)),
    Break("1011 for a quota", "gemini", "rate_limited", closing(*gemini_live.QUOTA)),
    Break("4000", "openai", "beta_api_shape_disabled", closing(4000, "beta_api_shape_disabled")),
    Break(
        "error then close",
        "openai",
        "server_error",
        sending(BROKEN, then=closing(1011, "")),
        told=E.ERROR_GENERAL,
    ),
    Break("error then close", "gemini", "server_error", closing(1011, "Internal error occurred.")),
    Break("reset", "openai", "network_error", resetting),
    Break("reset", "gemini", "network_error", resetting),
    Break("half-open", "openai", "half_open", freezing),
    Break("half-open", "gemini", "half_open", freezing),
    Break("a byte at a time", "openai", "half_open", dripping),
    Break("a byte at a time", "gemini", "half_open", dripping),
    Break("a huge frame", "openai", "frame_too_big", sending(HUGE)),
    Break("a huge frame", "gemini", "frame_too_big", sending(HUGE)),
]


def named(fault: Opening | Break) -> str:
    return f"{fault.vendor}: {fault.name}"


openings = pytest.mark.parametrize("fault", OPENINGS, ids=named)
breaks = pytest.mark.parametrize("fault", BREAKS, ids=named)
vendors = pytest.mark.parametrize("name", ["openai", "gemini"])


# --- who listens, who speaks ------------------------------------------------------------------------


class Local:
    """The device's own engines: they always answer, and keep what they were asked."""

    name = "local"

    def __init__(self) -> None:
        self.heard: list[Frame] = []

    def prepare(self) -> None:
        """They are."""

    async def converse(self, request: Request) -> AsyncGenerator[Item]:
        assert request.audio is not None
        self.heard = [frame async for frame in request.audio]
        for item in ANSWER:
            yield item

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        yield CLIP

    async def close(self) -> None:
        """They are everybody's."""


class Device:
    """What the daemon has: the cloud in front, the local engines behind."""

    def __init__(self, fake: Vendor) -> None:
        self.told, self.local = EventLog(), Local()
        self.live = RealtimeProvider(
            RealtimeConfig("cloud", "", fake.make, SessionConfig(), first_audio_timeout_s=1.0),
            tools=ToolBox(),
            emit=self.told,
            clock=SystemClock(),
            speak=self.local.speak,
        )
        clock = SystemClock()
        self.health = CircuitBreaker(emit=self.told, clock=clock)
        self.both = FailoverProvider(
            [self.live, self.local],
            self.local,
            health=self.health,
            spend=SpendGuard(schema.Config(), emit=self.told, clock=clock),
            emit=self.told,
            clock=clock,
        )
        self.heard = PlaybackResult()

    async def ask(self, on_sound: Callable[[], Awaitable[None]] | None = None) -> list[Item]:
        """Speak the utterance; ``on_sound`` is awaited when the first of the reply is heard."""
        request = Request("t1", "default", audio=utterance(), playback=self.heard)
        items: list[Item] = []
        async with aclosing(self.both.converse(request)) as replies:
            async for item in replies:
                items.append(item)
                if on_sound is not None and isinstance(item, ReplyAudio):
                    await on_sound()
                    on_sound = None
        return items


async def utterance() -> AsyncIterator[Frame]:
    for frame in UTTERANCE:
        yield frame


@asynccontextmanager
async def device(fake: Vendor) -> AsyncIterator[Device]:
    """A device that leaves neither task nor socket, in time."""
    one = Device(fake)
    async with asyncio.timeout(DEADLINE_S), nothing_left(fake):
        try:
            yield one
        finally:
            await one.health.close()
            await one.both.close()


@asynccontextmanager
async def session(fake: Vendor, told: EventLog) -> AsyncIterator[Session]:
    """A session that leaves neither task nor socket, in time."""
    one = Session(
        lambda: fake.make(),
        name="cloud",
        config=SessionConfig(),
        tools=ToolBox(),
        on_event=publish_to(told),
        clock=SystemClock(),
        jitter=lambda: 1.0,
    )
    async with asyncio.timeout(DEADLINE_S), nothing_left(fake):
        try:
            yield one
        finally:
            await one.close()


@asynccontextmanager
async def nothing_left(fake: Vendor) -> AsyncIterator[None]:
    """Everything begun inside is over at the end, before the fake goes away."""
    before = our_tasks()
    yield
    await settle()
    assert our_tasks() <= before
    assert sockets_to(fake.port) == 0


# --- a session tells what happened ------------------------------------------------------------------


@openings
async def test_a_session_that_cannot_begin_reports_why(fault: Opening) -> None:
    told = EventLog()
    async with vendor(fault.vendor) as fake:
        fault.arrange(fake)
        async with session(fake, told) as one:
            with pytest.raises(ProviderError) as raised:
                await one.connect(0)
            assert not one.is_connected
    [failed] = told.of(E.CONNECTION_FAILED)
    assert (failed["code"], raised.value.code, failed["provider"]) == (fault.code, fault.code, "cloud")
    assert raised.value.retry_after_s == fault.retry_after_s
    assert told.of(E.CONNECTION_ESTABLISHED) == []


@breaks
async def test_a_session_that_breaks_reports_why(fault: Break) -> None:
    told = EventLog()
    async with vendor(fault.vendor) as fake, session(fake, told) as one:
        await one.connect(0)
        playing = asyncio.create_task(play_when_asked(fake, fault))
        # Who waits for the vendor's consent is told too, who does not is not.
        with suppress(ProviderError):
            await one.send_text("what time is it")
        lost = await told.until(E.CONNECTION_LOST)
        assert lost["code"] == fault.code
        assert fault.code in told.codes(fault.told)
        hopeless = fault.code == "beta_api_shape_disabled"
        assert lost["reconnecting"] is not hopeless
        await playing


async def play_when_asked(fake: Vendor, fault: Break) -> None:
    await fault.play(await fake.asked())


# --- the user hears an answer all the same ----------------------------------------------------------


@openings
async def test_without_the_cloud_the_device_answers(fault: Opening) -> None:
    async with vendor(fault.vendor) as fake:
        fault.arrange(fake)
        async with device(fake) as one:
            items = await one.ask()
    _answered_by_the_device(one, items, fault.code)
    assert one.told.codes(E.CONNECTION_FAILED) == [fault.code]


@breaks
async def test_after_a_broken_session_the_device_answers(fault: Break) -> None:
    async with vendor(fault.vendor) as fake, device(fake) as one:
        playing = asyncio.create_task(play_when_asked(fake, fault))
        items = await one.ask()
        await playing
    _answered_by_the_device(one, items, fault.code)
    assert fault.code in one.told.codes(fault.told)


def _answered_by_the_device(one: Device, items: list[Item], code: str) -> None:
    spoken = [item for item in items if isinstance(item, ReplyText | ReplyAudio | ReplyEnd)]
    reason = [ReplyText(announce_failover(code, "cloud", "local")), ReplyAudio(CLIP)]
    assert spoken == [*ANSWER[1:3], *reason, ANSWER[3]]
    assert one.local.heard == UTTERANCE, "the user need not say it again"
    assert one.told.codes(E.PROVIDER_FAILED) == [code]
    assert [data["to"] for data in one.told.of(E.PROVIDER_CHANGED)] == ["local"]


@breaks
async def test_a_reply_that_breaks_while_it_is_played_is_an_error(fault: Break) -> None:
    async with vendor(fault.vendor, begins=True) as fake, device(fake) as one:

        async def strike() -> None:
            await fault.play(await fake.asked())

        with pytest.raises(ProviderError) as raised:
            await one.ask(strike)
    assert raised.value.code == fault.code
    assert spoken_error(raised.value.code) != UNKNOWN_REASON
    assert one.local.heard == []
    assert fault.code in one.told.codes(fault.told)


# --- what is no outage ------------------------------------------------------------------------------


@vendors
@pytest.mark.parametrize("garbage", ["{nonsense", "[]", b"\xff\x00"])
async def test_garbage_is_reported_and_the_cloud_answers(name: str, garbage: str | bytes) -> None:
    async with vendor(name) as fake, device(fake) as one:
        fake.will_answer()
        one.live.prepare()
        await one.told.until(E.CONNECTION_ESTABLISHED)
        for socket in sockets_of(fake):
            await socket.send(garbage)
        await one.told.until(E.ERROR_GENERAL)
        items = await one.ask()
    assert ReplyText("Noon.") in items
    assert one.told.codes(E.ERROR_GENERAL) == ["bad_frame"]
    assert one.told.of(E.PROVIDER_FAILED) == []


def sockets_of(fake: Vendor) -> list[ServerConnection]:
    if isinstance(fake, OpenAi):
        return [peer.socket for peer in fake.server.connections]
    assert isinstance(fake, Gemini)
    return [served.socket for served in fake.server.connections]


async def test_a_truncation_beyond_the_end_is_harmless() -> None:
    async with vendor("openai", begins=True) as fake, device(fake) as one:
        assert isinstance(fake, OpenAi)

        async def cut() -> None:
            fake.server.peer.forget_sound()
            one.heard.played_ms = 50.0
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await one.ask(cut)
        await fake.server.received("conversation.item.truncate")
        fake.will_answer()
        one.heard = PlaybackResult()
        items = await one.ask()
    assert ReplyText("Noon.") in items
    assert one.told.of(E.ERROR_GENERAL) == []
    assert one.told.of(E.PROVIDER_FAILED) == []


@vendors
async def test_audio_of_a_cancelled_reply_is_not_played(name: str) -> None:
    told = EventLog()
    async with vendor(name, begins=True) as fake, session(fake, told) as one:
        go_on = asyncio.Event()
        if isinstance(fake, OpenAi):
            fake.server.script.replies = [Reply("One two.", sound_ms=2000, hold_after=5, late=4)]
        elif isinstance(fake, Gemini):
            fake.server.replies.clear()
            fake.server.replies.append((sound(PCM), Until(go_on), sound(PCM), said("two"), *END))
        await one.connect(0)
        await one.send_text("count")
        await told.until(E.AUDIO_OUTPUT_CHUNK)
        await one.interrupt(played_ms=20.0)
        heard = len(told.of(E.AUDIO_OUTPUT_CHUNK))
        go_on.set()
        await told.until(E.USAGE_UPDATED)
        fake.will_answer()
        await one.send_text("and now")
        await told.until(E.RESPONSE_COMPLETED)
    [interrupted] = told.of(E.CONVERSATION_INTERRUPTED)
    assert interrupted["played_ms"] == 20.0
    first = next(index for index, (type, _) in enumerate(told.events) if type == E.CONVERSATION_INTERRUPTED)
    second = [index for index, (type, _) in enumerate(told.events) if type == E.RESPONSE_STARTED][1]
    between = [type for type, _ in told.events[first:second]]
    assert E.AUDIO_OUTPUT_CHUNK not in between
    assert heard
    assert told.of(E.CONNECTION_LOST) == []


async def test_a_session_moves_when_the_vendor_announces_its_end() -> None:
    async with vendor("gemini") as fake, device(fake) as one:
        assert isinstance(fake, Gemini)
        fake.will_answer()
        assert ReplyText("Noon.") in await one.ask()
        await fake.server.connections[0].send({"goAway": {"timeLeft": "50s"}})
        await fake.server.connection(2)
        fake.will_answer()
        assert ReplyText("Noon.") in await one.ask()
    assert one.told.of(E.CONNECTION_LOST) == []
    assert one.told.of(E.PROVIDER_FAILED) == []
