"""Which provider answers for which agent, and what changes while the device runs."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from tests.fakes import RecordingEmit, settle
from voxd.clock import SystemClock
from voxd.config import provider_schema, schema
from voxd.config.secrets import Secret, resolve
from voxd.errors import AuthenticationError, ConnectionFailed, InvalidRequest, NotFound
from voxd.frames import SAMPLE_RATE_HZ, Clip
from voxd.net.dns import Resolver
from voxd.providers.base import BaseProvider
from voxd.providers.contract import ActionTaken, ReplyAudio, ReplyEnd, ReplyItem, ReplyText, Request
from voxd.providers.dependencies import Dependencies
from voxd.providers.factory import PERSONA, ProviderFactory
from voxd.providers.registry import register_provider
from voxd.providers.router import Router
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.tools import tool
from voxd.providers.vendors.mock.realtime import MockProvider

WAIT_S = 5.0
CREATED: list[MockProvider] = []


class RecordedMock(MockProvider):
    """A mock that is recorded in `CREATED`."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        CREATED.append(self)


class Device:
    """The local provider."""

    name = "local"

    def prepare(self) -> None:
        """Needs no preparation."""

    async def converse(self, request: Request) -> AsyncGenerator[ReplyItem]:
        yield ReplyText("I am the device.")
        yield ReplyEnd()

    async def speak(self, text: str) -> AsyncGenerator[Clip]:
        yield Clip(bytes(320), SAMPLE_RATE_HZ)

    async def close(self) -> None:
        raise AssertionError("the router must not close the local provider")


def mock(**options: Any) -> provider_schema.ProviderConfig:
    return provider_schema.ProviderConfig(kind="recorded", options=options)


def config(
    agents: dict[str, provider_schema.Agent] | None = None, **providers: provider_schema.ProviderConfig
) -> schema.Config:
    return schema.Config(
        providers=providers,
        agents=agents or {"default": provider_schema.Agent(provider=next(iter(providers)))},
    )


class FakePipelines:
    """Creates mocks of pipelines; the result of a check is ``error``."""

    def __init__(self) -> None:
        self.checked: list[str] = []
        self.were_reset: list[str] = []
        self.http = SimpleNamespace(prepare=self._prepare)
        self.loaded: list[schema.Config] = []
        self.error: ConnectionFailed | None = None

    def create(self, name: str, config: schema.Config) -> BaseProvider:
        reply = f"I am {name} with {' and '.join(config.pipelines[name].llm)}."
        return RecordedMock({"metadata": {"default_reply": reply}})

    def load(self, config: schema.Config) -> None:
        self.loaded.append(config)

    def reset(self, name: str) -> None:
        self.were_reset.append(name)

    async def check(self, name: str, config: schema.Config) -> None:
        self.checked.append(name)
        if self.error is not None:
            raise self.error

    async def _prepare(self) -> None:
        """The fake has no connections."""


class Rig:
    def __init__(self) -> None:
        self.pipelines = FakePipelines()
        self.emit = RecordingEmit()
        self.device = Device()
        self.routers: list[Router] = []

    def router(self, config: schema.Config) -> Router:
        clock = SystemClock()
        self.health = CircuitBreaker(emit=self.emit, clock=clock)
        self.spend = SpendGuard(config, emit=self.emit, clock=clock)
        dependencies = Dependencies(
            local=self.device,
            transcriber=cast(Any, None),
            synthesizer=cast(Any, None),
            tools=lambda: [tool(set_timer), tool(get_time, acts=False)],
            health=self.health,
            spend=self.spend,
            resolver=Resolver(),
            emit=self.emit,
            clock=clock,
            phrases_dir=Path("unused"),
        )
        router = Router(ProviderFactory(config, dependencies, lambda _: cast(Any, self.pipelines)))
        self.routers.append(router)
        return router


async def ask_deferred(router: Router, age_s: float = 60.0) -> tuple[str, str]:
    request = Request("later", "default", text="hello", speak=False)
    name, answer = router.answer_deferred(request, age_s)
    async with asyncio.timeout(WAIT_S), aclosing(answer) as replies:
        return name, " ".join([item.text async for item in replies if isinstance(item, ReplyText)])


