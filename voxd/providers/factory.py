"""Makes the providers that the configuration names: speech-to-speech vendors, pipelines, failover."""

import asyncio
import fnmatch
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from voxd.config import provider_schema, schema
from voxd.errors import ConnectionFailed, InvalidRequest, NotFound, VoxdError
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.contract import Provider
from voxd.providers.dependencies import Dependencies
from voxd.providers.pipeline.stages.registry import kinds_of
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.registry import has_provider
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox
from voxd.providers.usage import Cost, Usage
from voxd.store.file_cache import FileCache

if TYPE_CHECKING:
    from voxd.providers.pipeline.factory import PipelineFactory
    from voxd.providers.vendor import Vendor

_log = logging.getLogger(__name__)

PERSONA = (
    "You are a voice assistant in a home, and everything you say is spoken aloud. Answer in one to "
    "three short sentences, in the language you are spoken to, without lists, markup or web addresses. Use "
    "the tools for what this device can do. Say so when you do not know something."
)
"""The instructions of an agent without a persona."""

REALTIME = "realtime"
"""The stage of a speech-to-speech vendor in the usage log."""

_DEFERRED = (
    "The user asked what follows {ago}, while you could not be reached. The user is not waiting for it any "
    "more; your answer is delivered later. You cannot do anything on this device now: never say that you "
    "did. If the user wanted something done then, such as a timer or a light, say that it was not done."
)

LAST_WORD_S = 0.25
"""A pipeline enforces its own deadline and names the slow stage; wait so much longer for that."""


