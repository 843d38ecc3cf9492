"""Chooses the provider of each agent: built when first needed, changed while the device runs."""

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from voxd import reports
from voxd.config import provider_schema, schema
from voxd.config.provider_schema import LOCAL
from voxd.errors import InvalidRequest, NotFound, VoxdError
from voxd.events import EventType as E
from voxd.providers.contract import Provider, ReplyItem, Request
from voxd.providers.factory import ProviderFactory
from voxd.providers.realtime.provider import RealtimeProvider
from voxd.providers.registry import provider_class
from voxd.providers.routing.failover import FAILOVER_ERRORS, FailoverProvider
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)


class Router:
    """The providers of one device; ``house.local`` answers for every agent that names no other."""

    def __init__(self, factory: ProviderFactory) -> None:
        self._factory = factory
        self._dependencies = factory.dependencies
        self._local = factory.dependencies.local
        self._chosen: dict[str, str] = {}
        self._live: dict[str, dict[str, RealtimeProvider]] = {}
        self._made: dict[str, Provider] = {}
        self._tasks = TaskScope("router")
        self._watch()

    def start(self) -> None:
        """Load, in a thread, what the configured agents need: the next wake word shall not wait for it."""
        names = {name for agent in self._config.agents for name in self._names(agent)}
        kinds = {self._config.providers[name].kind for name in names if name in self._config.providers}
        if kinds:
            self._tasks.start(self._load(sorted(kinds)))
        if names & {*self._config.pipelines}:
            self._tasks.start(self._factory.load_pipelines(self._config))

    def provider_for(self, agent: str) -> Provider:
        """Return the provider that answers for ``agent``."""
        if agent not in self._made:
            self._made[agent] = self._make(agent)
        return self._made[agent]

    def name_of(self, agent: str) -> str:
        """Return the name of the provider of ``agent``."""
        return self._chosen.get(agent, self._agent(agent).provider)

    def answer_deferred(self, request: Request, age_s: float) -> tuple[str, AsyncGenerator[ReplyItem]]:
        """Return a vendor and its reply to a question that is ``age_s`` old. Raises why there is none.

        It has a session of its own, without tools: hours later a light or a timer would be wrong. The device
        itself is not tried: it mostly acts, and its answers depend on the time.
        """
        made = self.provider_for(request.agent)
        if not isinstance(made, FailoverProvider):
            raise NotFound(f"no vendor answers for the agent {request.agent}")
        name = made.vendor()
        provider = self._factory.late(self._agent(request.agent), name, age_s)
        return name, self._reply_deferred(provider, request)

    async def _reply_deferred(self, provider: Provider, request: Request) -> AsyncGenerator[ReplyItem]:
        try:
            async with aclosing(provider.converse(request)) as replies:
                async for item in replies:
                    yield item
            self._dependencies.health.record_success(provider.name)
        except FAILOVER_ERRORS as error:
            self._dependencies.health.record_failure(provider.name, error)
            raise
        finally:
            # It was made for this one question.
            await provider.close()

    async def use(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until the next restart; the conversation goes on.

        Waits for the turn under way. Raises `NotFound`, `InvalidRequest` for a stage of a pipeline,
        and `ProviderError` when there is a conversation to be carried over and ``name`` cannot be had: then
        everything stays as it was.
        """
        self._require_agent(agent)
        if name != self._local.name:
            self._factory.require_answerer(name)
        before = self.name_of(agent)
        if name == before:
            self._factory.reset(name)
            self._dependencies.health.reset(name)
            self._drop_users(name)
            return
        live = self._live.get(agent, {}).pop(before, None)
        if live is not None and name != self._local.name:
            try:
                await live.switch(self._factory.brain(self._agent(agent), name))
            except VoxdError:
                self._live[agent][before] = live
                raise
            self._drop(agent)
            self._chosen[agent] = name
            self._live[agent] = {name: live}
            self._dependencies.health.reset(name)
            return
        self._drop(agent, also=live)
        self._chosen[agent] = name
        self._dependencies.emit(E.PROVIDER_CHANGED, **{"from": before, "to": name, "reason": "requested"})

    async def test(self, name: str) -> float:
        """Find out whether ``name`` can answer: open a session, or ask each stage; returns milliseconds.

        Raises `NotFound`, `ProviderError`.
        """
        if name == self._local.name:
            raise InvalidRequest("the device itself needs no test", hint="run `voxctl doctor`")
        if self._dependencies.health.outage(name) is not None:
            self._factory.reset(name)
        begun_s = self._dependencies.clock.monotonic()
        await self._factory.check(name)
        latency_ms = (self._dependencies.clock.monotonic() - begun_s) * 1000
        if self._dependencies.health.outage(name) is not None:
            self._dependencies.health.record_success(name)
            self._drop_users(name)
        return latency_ms

    def configure(self, config: schema.Config) -> None:
        """Apply a reloaded configuration: what changed is rebuilt with its next turn."""
        old = self._config
        before = {agent: self._names(agent) for agent in {*self._made, *self._chosen}}
        self._factory.config = config
        changed = _changed(old, config)
        for agent, names in before.items():
            section = old.agents.get(agent) != config.agents.get(agent)
            if section or not self._is_known(self.name_of(agent)):
                self._chosen.pop(agent, None)
            if section or self._names(agent) != names or changed & {*names}:
                self._drop(agent)
        for name in {*old.providers, *old.pipelines} - {*config.providers, *config.pipelines}:
            self._dependencies.health.remove(name)
        self._watch()
        if changed or old.agents != config.agents:
            self.start()
        for name in changed:
            # A new key, say, is tried at once and not when the old one would have been tried again.
            self._dependencies.health.reset(name)

    def agents(self) -> tuple[reports.AgentStatus, ...]:
        """Return which provider answers for each agent, and why it is not the preferred one."""
        return tuple(self._status(agent) for agent in self._config.agents)

    def providers(self) -> tuple[reports.ProviderEntry, ...]:
        """Return the device itself, the configured providers and pipelines, and their problems."""
        used: dict[str, list[str]] = {}
        for agent in self._config.agents:
            used.setdefault(self.name_of(agent), []).append(agent)
        described = [
            (self._local.name, LOCAL, "", ()),
            *(
                (name, each.kind, each.model, self._factory.stages_of(name))
                for name, each in self._config.providers.items()
            ),
            *(
                (name, "pipeline", "", tuple(map("/".join, (each.stt, each.llm, each.tts))))
                for name, each in self._config.pipelines.items()
            ),
        ]
        return tuple(
            reports.ProviderEntry(name, kind, model, tuple(used.get(name, ())), self._problem(name), stages)
            for name, kind, model, stages in described
        )

    async def forget(self) -> None:
        """Forget every conversation, here and at the vendors."""
        every = [live for lives in self._live.values() for live in lives.values()]
        await asyncio.gather(*(live.forget() for live in every))

    async def close(self) -> None:
        """Close every session; the local provider is its owner's."""
        for agent in tuple({*self._made, *self._live}):
            self._drop(agent)
        await self._tasks.join()

    # --- building ----------------------------------------------------------------------------------

    @property
    def _config(self) -> schema.Config:
        return self._factory.config

    def _make(self, agent: str) -> Provider:
        section, lives = self._agent(agent), self._live.setdefault(agent, {})
        candidates: list[Provider] = []
        for name in self._names(agent):
            if name == self._local.name:
                candidates.append(self._local)
                continue
            lives[name] = lives.get(name) or self._factory.live(section, name)
            candidates.append(lives[name])
        return self._factory.failover(candidates)

    def _names(self, agent: str) -> tuple[str, ...]:
        """Return the candidates of ``agent``, in order, each once."""
        names = (self.name_of(agent), *self._agent(agent).fallback)
        return tuple(dict.fromkeys(name for name in names if self._is_known(name)))

    def _is_known(self, name: str) -> bool:
        return name in (self._local.name, *self._config.providers, *self._config.pipelines)

    def _agent(self, agent: str) -> provider_schema.Agent:
        return self._config.agents.get(agent) or provider_schema.Agent()

    def _require_agent(self, agent: str) -> None:
        if agent not in self._config.agents:
            raise NotFound(f"there is no agent {agent}", hint=f"use one of {', '.join(self._config.agents)}")

    # --- watching ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        for name in (*self._config.providers, *self._config.pipelines):
            self._dependencies.health.set_probe(name, functools.partial(self._factory.check, name))
        for name, each in self._config.pipelines.items():
            self._dependencies.health.set_members(name, (each.stt, each.llm, each.tts))

    def _status(self, agent: str) -> reports.AgentStatus:
        made, name = self._made.get(agent), self.name_of(agent)
        problem = made.problem if isinstance(made, FailoverProvider) else None
        if problem is None or not isinstance(made, FailoverProvider):
            return reports.AgentStatus(agent, name, name, "")
        return reports.AgentStatus(agent, name, made.answering, f"{problem} ({problem.code})")

    def _problem(self, name: str) -> str:
        illness = self._dependencies.health.outage(name)
        error = self._dependencies.spend.stopped(name) or (illness.error if illness is not None else None)
        return f"{error} ({error.code})" if error is not None else ""

    def _drop_users(self, name: str) -> None:
        """Rebuild the providers that use ``name``: a new session does not keep the waits of the old one."""
        for agent in tuple(self._made):
            if name in self._names(agent):
                self._drop(agent)

    def _drop(self, agent: str, *, also: RealtimeProvider | None = None) -> None:
        self._made.pop(agent, None)
        for live in (*self._live.pop(agent, {}).values(), *([also] if also is not None else [])):
            self._tasks.start(live.close())

    async def _load(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            try:
                await asyncio.to_thread(provider_class, kind)
            except VoxdError as error:
                _log.warning("%s; %s", error, error.hint)


def _changed(old: schema.Config, new: schema.Config) -> set[str]:
    """Return the names of providers, and of pipelines they are part of, that are not what they were."""
    providers = {name for name, each in new.providers.items() if old.providers.get(name) != each}
    pipelines = {
        name
        for name, each in new.pipelines.items()
        if old.pipelines.get(name) != each
        or providers & {*each.stt, *each.llm, *each.tts}
        or old.middleware != new.middleware
    }
    return providers | pipelines