def set_timer() -> str:
    """Set a timer."""
    return "set"


def get_time() -> str:
    """Tell the time."""
    return "noon"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    register_provider("recorded", RecordedMock)
    CREATED.clear()
    rig = Rig()
    yield rig
    async with asyncio.timeout(WAIT_S):
        for router in rig.routers:
            await router.close()
        await rig.health.close()
        await rig.spend.close()


async def ask(router: Router, text: str = "hello", agent: str = "default") -> str:
    request = Request("t1", agent, text=text, speak=False)
    async with asyncio.timeout(WAIT_S), aclosing(router.provider_for(agent).converse(request)) as replies:
        return " ".join([item.text async for item in replies if isinstance(item, ReplyText)])


async def test_the_local_provider_answers_for_an_agent_without_another(rig: Rig) -> None:
    router = rig.router(schema.Config())
    assert router.provider_for("default") is router.provider_for("unknown") is rig.device


async def test_each_agent_has_its_own_conversation_persona_and_tools(rig: Rig) -> None:
    agents = {
        "default": provider_schema.Agent(provider="cloud"),
        "pirate": provider_schema.Agent(
            provider="cloud", persona="You are a pirate.", voice="ash", tools=("get_*",)
        ),
        "plain": provider_schema.Agent(provider="cloud", tools=(), fallback=()),
    }
    router = rig.router(config(agents, cloud=mock()))
    default_one, plain_one = router.provider_for("default"), router.provider_for("plain")
    assert isinstance(default_one, FailoverProvider)
    assert isinstance(plain_one, FailoverProvider)
    assert [each.name for each in default_one.candidates] == ["cloud", "local"]
    assert [each.name for each in plain_one.candidates] == ["cloud"]
    for agent in agents:
        await ask(router, agent=agent)
    default, pirate, plain = (made.session for made in CREATED)
    assert (default.instructions, default.voice) == (PERSONA, "")
    assert (pirate.instructions, pirate.voice) == ("You are a pirate.", "ash")
    names = [[spec.name for spec in session.tools] for session in (default, pirate, plain)]
    assert names == [["set_timer", "get_time"], ["get_time"], []]


async def test_nothing_is_opened_before_it_is_needed(rig: Rig) -> None:
    router = rig.router(config(cloud=mock()))
    router.provider_for("default")
    await settle()
    assert CREATED == []
    router.provider_for("default").prepare()
    await settle()
    assert len(CREATED) == 1


async def test_the_key_is_read_from_its_reference(rig: Rig) -> None:
    secret = resolve({"env": "K"}, {"K": "sk-1"})
    provider = msgspec.structs.replace(mock(), api_key=secret, model="m", voice="v", endpoint="wss://e")
    await ask(rig.router(config(cloud=provider)))
    assert {key: CREATED[0].config[key] for key in ("api_key", "model", "voice", "endpoint")} == {
        "api_key": "sk-1", "model": "m", "voice": "v", "endpoint": "wss://e",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "code"),
    [
        (provider_schema.ProviderConfig(kind="unheard_of"), "not_found"),
        (
            provider_schema.ProviderConfig(
                kind="recorded", api_key=Secret(None, origin="env K", problem="set K")
            ),
            "invalid_api_key",
        ),
        (mock(connect_fault="refused"), "network_error"),
        (mock(nonsense=[object], replies=3), "config_invalid"),
    ],
)
async def test_an_unavailable_provider_is_reported_as_a_problem(
    rig: Rig, provider: provider_schema.ProviderConfig, code: str
) -> None:
    router = rig.router(config(cloud=provider))
    assert "I am the device." in await ask(router)
    (status,) = router.agents()
    assert (status.provider, status.answering) == ("cloud", "local")
    assert code in status.problem
    assert [entry.problem for entry in router.providers()] == ["", status.problem]


async def test_another_provider_continues_the_conversation(rig: Rig) -> None:
    router = rig.router(
        config(cloud=mock(default_reply="Hello Ann."), other=mock(default_reply="Still Ann."))
    )
    await ask(router, "my name is Ann")
    await router.use("default", "other")
    assert await ask(router, "who am I") == "Still Ann."
    assert CREATED[1].history == [("user", "my name is Ann"), ("assistant", "Hello Ann.")]
    assert ("provider.changed", {"from": "cloud", "to": "other", "reason": "requested"}) in rig.emit.events
    assert [entry.agents for entry in router.providers()] == [(), (), ("default",)]


