"""A conversation over Gemini Live: tools are run, losses are mended, and what was said is kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes import FakeClock, settle
from tests.servers.gemini_live import BAD_KEY, KEY, GeminiLive
from tests.servers.gemini_steps import Break, Close, Step, ToolResults, call, said, speech
from voxd.errors import AuthenticationError
from voxd.events import EventType as E
from voxd.providers.events import publish_to
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import ToolBox, tool
from voxd.providers.vendors.google.realtime import GeminiProvider


@pytest.fixture
async def server() -> AsyncIterator[GeminiLive]:
    async with GeminiLive() as server:
        yield server
        assert server.violations == []


class House:
    """A session and everything it reported."""

    def __init__(self, server: GeminiLive, *, key: str = KEY, model: str = "") -> None:
        @tool
        async def lamp(on: bool) -> str:
            """Switch the lamp.

            Args:
                on: whether it shall be on
            """
            return f"the lamp is {'on' if on else 'off'}"

        self.clock = FakeClock()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self._more = asyncio.Event()
        settings = {"api_key": key, "endpoint": server.url, "model": model}
        self.session = Session(
            lambda: GeminiProvider(settings),
            name="gemini",
            config=SessionConfig(instructions="be brief"),
            tools=ToolBox([lamp]),
            on_event=publish_to(self._emit),
            clock=self.clock,
            jitter=lambda: 0.0,
        )

    def _emit(self, type: str, /, *, turn: str | None = None, **data: Any) -> None:
        self.told.append((type, data))
        self._more.set()

    def of(self, type: E) -> list[dict[str, Any]]:
        return [data for name, data in self.told if name == type]

    async def until(self, type: E, count: int = 1) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while len(self.of(type)) < count:
                self._more.clear()
                await self._more.wait()
        return self.of(type)[count - 1]

    async def ask(self, text: str, answers: int = 1) -> None:
        before = len(self.of(E.RESPONSE_COMPLETED))
        await self.session.send_text(text)
        await self.until(E.RESPONSE_COMPLETED, before + answers)


async def test_a_tool_is_run_and_its_result_is_answered(server: GeminiLive) -> None:
    server.replies.append((call(("1", "lamp", {"on": True})), ToolResults(), *speech("It is on.")))
    house = House(server)
    await house.session.connect()
    await house.ask("lamp on", answers=2)
    [[result]] = await (await server.connection()).until("toolResponse", "functionResponses")
    assert result["response"] == {"output": "the lamp is on"}
    assert [(line.role, line.text) for line in house.session.history] == [
        ("user", "lamp on"),
        ("assistant", "It is on."),
    ]
    await house.session.close()


@pytest.mark.parametrize("model", ["gemini-3.8-live", "gemini-3.1-flash-live-preview"])
@pytest.mark.parametrize("fault", [Break(), Close(1011, "Deadline expired before operation")])
async def test_after_a_loss_the_next_session_gets_the_history(
    server: GeminiLive, model: str, fault: Step
) -> None:
    server.replies.extend([speech("Hello Ada."), (said("well"), fault)])
    house = House(server, model=model)
    await house.session.connect()
    await house.ask("I am Ada")
    await house.session.send_text("and?")
    await house.until(E.CONNECTION_LOST)
    await settle()
    await house.clock.advance(10.0)
    await house.until(E.CONNECTION_ESTABLISHED, 2)
    await house.ask("who am I")
    served = server.connections[-1]
    told = [
        turn["parts"][0]["text"] for body in await served.until("clientContent") for turn in body["turns"]
    ]
    assert told[:3] == ["I am Ada", "Hello Ada.", "and?"]
    await house.session.close()


async def test_a_wrong_key_is_tried_once(server: GeminiLive) -> None:
    house = House(server, key="wrong")
    with pytest.raises(AuthenticationError):
        await house.session.connect()
    assert len(server.connections) == 1
    assert (await house.until(E.CONNECTION_FAILED))["code"] == "invalid_api_key"
    await house.session.close()


async def test_a_key_that_expires_in_a_session_is_not_tried_again(server: GeminiLive) -> None:
    server.replies.append((Close(*BAD_KEY),))
    house = House(server)
    await house.session.connect()
    await house.session.send_text("hello")
    lost = await house.until(E.CONNECTION_LOST)
    assert (lost["code"], lost["reconnecting"]) == ("invalid_api_key", False)
    await settle()
    await house.clock.advance(60.0)
    assert len(server.connections) == 1
    await house.session.close()
