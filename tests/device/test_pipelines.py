"""The device's pipelines: loaded when there is one, and asked only of who is well and may cost something."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import FakeClock, RecordingEmit
from tests.providers.pipeline.made import KIND, register
from tests.servers.plain_http import plain_http, reply
from voxd.config import provider_schema, schema
from voxd.config.secrets import Secret
from voxd.device import workshop
from voxd.device.pipelines import Able, LazyPipelines
from voxd.errors import AuthenticationError, ConfigError, ConnectionFailed, NotFound
from voxd.events import Event
from voxd.local.chain import TranscriberChain
from voxd.net.dns import Resolver
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import Completion, TextChunk
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.usage import Usage

WAIT_S = 5.0

CONFIG = schema.Config(
    providers={"brain": provider_schema.Provider(kind=KIND, usd_per_day=1.0)},
    pipelines={"pipe": provider_schema.Pipeline(llm=("brain",), hedge=False)},
)


class House:
    def __init__(self, state_dir: Path) -> None:
        self.emit, self.clock = RecordingEmit(), FakeClock()
        self.health = CircuitBreaker(emit=self.emit, clock=self.clock)
        self.spend = SpendGuard(CONFIG, emit=self.emit, clock=self.clock)
        ears = TranscriberChain([cast(Any, SimpleNamespace(name="own", loaded=True))], self.emit, self.clock)
        self.pipelines = LazyPipelines(
            ears,
            cast(Any, None),
            health=self.health,
            spend=self.spend,
            cache=schema.Cache(),
            state_dir=state_dir,
            resolver=Resolver(),
            emit=self.emit,
            clock=self.clock,
        )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    register()
    house = House(tmp_path)
    yield house
    await house.pipelines.close()
    await house.health.close()
    await house.spend.close()


async def test_a_pipeline_is_made_of_what_the_configuration_names(house: House) -> None:
    made = house.pipelines.maker("pipe", CONFIG)()
    assert isinstance(made, PipelineProvider)
    await house.pipelines.check("pipe", CONFIG)
    await house.pipelines.check("brain", CONFIG)
    await house.pipelines.load(CONFIG)
    await house.pipelines.forget()


async def test_answers_that_are_kept_are_forgotten_too(house: House) -> None:
    pipeline = provider_schema.Pipeline(llm=("brain",), hedge=False, cache_answers_s=60.0)
    config = schema.Config(providers=CONFIG.providers, pipelines={"pipe": pipeline})
    made = house.pipelines.maker("pipe", config)()
    assert isinstance(made, PipelineProvider)
    answers = made._parts.answers
    assert answers is not None
    for text in ("A secret.", "Forgotten."):
        told = [item async for item in answers.through("key", thoughts(text))]
        assert told[0] == TextChunk(text)
        await house.pipelines.forget()


async def thoughts(text: str) -> AsyncGenerator[AnswerEvent]:
    yield TextChunk(text)
    yield AnswerEnd(Completion("stop"), "scripted")


async def test_a_key_that_was_refused_is_not_tried_before_somebody_says_it_is_mended(house: House) -> None:
    wrong = reply(b'{"error": {"code": "invalid_api_key"}}', status=401, content_type="application/json")
    right = reply(b'{"object": "list", "data": []}', content_type="application/json")
    async with asyncio.timeout(WAIT_S), plain_http(wrong) as server:
        thinker = provider_schema.Provider(
            kind="openai", endpoint=f"{server.url}/v1", api_key=Secret("k" * 20)
        )
        config = schema.Config(
            providers={"thinker": thinker},
            pipelines={"pipe": provider_schema.Pipeline(llm=("thinker",), hedge=False)},
        )
        for _ in range(2):
            with pytest.raises(AuthenticationError):
                await house.pipelines.check("pipe", config)
        assert len(server.requests) == 1
        server.script(right)
        house.pipelines.forgive("thinker")
        await house.pipelines.check("pipe", config)
        assert len(server.requests) == 2


async def test_middleware_that_is_not_installed_is_said_when_it_is_needed(house: House) -> None:
    config = schema.Config(
        providers=CONFIG.providers,
        pipelines=CONFIG.pipelines,
        middleware=schema.Middleware(message=("unheard_of",)),
    )
    make = house.pipelines.maker("pipe", config)
    with pytest.raises(NotFound, match="unheard_of"):
        make()
    assert house.pipelines.maker("pipe", CONFIG)(), "and without it all is well"


async def test_middleware_that_cannot_be_loaded_is_a_fault_of_the_settings(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("broken", "no_such_module:thing", "voxd.middleware")
    monkeypatch.setattr(workshop, "entry_points", lambda **group: (broken,))
    middleware = schema.Middleware(message=("broken",))
    config = schema.Config(providers=CONFIG.providers, pipelines=CONFIG.pipelines, middleware=middleware)
    with pytest.raises(ConfigError, match="no_such_module") as raised:
        house.pipelines.maker("pipe", config)()
    assert "broken" in raised.value.hint


async def test_who_is_ill_or_has_spent_his_money_is_not_asked(house: House) -> None:
    able = Able(house.health, house.spend)
    able.failed("brain", ConnectionFailed("refused"))
    assert (able.is_healthy("brain"), able.can_try("brain")) == (False, True)
    able.answered("brain")
    assert able.is_healthy("brain")
    data = {"provider": "brain", "stage": "llm", "key": 1, "usage": Usage(), "cost_usd": 1.0}
    house.spend.handle(Event(1, "provider.used", 0.0, None, data))
    assert (able.is_healthy("brain"), able.can_try("brain")) == (False, False)


def test_making_them_loads_nothing() -> None:
    program = "import sys, voxd.device.answering; sys.exit('voxd.device.workshop' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
