"""Maps each agent to its provider, which is created when first needed and can change at run time."""

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
    """The providers of one device. The local one answers for every agent that names no other."""

    def __init__(self, factory: ProviderFactory) -> None:
        self._factory = factory
        self._dependencies = factory.dependencies
        self._local = factory.dependencies.local
        self._selected: dict[str, str] = {}
        self._realtime: dict[str, dict[str, RealtimeProvider]] = {}
        self._providers: dict[str, Provider] = {}
        self._tasks = TaskScope("router")
        self._set_probes()

    def start(self) -> None:
        """Import in a thread what the configured agents need, so that the first turn does not wait for it."""
        names = {name for agent in self._config.agents for name in self._candidate_names(agent)}
        kinds = {self._config.providers[name].kind for name in names if name in self._config.providers}
        if kinds:
            self._tasks.start(self._load(sorted(kinds)))
        if names & {*self._config.pipelines}:
            self._tasks.start(self._factory.load_pipelines(self._config))

    def provider_for(self, agent: str) -> Provider:
        """Return the provider that answers for ``agent``."""
        if agent not in self._providers:
            self._providers[agent] = self._create(agent)
        return self._providers[agent]

    def name_of(self, agent: str) -> str:
        """Return the name of the provider of ``agent``."""
        return self._selected.get(agent, self._agent(agent).provider)

    def answer_deferred(self, request: Request, age_s: float) -> tuple[str, AsyncGenerator[ReplyItem]]:
        """Return the name of a vendor and its reply to a question that is ``age_s`` old.

        Raises `VoxdError` when no vendor is available.
        """
        failover = self.provider_for(request.agent)
        # The device itself is not tried: it mostly acts, and its answers depend on the time.
        if not isinstance(failover, FailoverProvider):
            raise NotFound(f"the agent {request.agent} has no vendor")
        name = failover.vendor()
        # A session of its own, without tools: hours later a light or a timer would be wrong.
        provider = self._factory.create_deferred(self._agent(request.agent), name, age_s)
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
            await provider.close()

    async def use(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until the next restart; the conversation goes on.

        Waits for the turn under way. Raises `NotFound`, `InvalidRequest` for a stage of a pipeline, and
        `ProviderError` when ``name`` is unavailable and so cannot take over the conversation: then nothing
        changes.
        """
        if agent not in self._config.agents:
            raise NotFound(f"unknown agent {agent}", hint=f"use one of {', '.join(self._config.agents)}")
        if name != self._local.name:
            self._factory.require_answerer(name)
        before = self.name_of(agent)
        if name == before:
            # To select it again is how a user asks for another attempt at once.
            self._factory.reset(name)
            self._dependencies.health.reset(name)
            self._drop_users(name)
            return
        # Taken out before `_drop`, which would close the session that is to go on with the other vendor.
        current = self._realtime.get(agent, {}).pop(before, None)
        if current is not None and name != self._local.name:
            try:
                await current.switch(self._factory.realtime_config(self._agent(agent), name))
            except VoxdError:
                self._realtime[agent][before] = current
                raise
            self._drop(agent)
            self._selected[agent] = name
            self._realtime[agent] = {name: current}
            self._dependencies.health.reset(name)
            return
        self._drop(agent, also=current)
        self._selected[agent] = name
        self._dependencies.emit(E.PROVIDER_CHANGED, **{"from": before, "to": name, "reason": "requested"})

    async def test(self, name: str) -> float:
        """Open a session with ``name``, or check its stages; returns how many milliseconds that took.

        Raises `NotFound`, `ProviderError`.
        """
        if name == self._local.name:
            raise InvalidRequest("the local provider cannot be tested", hint="run `voxctl doctor`")
        # The user tests after a repair: keys that were refused before are tried again.
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
        """Apply a reloaded configuration: what changed is created again at its next turn."""
        old = self._config
        before = {agent: self._candidate_names(agent) for agent in {*self._providers, *self._selected}}
        self._factory.config = config
        changed = _changed(old, config)
        for agent, names in before.items():
            has_changed = old.agents.get(agent) != config.agents.get(agent)
            if has_changed or not self._is_known(self.name_of(agent)):
                self._selected.pop(agent, None)
            if has_changed or self._candidate_names(agent) != names or changed & {*names}:
                self._drop(agent)
        for name in {*old.providers, *old.pipelines} - {*config.providers, *config.pipelines}:
            self._dependencies.health.remove(name)
        self._set_probes()
        if changed or old.agents != config.agents:
            self.start()
        for name in changed:
            # A new key is tried at once, not after the cooldown of the old one.
            self._dependencies.health.reset(name)

    def agents(self) -> tuple[reports.AgentStatus, ...]:
        """Return the provider that answers for each agent, and why it is not the preferred one."""
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
        providers = [each for by_name in self._realtime.values() for each in by_name.values()]
        await asyncio.gather(*(each.forget() for each in providers))

    async def close(self) -> None:
        """Close every session. The owner of the local provider closes that."""
        for agent in tuple({*self._providers, *self._realtime}):
            self._drop(agent)
        await self._tasks.join()

    # --- creation ----------------------------------------------------------------------------------

    @property
    def _config(self) -> schema.Config:
        return self._factory.config

    def _create(self, agent: str) -> Provider:
        table, by_name = self._agent(agent), self._realtime.setdefault(agent, {})
        candidates: list[Provider] = []
        for name in self._candidate_names(agent):
            if name == self._local.name:
                candidates.append(self._local)
                continue
            # A session that outlived a change of provider (`use`) brings its conversation along.
            by_name[name] = by_name.get(name) or self._factory.create_realtime(table, name)
            candidates.append(by_name[name])
        return self._factory.failover(candidates)

    def _candidate_names(self, agent: str) -> tuple[str, ...]:
        """Return the candidates of ``agent``, in order, each once."""
        names = (self.name_of(agent), *self._agent(agent).fallback)
        return tuple(dict.fromkeys(name for name in names if self._is_known(name)))

    def _is_known(self, name: str) -> bool:
        return name in (self._local.name, *self._config.providers, *self._config.pipelines)

    def _agent(self, agent: str) -> provider_schema.Agent:
        return self._config.agents.get(agent) or provider_schema.Agent()

    # --- health -----------------------------------------------------------------------------------

    def _set_probes(self) -> None:
        for name in (*self._config.providers, *self._config.pipelines):
            self._dependencies.health.set_probe(name, functools.partial(self._factory.check, name))
        for name, each in self._config.pipelines.items():
            self._dependencies.health.set_members(name, (each.stt, each.llm, each.tts))

    def _status(self, agent: str) -> reports.AgentStatus:
        provider, name = self._providers.get(agent), self.name_of(agent)
        if isinstance(provider, FailoverProvider) and (problem := provider.problem):
            return reports.AgentStatus(agent, name, provider.answering, f"{problem} ({problem.code})")
        return reports.AgentStatus(agent, name, name, "")

    def _problem(self, name: str) -> str:
        outage = self._dependencies.health.outage(name)
        error = self._dependencies.spend.stopped(name) or (outage.error if outage is not None else None)
        return f"{error} ({error.code})" if error is not None else ""

    def _drop_users(self, name: str) -> None:
        """Create what uses ``name`` again: a new session does not keep the delays of the old one."""
        for agent in tuple(self._providers):
            if name in self._candidate_names(agent):
                self._drop(agent)

    def _drop(self, agent: str, *, also: RealtimeProvider | None = None) -> None:
        self._providers.pop(agent, None)
        for provider in (*self._realtime.pop(agent, {}).values(), *([also] if also is not None else [])):
            # Closing waits for the reply under way: a change of provider does not cut it.
            self._tasks.start(provider.close())

    async def _load(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            try:
                await asyncio.to_thread(provider_class, kind)
            except VoxdError as error:
                _log.warning("%s; %s", error, error.hint)


def _changed(old: schema.Config, new: schema.Config) -> set[str]:
    """Return the names of the providers whose tables differ, and of the pipelines that use one of them."""
    if old.middleware != new.middleware:
        return {*new.providers, *new.pipelines}
    providers = {name for name, each in new.providers.items() if old.providers.get(name) != each}
    pipelines = {
        name
        for name, each in new.pipelines.items()
        if old.pipelines.get(name) != each or providers & {*each.stt, *each.llm, *each.tts}
    }
    return providers | pipelines