class ProviderFactory:
    """Makes the providers of the configuration in force; the router keeps them.

    Pipelines need 1 MB more, and 15 MB with a vendor: they are imported when there is the first one.
    ``open_pipelines`` makes their factory.
    """

    def __init__(
        self,
        config: schema.Config,
        dependencies: Dependencies,
        open_pipelines: "Callable[[Dependencies], PipelineFactory] | None" = None,
    ) -> None:
        self.config = config
        self.dependencies = dependencies
        self._open_pipelines = open_pipelines or _open_pipelines
        self._opened: PipelineFactory | None = None
        self._vendors: dict[str, Vendor] = {}

    async def start(self) -> None:
        """Delete the cached phrases of an earlier start if the cache is turned off now."""
        if not self.dependencies.phrases_bytes:
            await FileCache(self.dependencies.phrases_dir, limit_bytes=0).clear()

    async def load_pipelines(self, config: schema.Config) -> None:
        """Load what the pipelines of ``config`` need, before the first turn does; never raises."""
        pipelines = self._pipelines
        try:
            await asyncio.to_thread(pipelines.load, config)
        except VoxdError as error:
            _log.warning("%s; %s", error, error.hint)
        await pipelines.http.prepare()

    async def forget(self) -> None:
        """Forget cached answers and cached phrases."""
        if self._opened is not None:
            await self._opened.forget()
        else:
            await FileCache(self.dependencies.phrases_dir, limit_bytes=0).clear()

    async def close(self) -> None:
        """Free what the pipelines hold; idempotent."""
        if self._opened is not None:
            await self._opened.close()

    def require(self, name: str) -> provider_schema.ProviderConfig | provider_schema.Pipeline:
        """Return the table of ``name``. Raises `NotFound`."""
        found = self.config.providers.get(name) or self.config.pipelines.get(name)
        if found is None:
            names = ", ".join([self.dependencies.local.name, *self.config.providers, *self.config.pipelines])
            raise NotFound(
                f"there is no provider {name}", hint=f"use one of {names}, or add [providers.{name}]"
            )
        return found

    def require_answerer(self, name: str) -> None:
        """Raise `NotFound` when there is no ``name``, `InvalidRequest` when it is only a stage."""
        table = self.require(name)
        if (
            isinstance(table, provider_schema.Pipeline)
            or has_provider(table.kind)
            or not kinds_of(table.kind)
        ):
            return
        raise InvalidRequest(
            f"{name} is only a stage of a pipeline ({', '.join(kinds_of(table.kind))})",
            hint=f'add [pipelines.NAME] with "{name}" in it, and use that',
        )

    def failover(self, candidates: Sequence[Provider]) -> Provider:
        """Return a provider that tries ``candidates`` in order.

        The device alone needs no failover: its errors are said, and nothing is queued, because no vendor
        could answer later.
        """
        shared = self.dependencies
        if all(each is shared.local for each in candidates):
            return shared.local
        return FailoverProvider(
            candidates,
            shared.local,
            health=shared.health,
            spend=shared.spend,
            emit=shared.emit,
            clock=shared.clock,
            keep=shared.keep,
        )

    def live(self, agent: provider_schema.Agent, name: str) -> RealtimeProvider:
        """Return ``name`` with the persona, voice and tools of ``agent``. Raises `NotFound`."""
        wanted = [
            tool
            for tool in self.dependencies.tools()
            if any(fnmatch.fnmatchcase(tool.name, glob) for glob in agent.tools)
        ]
        return self._live(self.brain(agent, name), wanted)

    def late(self, agent: provider_schema.Agent, name: str, age_s: float) -> RealtimeProvider:
        """Return ``name`` without tools, for a question that is ``age_s`` old. Raises `NotFound`."""
        brain = self.brain(agent, name)
        instructions = deferred_instructions(brain.config.instructions, age_s)
        config = msgspec.structs.replace(brain.config, instructions=instructions)
        return self._live(replace(brain, config=config), ())

    def _live(self, brain: RealtimeConfig, tools: Sequence[Tool]) -> RealtimeProvider:
        shared = self.dependencies
        return RealtimeProvider(
            brain,
            tools=ToolBox(tools),
            emit=shared.emit,
            clock=shared.clock,
            speak=shared.local.speak,
            record=self._record,
            failed=shared.health.record_failure,
        )

    def brain(self, agent: provider_schema.Agent, name: str) -> RealtimeConfig:
        """Return the settings of ``name`` for ``agent``. Raises `NotFound`."""
        table = self.require(name)
        instructions = agent.persona or PERSONA
        if isinstance(table, provider_schema.Pipeline):
            return RealtimeConfig(
                name=name,
                kind="pipeline",
                make=functools.partial(self._create_pipeline, name, self.config),
                config=SessionConfig(
                    instructions=instructions,
                    voice=agent.voice,
                    max_output_tokens=table.max_output_tokens,
                    temperature=table.temperature,
                ),
                first_audio_timeout_s=table.first_audio_timeout_s + LAST_WORD_S,
            )
        return RealtimeConfig(
            name=name,
            kind=table.kind,
            make=self._vendor(name, table),
            config=SessionConfig(
                instructions=instructions,
                voice=agent.voice or table.voice,
                language=table.language,
                turn_detection=table.turn_detection,
            ),
            idle_close_s=table.idle_close_s,
            connect_timeout_s=table.connect_timeout_s,
            first_audio_timeout_s=table.first_audio_timeout_s,
        )

    def _create_pipeline(self, name: str, config: schema.Config) -> BaseProvider:
        return self._pipelines.create(name, config)

    def stages_of(self, name: str) -> tuple[str, ...]:
        """Return what ``name`` is used for: by agents "realtime", in pipelines the lists it is in."""
        alone = any(name in (each.provider, *each.fallback) for each in self.config.agents.values())
        member = [
            stage
            for stage in ("stt", "llm", "tts")
            if any(name in getattr(each, stage) for each in self.config.pipelines.values())
        ]
        return (*([REALTIME] if alone else []), *member)

    async def check(self, name: str) -> None:
        """Find out, at no cost, whether ``name`` can answer. Raises `NotFound`, `ProviderError`."""
        table = self.require(name)
        if isinstance(table, provider_schema.Pipeline):
            await self._pipelines.check(name, self.config)
            return
        stages = self.stages_of(name)
        if REALTIME in stages or (not stages and has_provider(table.kind)):
            await self._open(name, table)
        if {*stages} - {REALTIME} or not (stages or has_provider(table.kind)):
            await self._pipelines.check(name, self.config)

    async def _open(self, name: str, table: provider_schema.ProviderConfig) -> None:
        target = ProviderTarget(self._vendor(name, table), name, table.kind, SessionConfig())
        try:
            async with asyncio.timeout(table.connect_timeout_s):
                session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
        except TimeoutError as error:
            msg = f"{name} did not open a session within {table.connect_timeout_s:g} s"
            raise ConnectionFailed(msg, provider=name, code="timeout") from error
        await close_provider(session, name)

    def reset(self, name: str) -> None:
        """Allow the refused keys of ``name`` again: the user says that they are repaired."""
        if name in self._vendors:
            self._vendors[name].reset()
        if self._opened is not None:
            self._opened.reset(name)

    def _vendor(self, name: str, table: provider_schema.ProviderConfig) -> "Vendor":
        # A device without a cloud never loads websockets.
        from voxd.providers.vendor import Vendor

        known = self._vendors.get(name)
        if known is None or known.section != table:
            shared = self.dependencies
            known = Vendor(name, table, resolver=shared.resolver, emit=shared.emit, clock=shared.clock)
            self._vendors[name] = known
        return known

    @property
    def _pipelines(self) -> "PipelineFactory":
        if self._opened is None:
            self._opened = self._open_pipelines(self.dependencies)
        return self._opened

    def _record(self, name: str, used: Usage, cost: Cost | None) -> None:
        if name in self.config.pipelines:
            return  # its stages report what each of them used
        self.dependencies.emit(
            E.PROVIDER_USED,
            provider=name,
            stage=REALTIME,
            key=0,
            usage=used,
            cost_usd=cost.total if cost is not None else None,
            prices_of=cost.prices_of if cost is not None else "",
        )


def _open_pipelines(dependencies: Dependencies) -> "PipelineFactory":
    # A device without a cloud never loads tenacity, websockets and the vendors.
    from voxd.providers.pipeline.factory import PipelineFactory

    return PipelineFactory(dependencies)


def deferred_instructions(instructions: str, age_s: float) -> str:
    """Return ``instructions`` for a model that answers what was asked ``age_s`` ago."""
    return f"{instructions}\n\n{_DEFERRED.format(ago=ago(age_s))}"


def ago(seconds: float) -> str:
    """Return about how long ago something was, in words: "about 3 hours ago"."""
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length_s):
            return f"about {count} {unit}{'s' if count > 1 else ''} ago"
    return "a moment ago"
