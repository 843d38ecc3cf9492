"""What the tests of vendors who take a whole utterance at once share: their fakes, the contract's stages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, Protocol

import pytest

from tests.providers.vendors.stt_contract import Make, SttContract
from tests.rig.wires import KEY, RecordedLine, line
from tests.servers.plain_http import Asked, Plain, Play, pieces, plain_http, reply
from voxd.providers.pipeline.stages.contract import SpeechToText, StageConfig

WRONG_KEY = "sk-wrong-0123456789abcdef"
JSON = "application/json"


class Fake(Protocol):
    """A vendor; ``script`` is played before he understands anything."""

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
    async def wires(self) -> AsyncIterator[contextlib.AsyncExitStack]:
        async with contextlib.AsyncExitStack() as wires:
            self._wires: list[RecordedLine] = []
            yield wires

    async def made(self, wires: contextlib.AsyncExitStack, url: str, key: str = KEY) -> Make:
        wire = await wires.enter_async_context(line(f"{url}{self.base}", key, name="ears", stage="stt"))
        self._wires.append(wire)
        return lambda: type(self).kind(StageConfig("ears", "vendor"), wire)

    @pytest.fixture
    async def make(self, house: Any, wires: contextlib.AsyncExitStack) -> Make:
        return await self.made(wires, house.plain.url)

    @pytest.fixture
    async def make_refused(self, house: Any, wires: contextlib.AsyncExitStack) -> Make:
        return await self.made(wires, house.plain.url, WRONG_KEY)

    @pytest.fixture
    async def make_garbled(self, wires: contextlib.AsyncExitStack) -> Make:
        plain = await wires.enter_async_context(plain_http(type(self).garbage))
        return await self.made(wires, plain.url)

    @pytest.fixture
    async def make_silent(self, wires: contextlib.AsyncExitStack) -> Make:
        plain = await wires.enter_async_context(plain_http(pieces(end=False)))
        return await self.made(wires, plain.url)

    @pytest.fixture
    async def make_unreachable(self, wires: contextlib.AsyncExitStack) -> Make:
        async with plain_http() as plain:
            url = plain.url
        return await self.made(wires, url)

    @pytest.fixture
    def secret(self) -> str:
        return KEY

    async def nobody_served(self) -> None:
        for wire in self._wires:
            await wire._http.close()
        serving = [task for task in asyncio.all_tasks() if "plain_http" in repr(task.get_coro())]
        if serving:
            await asyncio.wait(serving, timeout=5)
