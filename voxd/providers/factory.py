"""Makes whom the configuration names: speech-to-speech vendors, pipelines, and several in a row."""

import asyncio
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from voxd.clock import Clock
from voxd.config import provider_schema, schema
from voxd.errors import ConnectionFailed, InvalidRequest, NotFound
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net.dns import Resolver
from voxd.providers.base import BaseProvider
from voxd.providers.contract import Provider
from voxd.providers.pipeline.stages.registry import kinds_of
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.registry import has_provider
from voxd.providers.routing.failover import FailoverProvider, Keep
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendor import Vendor

PERSONA = (
    "You are a voice assistant in somebody's home, and everything you say is spoken aloud. Answer in one to "
    "three short sentences, in the language you are spoken to, without lists, markup or web addresses. Use "
    "the tools for what this device can do. Say so when you do not know something."
)
"""What a model is told that was given no persona."""

REALTIME = "realtime"
"""The stage of a vendor who answers speech with speech, in the account book."""

_DEFERRED = (
    "The user asked what follows {ago}, while you could not be reached. The user is not waiting for it any "
    "more; your answer is delivered later. You cannot do anything on this device now: never say that you "
    "did. If the user wanted something done then, such as a timer or a light, say that it was not done."
)

LAST_WORD_S = 0.25
"""A pipeline keeps to its time by itself, and then says who was too slow: so much longer it is waited for."""


class Pipelines(Protocol):
    """Makes pipelines of stages; `voxd.providers.pipeline.building` has the one there is."""

    def maker(self, name: str, config: schema.Config) -> Callable[[], BaseProvider]:
        """Return what makes a new, unconnected pipeline ``name`` of ``config``. Raises `VoxdError`."""
        ...

    def forgive(self, name: str) -> None:
        """Forget which keys of ``name``, a pipeline or a member, were refused."""
        ...

    async def load(self, config: schema.Config) -> None:
        """Load, in a thread, what the pipelines of ``config`` need; never raises."""
        ...

    async def check(self, name: str, config: schema.Config) -> None:
        """Ask every stage of pipeline or provider ``name`` for nothing. Raises `VoxdError`."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What whoever answers stands on. ``tools`` returns what the device can do, for models to call."""

    local: Provider
    tools: Callable[[], Sequence[Tool]]
    health: CircuitBreaker
    spend: SpendGuard
    emit: Emit
    clock: Clock
    resolver: Resolver
    keep: Keep | None = None
    pipelines: Pipelines | None = None


