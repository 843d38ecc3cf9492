"""Knows who answers for each agent: built when first needed, changed while the device runs."""

import asyncio
import fnmatch
import functools
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from voxd import api
from voxd.clock import Clock
from voxd.config import schema, vendors
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    VoxdError,
)
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.providers.account import Record
from voxd.providers.base import BaseProvider
from voxd.providers.contract import Provider
from voxd.providers.fallback import FallbackProvider
from voxd.providers.live import Brain, LiveProvider
from voxd.providers.opening import Target, open_once, shut
from voxd.providers.registry import provider_class
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox

_log = logging.getLogger(__name__)

PERSONA = (
    "You are a voice assistant in somebody's home, and everything you say is spoken aloud. Answer in one to "
    "three short sentences, in the language you are spoken to, without lists, markup or web addresses. Use "
    "the tools for what this device can do. Say so when you do not know something."
)
"""What a model is told that was given no persona."""


class Router:
    """The providers of one device. ``local`` answers for every agent that names no other.

    ``tools`` returns what the device can do, for models to call.
    """

    def __init__(
        self,
        config: schema.Config,
        local: Provider,
        *,
        tools: Callable[[], Sequence[Tool]],
        emit: Emit,
        clock: Clock,
        record: Record,
    ) -> None:
        self._config = config
        self._local = local
        self._tools = tools
        self._emit = emit
        self._clock = clock
        self._record = record
        self._chosen: dict[str, str] = {}
        self._live: dict[str, LiveProvider] = {}
        self._made: dict[str, Provider] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Load, in a thread, what the configured agents need: the first wake word shall not wait for it."""
        names = {self.name_of(agent) for agent in self._config.agents} - {self._local.name}
        kinds = {self._config.providers[name].kind for name in names if name in self._config.providers}
        if kinds:
            self._spawn(self._load(sorted(kinds)))

    def provider_for(self, agent: str) -> Provider:
        """Return who answers for ``agent``."""
        if agent not in self._made:
            self._made[agent] = self._make(agent)
        return self._made[agent]

    def name_of(self, agent: str) -> str:
        """Return the name of the provider of ``agent``."""
        return self._chosen.get(agent, self._agent(agent).provider)

    async def use(self, agent: str, name: str) -> None:
        """Let provider ``name`` answer for ``agent`` until the next restart; the conversation goes on.

        Waits for the turn under way. Raises `NotFound`, and `ProviderError` when there is a conversation
        to be carried over and ``name`` cannot be had: then everything stays as it was.
        """
        self._require_agent(agent)
        if name != self._local.name:
            self._require(name)
        before = self.name_of(agent)
        if name == before:
            self._try_again(name)
            return
        live = self._live.get(agent)
        if live is not None and name != self._local.name:
            await live.switch(self._brain(agent, name))
            self._chosen[agent] = name
            made = self._made[agent]
            if isinstance(made, FallbackProvider):
                made.recover()
            return
        self._drop(agent)
        self._chosen[agent] = name
        self._emit(E.PROVIDER_CHANGED, **{"from": before, "to": name, "reason": "requested"})

    async def test(self, name: str) -> float:
        """Open a session with ``name`` and close it; returns the milliseconds it took to open.

        Raises `NotFound`, `ProviderError`.
        """
        if name == self._local.name:
            raise InvalidRequest("the device itself needs no test", hint="run `voxctl doctor`")
        provider = self._require(name)
        target = Target(functools.partial(_built, name, provider), name, provider.kind, SessionConfig())
        begun_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(provider.connect_timeout_s):
                session = await open_once(target, lambda _, config: config, (), lambda _, event: None)
        except TimeoutError as error:
            msg = f"{name} did not open a session within {provider.connect_timeout_s:g} s"
            raise ConnectionFailed(msg, provider=name, code="timeout") from error
        latency_ms = (self._clock.monotonic() - begun_s) * 1000
        await shut(session, name)
        self._try_again(name)
        return latency_ms

    def configure(self, config: schema.Config) -> None:
        """Apply a reloaded configuration: whoever changed is built anew with its next turn."""
        old = self._config
        before = {agent: self.name_of(agent) for agent in {*self._made, *self._chosen}}
        self._config = config
        for agent, name in before.items():
            told = old.agents.get(agent) != config.agents.get(agent)
            if told or name not in {self._local.name, *config.providers}:
                self._chosen.pop(agent, None)
            if told or self.name_of(agent) != name or old.providers.get(name) != config.providers.get(name):
                self._drop(agent)

    def agents(self) -> tuple[api.AgentStatus, ...]:
        """Return who answers for each agent, and why not whoever should."""
        return tuple(self._status(agent) for agent in self._config.agents)

    def providers(self) -> tuple[api.ProviderEntry, ...]:
        """Return the configured providers; the device itself comes first."""
        used: dict[str, list[str]] = {}
        for agent in self._config.agents:
            used.setdefault(self.name_of(agent), []).append(agent)
        problems = {status.provider: status.problem for status in self.agents() if status.problem}
        local = api.ProviderEntry(self._local.name, "local", "", tuple(used.get(self._local.name, ())), "")
        return (
            local,
            *(
                api.ProviderEntry(
                    name, each.kind, each.model, tuple(used.get(name, ())), problems.get(name, "")
                )
                for name, each in self._config.providers.items()
            ),
        )

    async def forget(self) -> None:
        """Forget every conversation, here and with the vendors."""
        await asyncio.gather(*(live.forget() for live in self._live.values()))

    async def close(self) -> None:
        """Close every session; the local provider is its owner's."""
        for agent in tuple(self._made):
            self._drop(agent)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- making -----------------------------------------------------------------------------------

    def _make(self, agent: str) -> Provider:
        name = self.name_of(agent)
        if name == self._local.name:
            return self._local
        wanted = self._agent(agent).tools
        tools = [
            tool for tool in self._tools() if any(fnmatch.fnmatchcase(tool.name, glob) for glob in wanted)
        ]
        self._live[agent] = live = LiveProvider(
            self._brain(agent, name),
            tools=ToolBox(tools),
            emit=self._emit,
            clock=self._clock,
            speak=self._local.speak,
            record=self._record,
        )
        if not self._agent(agent).fallback:
            return live
        return FallbackProvider(live, self._local, emit=self._emit, clock=self._clock)

    def _brain(self, agent: str, name: str) -> Brain:
        told, provider = self._agent(agent), self._require(name)
        return Brain(
            name=name,
            kind=provider.kind,
            make=functools.partial(_built, name, provider),
            config=SessionConfig(
                instructions=told.persona or PERSONA,
                voice=told.voice or provider.voice,
                turn_detection=provider.turn_detection,
            ),
            idle_close_s=provider.idle_close_s,
            connect_timeout_s=provider.connect_timeout_s,
            first_audio_timeout_s=provider.first_audio_timeout_s,
        )

    def _agent(self, agent: str) -> vendors.Agent:
        return self._config.agents.get(agent) or vendors.Agent()

    def _require_agent(self, agent: str) -> None:
        if agent not in self._config.agents:
            raise NotFound(f"there is no agent {agent}", hint=f"use one of {', '.join(self._config.agents)}")

    def _require(self, name: str) -> vendors.Provider:
        provider = self._config.providers.get(name)
        if provider is None:
            names = ", ".join([self._local.name, *self._config.providers])
            raise NotFound(
                f"there is no provider {name}", hint=f"use one of {names}, or add [providers.{name}]"
            )
        return provider

    # --- keeping ----------------------------------------------------------------------------------

    def _status(self, agent: str) -> api.AgentStatus:
        made, name = self._made.get(agent), self.name_of(agent)
        outage = made.outage if isinstance(made, FallbackProvider) else None
        if outage is None:
            return api.AgentStatus(agent, name, name, "")
        return api.AgentStatus(agent, name, self._local.name, f"{outage.error} ({outage.error.code})")

    def _try_again(self, name: str) -> None:
        """End the outage of provider ``name``; a new session knows nothing of waits the old one was given."""
        for agent, made in tuple(self._made.items()):
            if isinstance(made, FallbackProvider) and made.name == name and made.outage is not None:
                made.recover()
                self._drop(agent)

    def _drop(self, agent: str) -> None:
        made = self._made.pop(agent, None)
        self._live.pop(agent, None)
        if made is not None and made is not self._local:
            self._spawn(made.close())

    async def _load(self, kinds: Sequence[str]) -> None:
        for kind in kinds:
            try:
                await asyncio.to_thread(provider_class, kind)
            except VoxdError as error:
                _log.warning("%s; %s", error, error.hint)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _built(name: str, provider: vendors.Provider) -> BaseProvider:
    """Return a new provider, as the configuration says. Raises `VoxdError`."""
    try:
        key = provider.api_key.reveal() if provider.api_key is not None else ""
    except ConfigError as error:
        raise AuthenticationError(str(error), provider=name) from error
    return provider_class(provider.kind)(
        {
            "api_key": key,
            "model": provider.model,
            "voice": provider.voice,
            "endpoint": provider.endpoint,
            "metadata": dict(provider.options),
        }
    )