async def test_a_switch_that_fails_changes_nothing(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(default_reply="Here."), gone=mock(connect_fault="refused")))
    await ask(router)
    with pytest.raises(ConnectionFailed):
        await router.use("default", "gone")
    assert router.name_of("default") == "cloud"
    assert await ask(router) == "Here."


async def test_an_agent_can_switch_to_the_local_provider_and_back(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(default_reply="Here.")))
    await router.use("default", "local")
    assert await ask(router) == "I am the device."
    await router.use("default", "cloud")
    assert await ask(router) == "Here."


@pytest.mark.parametrize(("agent", "name"), [("default", "clod"), ("unknown", "cloud")])
async def test_an_unknown_agent_or_provider_cannot_be_selected(rig: Rig, agent: str, name: str) -> None:
    with pytest.raises(NotFound) as raised:
        await rig.router(config(cloud=mock())).use(agent, name)
    assert "use one of" in raised.value.hint


async def test_a_language_model_alone_cannot_be_selected(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(), brain=provider_schema.ProviderConfig(kind="anthropic")))
    with pytest.raises(InvalidRequest, match="brain is only a stage of a pipeline") as raised:
        await router.use("default", "brain")
    assert raised.value.hint == 'add [pipelines.NAME] with "brain" in it, and use that'
    assert (await ask(router)).startswith("This is the mock")


async def test_a_test_opens_a_session_and_closes_it(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(), gone=mock(connect_fault="invalid_api_key")))
    assert await router.test("cloud") >= 0
    assert not CREATED[0].is_connected
    with pytest.raises(AuthenticationError):
        await router.test("gone")
    with pytest.raises(NotFound):
        await router.test("clod")
    with pytest.raises(InvalidRequest):
        await router.test("local")


async def test_a_test_has_a_deadline(rig: Rig) -> None:
    slow = msgspec.structs.replace(mock(connect_delay_s=60.0), connect_timeout_s=0.01)
    with pytest.raises(ConnectionFailed) as raised:
        await rig.router(config(cloud=slow)).test("cloud")
    assert raised.value.code == "timeout"


@pytest.mark.parametrize("method", ["test", "use"])
async def test_selecting_a_provider_again_ends_its_cooldown(rig: Rig, method: str) -> None:
    options = {"default_reply": "Here.", "connect_fault": "invalid_api_key"}
    configured = config(cloud=mock(**options))
    router = rig.router(configured)
    assert "I am the device." in await ask(router)
    assert await ask(router) == "I am the device."
    options["connect_fault"] = ""
    configured.providers["cloud"].options.update(options)
    await (router.test("cloud") if method == "test" else router.use("default", "cloud"))
    assert await ask(router) == "Here."
    assert "provider.restored" in rig.emit.types()


async def test_a_reload_creates_only_what_changed_again(rig: Rig) -> None:
    agents = {
        "default": provider_schema.Agent(provider="cloud"),
        "cook": provider_schema.Agent(provider="other"),
    }
    before = config(agents, cloud=mock(default_reply="Old."), other=mock())
    router = rig.router(before)
    cook = router.provider_for("cook")
    assert await ask(router) == "Old."
    router.configure(config(agents, cloud=mock(default_reply="New."), other=mock()))
    assert await ask(router) == "New."
    assert router.provider_for("cook") is cook
    changed = {**agents, "cook": provider_schema.Agent(provider="other", persona="You cook.")}
    router.configure(config(changed, cloud=mock(default_reply="New."), other=mock()))
    assert router.provider_for("cook") is not cook
    await settle()
    assert not CREATED[0].is_connected, "the old session is closed"


async def test_a_reload_without_the_selected_provider_returns_to_the_configured_one(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(default_reply="Here."), other=mock()))
    await router.use("default", "other")
    router.configure(config(cloud=mock(default_reply="Here.")))
    assert await ask(router) == "Here."


