"""What the tests of vendors that take a whole utterance at once share: their fakes, the contract's stages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Protocol

import pytest

from tests.providers.vendors.stt_contract import Make, SttContract
from tests.rig.transports import KEY, RecordedTransport, open_transport
from tests.servers.plain_http import Asked, Plain, Play, pieces, plain_http, reply
from voxd.providers.pipeline.stages.contract import SpeechToText, StageConfig

WRONG_KEY = "sk-wrong-0123456789abcdef"
JSON = "application/json"


class Fake(Protocol):
    """A vendor; ``script`` is played before it recognises anything."""

    script: list[Play]

    async def answer(self, asked: Asked) -> Play: ...


@contextlib.asynccontextmanager
async def vendor(make: Callable[[Plain], Any]) -> AsyncIterator[Any]:
    """Serve what ``make`` makes of a server."""
    async with plain_http() as plain:
        fake = make(plain)

        async def play(writer: asyncio.StreamWriter) -> None:
            await (await fake.answer(plain.requests[-1]))(writer)

        plain.script(play)
        yield fake


def upload_fixtures(make: Callable[[Plain], Any], base: str = "") -> tuple[Any, Any]:
    """Return the fixtures of a vendor's server, and of a transport to ``base`` on it."""

    @pytest.fixture
    async def server() -> AsyncIterator[Any]:
        async with vendor(make) as found:
            yield found

    @pytest.fixture
    async def transport(server: Any) -> AsyncIterator[RecordedTransport]:
        async with open_transport(f"{server.plain.url}{base}", name="ears", stage="stt") as transport:
            yield transport

    return server, transport


class UploadContract(SttContract):
    """Set the class, the fake and what has to be added to its address."""

    kind: ClassVar[type[SpeechToText]]
    fake: ClassVar[Callable[[Plain], Any]]
    base: ClassVar[str] = ""
    garbage: ClassVar[Play] = staticmethod(reply(b'{"tex', content_type=JSON))

    @pytest.fixture
    async def house(self) -> AsyncIterator[Any]:
        async with vendor(type(self).fake) as house:
            yield house

    @pytest.fixture
    async def transports(self) -> AsyncIterator[contextlib.AsyncExitStack]:
        async with contextlib.AsyncExitStack() as transports:
            self._wires: list[RecordedTransport] = []
            yield transports

    async def made(self, transports: contextlib.AsyncExitStack, url: str, key: str = KEY) -> Make:
        transport = await transports.enter_async_context(
            open_transport(f"{url}{self.base}", key, name="ears", stage="stt")
        )
        self._wires.append(transport)
        return lambda: type(self).kind(StageConfig("ears", "vendor"), transport)

    @pytest.fixture
    async def make(self, house: Any, transports: contextlib.AsyncExitStack) -> Make:
        return await self.made(transports, house.plain.url)

    @pytest.fixture
    async def make_refused(self, house: Any, transports: contextlib.AsyncExitStack) -> Make:
        return await self.made(transports, house.plain.url, WRONG_KEY)

    @pytest.fixture
    async def make_garbled(self, transports: contextlib.AsyncExitStack) -> Make:
        plain = await transports.enter_async_context(plain_http(type(self).garbage))
        return await self.made(transports, plain.url)

    @pytest.fixture
    async def make_silent(self, transports: contextlib.AsyncExitStack) -> Make:
        plain = await transports.enter_async_context(plain_http(pieces(end=False)))
        return await self.made(transports, plain.url)

    @pytest.fixture
    async def make_unreachable(self, transports: contextlib.AsyncExitStack) -> Make:
        async with plain_http() as plain:
            url = plain.url
        return await self.made(transports, url)

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    async def nobody_served(self) -> None:
        for transport in self._wires:
            await transport._http.close()
        serving = [task for task in asyncio.all_tasks() if "plain_http" in repr(task.get_coro())]
        if serving:
            await asyncio.wait(serving, timeout=5)