class Maker:
    """Makes providers of the configuration in force; the router keeps them."""

    def __init__(self, config: schema.Config, house: Surroundings) -> None:
        self.config = config
        self._house = house
        self._vendors: dict[str, Vendor] = {}

    def require(self, name: str) -> provider_schema.Provider | provider_schema.Pipeline:
        """Return the section of ``name``. Raises `NotFound`."""
        found = self.config.providers.get(name) or self.config.pipelines.get(name)
        if found is None:
            names = ", ".join([self._house.local.name, *self.config.providers, *self.config.pipelines])
            raise NotFound(
                f"there is no provider {name}", hint=f"use one of {names}, or add [providers.{name}]"
            )
        return found

    def require_answerer(self, name: str) -> None:
        """Raise `NotFound` when there is no ``name``, `InvalidRequest` when he is only part of an answer."""
        told = self.require(name)
        if isinstance(told, provider_schema.Pipeline) or has_provider(told.kind) or not kinds_of(told.kind):
            return
        raise InvalidRequest(
            f"{name} is only part of an answer ({', '.join(kinds_of(told.kind))})",
            hint=f'add [pipelines.NAME] with "{name}" in it, and use that',
        )

    def failover(self, candidates: Sequence[Provider]) -> Provider:
        """Return one that asks ``candidates`` in order.

        The device itself alone needs none: when it fails it says so, and nothing is kept, for there is
        nobody who could answer later.
        """
        house = self._house
        if all(each is house.local for each in candidates):
            return house.local
        return FailoverProvider(
            candidates,
            house.local,
            health=house.health,
            spend=house.spend,
            emit=house.emit,
            clock=house.clock,
            keep=house.keep,
        )

    def live(self, agent: provider_schema.Agent, name: str) -> RealtimeProvider:
        """Return ``name`` with the persona, voice and tools of ``agent``. Raises `NotFound`."""
        wanted = [
            tool
            for tool in self._house.tools()
            if any(fnmatch.fnmatchcase(tool.name, glob) for glob in agent.tools)
        ]
        return self._live(self.brain(agent, name), wanted)

    def late(self, agent: provider_schema.Agent, name: str, age_s: float) -> RealtimeProvider:
        """Return ``name`` without tools, told that the question is ``age_s`` old. Raises `NotFound`."""
        brain = self.brain(agent, name)
        instructions = deferred_instructions(brain.config.instructions, age_s)
        config = msgspec.structs.replace(brain.config, instructions=instructions)
        return self._live(replace(brain, config=config), ())

    def _live(self, brain: RealtimeConfig, tools: Sequence[Tool]) -> RealtimeProvider:
        house = self._house
        return RealtimeProvider(
            brain,
            tools=ToolBox(tools),
            emit=house.emit,
            clock=house.clock,
            speak=house.local.speak,
            record=self._record,
            failed=house.health.record_failure,
        )

    def brain(self, agent: provider_schema.Agent, name: str) -> RealtimeConfig:
        """Return how ``name`` is to be asked for ``agent``. Raises `NotFound`."""
        told = self.require(name)
        instructions = agent.persona or PERSONA
        if isinstance(told, provider_schema.Pipeline):
            return RealtimeConfig(
                name=name,
                kind="pipeline",
                make=self._pipelines.maker(name, self.config),
                config=SessionConfig(
                    instructions=instructions,
                    voice=agent.voice,
                    max_output_tokens=told.max_output_tokens,
                    temperature=told.temperature,
                ),
                first_audio_timeout_s=told.first_audio_timeout_s + LAST_WORD_S,
            )
        return RealtimeConfig(
            name=name,
            kind=told.kind,
            make=self._vendor(name, told),
            config=SessionConfig(
                instructions=instructions,
                voice=agent.voice or told.voice,
                language=told.language,
                turn_detection=told.turn_detection,
            ),
            idle_close_s=told.idle_close_s,
            connect_timeout_s=told.connect_timeout_s,
            first_audio_timeout_s=told.first_audio_timeout_s,
        )

    def stages_of(self, name: str) -> tuple[str, ...]:
        """Return what ``name`` is used for: by agents "realtime", in pipelines the lists he is in."""
        alone = any(name in (each.provider, *each.fallback) for each in self.config.agents.values())
        member = [
            stage
            for stage in ("stt", "llm", "tts")
            if any(name in getattr(each, stage) for each in self.config.pipelines.values())
        ]
        return (*([REALTIME] if alone else []), *member)

    async def check(self, name: str) -> None:
        """Find out whether ``name`` can answer, for nothing. Raises `NotFound`, `ProviderError`."""
        told = self.require(name)
        if isinstance(told, provider_schema.Pipeline):
            await self._pipelines.check(name, self.config)
            return
        stages = self.stages_of(name)
        if REALTIME in stages or (not stages and has_provider(told.kind)):
            await self._open(name, told)
        if {*stages} - {REALTIME} or not (stages or has_provider(told.kind)):
            await self._pipelines.check(name, self.config)

    async def _open(self, name: str, told: provider_schema.Provider) -> None:
        target = ProviderTarget(self._vendor(name, told), name, told.kind, SessionConfig())
        try:
            async with asyncio.timeout(told.connect_timeout_s):
                session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
        except TimeoutError as error:
            msg = f"{name} did not open a session within {told.connect_timeout_s:g} s"
            raise ConnectionFailed(msg, provider=name, code="timeout") from error
        await close_provider(session, name)

    def forgive(self, name: str) -> None:
        """Somebody says that ``name`` is mended: keys that were refused may be used again."""
        if name in self._vendors:
            self._vendors[name].forgive()
        if self._house.pipelines is not None:
            self._house.pipelines.forgive(name)

    def _vendor(self, name: str, told: provider_schema.Provider) -> Vendor:
        known = self._vendors.get(name)
        if known is None or known.told != told:
            house = self._house
            known = Vendor(name, told, resolver=house.resolver, emit=house.emit, clock=house.clock)
            self._vendors[name] = known
        return known

    @property
    def _pipelines(self) -> Pipelines:
        if self._house.pipelines is None:
            raise NotFound("there are no pipelines here")
        return self._house.pipelines

    def _record(self, name: str, used: Usage, cost: Cost | None) -> None:
        if name in self.config.pipelines:
            return  # its stages have told what each of them used
        self._house.emit(
            E.PROVIDER_USED,
            provider=name,
            stage=REALTIME,
            key=0,
            usage=used,
            cost_usd=cost.total if cost is not None else None,
            prices_of=cost.prices_of if cost is not None else "",
        )


def deferred_instructions(instructions: str, age_s: float) -> str:
    """Return ``instructions`` for a model that answers what was asked ``age_s`` ago."""
    return f"{instructions}\n\n{_DEFERRED.format(ago=ago(age_s))}"


def ago(seconds: float) -> str:
    """Return about how long ago something was, in words: "about 3 hours ago"."""
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length_s):
            return f"about {count} {unit}{'s' if count > 1 else ''} ago"
    return "a moment ago"