async def test_forgetting_clears_every_conversation(rig: Rig) -> None:
    router = rig.router(config(cloud=mock()))
    await ask(router, "my name is Ann")
    await router.forget()
    assert not CREATED[0].is_connected
    await ask(router, "who am I")
    assert CREATED[1].history == []


async def test_a_reply_under_way_is_not_cut_by_a_change(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(default_reply="one two three", chunk_delay_s=0.001)))
    request = Request("t1", "default", text="count")
    async with asyncio.timeout(WAIT_S), aclosing(router.provider_for("default").converse(request)) as replies:
        async for item in replies:
            if isinstance(item, ReplyAudio):
                break
        await router.use("default", "local")
        rest = [item async for item in replies]
    assert isinstance(rest[-1], ReplyEnd)


async def test_what_the_agents_need_is_loaded_before_the_first_turn(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(), broken=provider_schema.ProviderConfig(kind="unheard_of")))
    router.start()
    router.configure(PIPED)
    changed = msgspec.structs.replace(PIPED, agents={"default": provider_schema.Agent(provider="pipe")})
    router.configure(changed)
    router.configure(changed)
    await router.close()
    assert rig.pipelines.loaded == [PIPED, changed]


PIPED = schema.Config(
    providers={
        "brain": provider_schema.ProviderConfig(kind="thinks"),
        "spare": provider_schema.ProviderConfig(kind="thinks"),
        "cloud": provider_schema.ProviderConfig(
            kind="recorded", options={"default_reply": "I am the cloud."}
        ),
        "unused": provider_schema.ProviderConfig(kind="recorded"),
    },
    pipelines={"pipe": provider_schema.Pipeline(llm=("brain",))},
    agents={"default": provider_schema.Agent(provider="pipe", fallback=("cloud", "pipe", "local"))},
)


async def test_an_agent_can_have_a_pipeline_and_several_providers_in_order(rig: Rig) -> None:
    router = rig.router(PIPED)
    made = router.provider_for("default")
    assert isinstance(made, FailoverProvider)
    assert [each.name for each in made.candidates] == ["pipe", "cloud", "local"], "each once"
    assert await ask(router) == "I am pipe with brain."
    rig.health.record_failure("brain", AuthenticationError("wrong key"))
    assert await ask(router) == "I am the cloud. Brain does not accept my key, so cloud answers."
    (status,) = router.agents()
    assert (status.provider, status.answering) == ("pipe", "cloud")
    assert "wrong key" in status.problem
    listed = {entry.name: (entry.stages, bool(entry.problem)) for entry in router.providers()}
    assert listed == {
        "local": ((), False),
        "brain": (("llm",), True),
        "spare": ((), False),
        "cloud": (("realtime",), False),
        "unused": ((), False),
        "pipe": (("local", "brain", "local"), True),
    }


async def test_a_provider_is_tested_for_each_use_it_has(rig: Rig) -> None:
    router = rig.router(PIPED)
    for name in ("pipe", "brain", "spare"):
        await router.test(name)
    assert rig.pipelines.checked == ["pipe", "brain", "spare"]
    for name in ("cloud", "unused"):
        await router.test(name)
    assert len(CREATED) == 2
    assert len(rig.pipelines.checked) == 3


async def test_a_test_of_an_unavailable_provider_resets_it_first(rig: Rig) -> None:
    router = rig.router(PIPED)
    await router.test("brain")
    assert rig.pipelines.were_reset == []
    rig.health.record_failure("brain", AuthenticationError("wrong key"))
    await router.test("brain")
    assert rig.pipelines.were_reset == ["brain"]
    assert rig.health.is_healthy("brain")


async def test_a_changed_member_creates_its_pipeline_again_and_is_probed_at_once(rig: Rig) -> None:
    router = rig.router(PIPED)
    assert await ask(router) == "I am pipe with brain."
    rig.health.record_failure("brain", AuthenticationError("wrong key"))
    providers = {**PIPED.providers, "brain": provider_schema.ProviderConfig(kind="thinks", model="new")}
    router.configure(msgspec.structs.replace(PIPED, providers=providers))
    await settle()
    assert rig.pipelines.checked == ["brain"]
    assert rig.health.is_healthy("brain")
    await ask(router)
    assert len(CREATED) == 2
    router.configure(schema.Config())
    rig.health.record_failure("brain", ConnectionFailed("gone"))
    assert router.provider_for("default") is rig.device


async def test_a_provider_removed_from_the_configuration_is_not_a_problem(rig: Rig) -> None:
    router = rig.router(PIPED)
    rig.health.record_failure("cloud", ConnectionFailed("gone"))
    providers = {name: each for name, each in PIPED.providers.items() if name != "cloud"}
    agents = {"default": provider_schema.Agent(provider="pipe")}
    router.configure(msgspec.structs.replace(PIPED, providers=providers, agents=agents))
    assert rig.emit.types() == ["provider.failed", "provider.restored"]


async def test_a_deferred_question_is_answered_by_a_vendor_only(rig: Rig) -> None:
    router = rig.router(PIPED)

    assert await ask_deferred(router) == ("pipe", "I am pipe with brain.")
    rig.health.record_failure("brain", ConnectionFailed("gone"))
    assert await ask_deferred(router) == ("cloud", "I am the cloud.")
    rig.health.record_failure("cloud", AuthenticationError("wrong key"))
    with pytest.raises(ConnectionFailed):
        await ask_deferred(router)


async def test_a_deferred_question_causes_no_action(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(default_reply="Too late.")))
    await ask(router, "what is my name")
    assert await ask_deferred(router, 3 * 3600.0) == ("cloud", "Too late.")
    first, deferred = CREATED
    assert [each.name for each in first.session.tools] == ["set_timer", "get_time"]
    assert (deferred.session.tools, deferred.history) == ((), []), "no tools, and no part of the conversation"
    assert "asked what follows about 3 hours ago" in deferred.session.instructions
    assert deferred.session.instructions.startswith(PERSONA)
    assert not deferred.is_connected, "it is closed after the answer"
    alone = rig.router(schema.Config())
    with pytest.raises(NotFound):
        await ask_deferred(alone)


@pytest.mark.parametrize(("name", "acts"), [("set_timer", [ActionTaken()]), ("get_time", [])])
async def test_a_tool_call_that_acts_is_reported_so_that_it_is_not_repeated(
    rig: Rig, name: str, acts: list[ReplyItem]
) -> None:
    calls = {"hello": {"text": "So.", "calls": [{"name": name}]}}
    made = rig.router(config(cloud=mock(replies=calls))).provider_for("default")
    assert isinstance(made, FailoverProvider)
    request = Request("t1", "default", text="hello", speak=False)
    async with asyncio.timeout(WAIT_S), aclosing(made.candidates[0].converse(request)) as replies:
        items = [item async for item in replies]
    assert [item for item in items if isinstance(item, ActionTaken)] == acts
    assert ReplyText("So.") in items


async def test_a_failed_deferred_answer_opens_the_circuit(rig: Rig) -> None:
    router = rig.router(config(cloud=mock(connect_fault="refused")))
    with pytest.raises(ConnectionFailed):
        await ask_deferred(router)
    assert not rig.health.is_healthy("cloud")


async def test_a_conversation_continues_from_a_pipeline_to_a_vendor_and_back(rig: Rig) -> None:
    router = rig.router(PIPED)
    await ask(router, "my name is Ann")
    await router.use("default", "cloud")
    assert await ask(router, "who am I") == "I am the cloud."
    assert CREATED[-1].history == [("user", "my name is Ann"), ("assistant", "I am pipe with brain.")]
    await router.use("default", "pipe")
    assert await ask(router, "and now") == "I am pipe with brain."
    assert len(CREATED[-1].history) == 4
    assert [each.name for each in router.provider_for("default").candidates] == ["pipe", "cloud", "local"]  # type: ignore[attr-defined]


async def test_a_pipeline_reports_the_slow_stage_before_its_own_deadline(rig: Rig) -> None:
    made = rig.router(PIPED).provider_for("default")
    assert isinstance(made, FailoverProvider)
    pipe, cloud = made.candidates[:2]
    assert pipe.realtime.first_audio_timeout_s > PIPED.pipelines["pipe"].first_audio_timeout_s  # type: ignore[attr-defined]
    assert cloud.realtime.first_audio_timeout_s == PIPED.providers["cloud"].first_audio_timeout_s  # type: ignore[attr-defined]
