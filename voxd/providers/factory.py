"""Creates the providers that the configuration names: speech-to-speech vendors, pipelines, failover."""

import asyncio
import fnmatch
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from voxd.clock import Clock
from voxd.config import provider_schema, schema
from voxd.config.provider_options import lift_options, read_options
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.events import Emit
from voxd.events import EventType as E
from voxd.net.dns import Resolver
from voxd.net.endpoint_pool import EndpointPool
from voxd.net.keys import ApiKey, KeyPool
from voxd.providers.base import BaseProvider
from voxd.providers.contract import Provider
from voxd.providers.costs import Prices, prices_for, session_cost
from voxd.providers.dependencies import Dependencies
from voxd.providers.facts import default_model
from voxd.providers.pipeline.stages.registry import kinds_of
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider
from voxd.providers.realtime.options import RealtimeOptions
from voxd.providers.realtime.provider import RealtimeConfig, RealtimeProvider
from voxd.providers.registry import has_provider, provider_class
from voxd.providers.routing.failover import FailoverProvider
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import Tool, ToolBox
from voxd.providers.usage import Cost, Usage
from voxd.store.file_cache import FileCache

if TYPE_CHECKING:
    # Only for annotations: `_open_pipelines` puts off the import.
    from voxd.providers.pipeline.factory import PipelineFactory

_log = logging.getLogger(__name__)

PERSONA = (
    "You are a voice assistant in a home, and everything you say is spoken aloud. Answer in one to "
    "three short sentences, in the language you are spoken to, without lists, markup or web addresses. Use "
    "the tools for what this device can do. Say so when you do not know something."
)
"""The instructions of an agent without a persona."""

REALTIME = "realtime"
"""The stage of a speech-to-speech vendor in the usage log."""

# A deferred question gets no tools; a model that does not know this promises what it cannot do.
_DEFERRED = (
    "The user asked what follows {ago}, while you could not be reached. The user is not waiting for it any "
    "more; your answer is delivered later. You cannot do anything on this device now: never say that you "
    "did. If the user wanted something done then, such as a timer or a light, say that it was not done."
)

LAST_WORD_S = 0.25
"""Added to the deadline of a pipeline, which enforces it itself and then names the slow stage."""


class SessionFactory:
    """Creates the sessions of one configured speech-to-speech vendor, with a key and an endpoint that work.

    Calling it returns a new, unconnected session. All sessions share the state of the keys and endpoints.
    """

    def __init__(
        self,
        name: str,
        table: provider_schema.ProviderConfig,
        *,
        resolver: Resolver,
        emit: Emit,
        clock: Clock,
        middleware: tuple[str, ...] = (),
    ) -> None:
        self.table = table
        self.middleware = middleware
        self._lifted = lift_options(table)
        self.prices = Prices()
        self._name = name
        self._resolver = resolver
        self._emit = emit
        self._clock = clock
        # Created when it is needed: most providers have a single key.
        self._keys: KeyPool | None = None
        endpoints = [each for each in (self._lifted.endpoint, *table.endpoints) if each]
        self._endpoints = EndpointPool(endpoints, clock=clock)
        # Sessions open at the same time: a failure counts against the key and endpoint of its own session,
        # not against those that were given out last.
        self._used: WeakKeyDictionary[BaseProvider, tuple[ApiKey, str]] = WeakKeyDictionary()

    def __call__(self) -> BaseProvider:
        """Return a new session. Raises `VoxdError`; a key that was refused lately is not used."""
        # Loads websockets (see tests/test_idle_imports.py), which a device without a cloud does not need.
        from voxd.net.endpoint import fill_placeholders

        table = self._lifted
        key, endpoint = self._next_key(), self._endpoints.take()
        with self._translate_secret_errors():
            headers = {name: value.reveal() for name, value in table.headers.items()}
        headers = fill_placeholders(headers, wall_s=self._clock.wall())
        session = provider_class(table.kind)(
            {
                "prices": self.prices,
                "api_key": key.text,
                "model": table.model,
                "voice": table.voice,
                "endpoint": endpoint,
                "metadata": {**table.options, **({"headers": headers} if headers else {})},
            }
        )
        session.resolver = self._resolver
        if self.middleware:
            # Loads what only pipelines need otherwise.
            from voxd.providers.pipeline.filtered_session import filter_session

            session = filter_session(session, self.middleware, self._clock)
        self._used[session] = key, endpoint
        return session

    def worked(self, session: BaseProvider) -> None:
        """Note that ``session`` has opened."""
        _, endpoint = self._used[session]
        self._endpoints.worked(endpoint)

    def failed(self, session: BaseProvider, error: ProviderError) -> bool:
        """Note that ``session`` did not open; return whether the next one has another key or endpoint."""
        key, endpoint = self._used[session]
        has_other_key = self._keys is not None and self._keys.failed(key, error)
        has_other = self._endpoints.failed(endpoint, error) or has_other_key
        if has_other and isinstance(error, RateLimited):
            # The last one is reported by the code that opens the session.
            wait_s = error.retry_after_s
            self._emit(E.RATE_LIMITED, provider=self._name, limit="vendor", wait_s=wait_s)
        return has_other

    def reset(self) -> None:
        """Allow every refused key again."""
        self._keys = None

    def _next_key(self) -> ApiKey:
        with self._translate_secret_errors():
            secrets = (self.table.api_key, *self.table.api_keys)
            keys = [each.reveal() for each in secrets if each is not None]
        if len(keys) < 2:
            # A single key is always used: the circuit breaker decides when it is tried again.
            return ApiKey(len(keys), keys[0] if keys else "")
        if self._keys is None:
            self._keys = KeyPool(self._name, keys, emit=self._emit, clock=self._clock)
        return self._keys.take()

    @contextmanager
    def _translate_secret_errors(self) -> Iterator[None]:
        """Treat a secret that cannot be read like a key that the vendor refuses."""
        try:
            yield
        except ConfigError as error:
            raise AuthenticationError(str(error), provider=self._name) from error


class ProviderFactory:
    """Creates the providers of the configuration in force; the router owns them.

    ``open_pipelines`` creates the factory of the pipelines.
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
        self._sessions: dict[str, SessionFactory] = {}

    async def start(self) -> None:
        """Delete the cached phrases of an earlier start if the cache is turned off now."""
        if not self.dependencies.phrases_bytes:
            await FileCache(self.dependencies.phrases_dir, limit_bytes=0).clear()

    async def load_pipelines(self, config: schema.Config) -> None:
        """Import what the pipelines of ``config`` need before the first turn does; never raises."""
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
        table = self.config.providers.get(name) or self.config.pipelines.get(name)
        if table is None:
            names = ", ".join([self.dependencies.local.name, *self.config.providers, *self.config.pipelines])
            raise NotFound(f"unknown provider {name}", hint=f"use one of {names}, or add [providers.{name}]")
        return table

    def require_answerer(self, name: str) -> None:
        """Raise `NotFound` when ``name`` does not exist, `InvalidRequest` when it is only a stage."""
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
        """Return a provider that tries ``candidates`` in order."""
        shared = self.dependencies
        # Without a vendor nothing is queued, because none could answer later, and the device says its own
        # errors.
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

    def create_realtime(self, agent: provider_schema.Agent, name: str) -> RealtimeProvider:
        """Return ``name`` with the persona, voice and tools of ``agent``. Raises `NotFound`."""
        tools = [
            tool
            for tool in self.dependencies.tools()
            if any(fnmatch.fnmatchcase(tool.name, glob) for glob in agent.tools)
        ]
        return self._create_realtime(self.realtime_config(agent, name), tools)

    def create_deferred(self, agent: provider_schema.Agent, name: str, age_s: float) -> RealtimeProvider:
        """Return ``name`` without tools, for a question that is ``age_s`` old. Raises `NotFound`."""
        config = self.realtime_config(agent, name)
        instructions = deferred_instructions(config.config.instructions, age_s)
        session = msgspec.structs.replace(config.config, instructions=instructions)
        return self._create_realtime(replace(config, config=session), ())

    def _create_realtime(self, config: RealtimeConfig, tools: Sequence[Tool]) -> RealtimeProvider:
        shared = self.dependencies
        return RealtimeProvider(
            config,
            tools=ToolBox(tools),
            emit=shared.emit,
            clock=shared.clock,
            speak=shared.local.speak,
            record=self._record,
            failed=shared.health.record_failure,
        )

    def realtime_config(self, agent: provider_schema.Agent, name: str) -> RealtimeConfig:
        """Return the settings of ``name`` for ``agent``. Raises `NotFound`."""
        table, config = self.require(name), self.config
        instructions = agent.persona or PERSONA
        if isinstance(table, provider_schema.Pipeline):
            return RealtimeConfig(
                name=name,
                kind="pipeline",
                make=lambda: self._pipelines.create(name, config),
                # Turn detection stays "client": in a pipeline no vendor hears the whole turn.
                config=SessionConfig(
                    instructions=instructions,
                    voice=agent.voice,
                    max_output_tokens=table.max_output_tokens,
                    temperature=table.temperature,
                ),
                first_audio_timeout_s=table.first_audio_timeout_s + LAST_WORD_S,
                max_tool_rounds=table.max_tool_rounds,
            )
        if config.middleware.message and not config.middleware.audio:
            raise InvalidRequest(
                f"message middleware cannot filter sound, and {name} is speech to speech",
                hint='use a pipeline, or set audio = "unfiltered" in [middleware]',
            )
        lifted, limits = lift_options(table), read_options(table.options, RealtimeOptions)
        return RealtimeConfig(
            name=name,
            kind=table.kind,
            make=self._session_factory(name, table),
            config=SessionConfig(
                instructions=instructions,
                voice=agent.voice or lifted.voice,
                language=lifted.language,
                temperature=limits.temperature,
                max_output_tokens=limits.max_tokens,
                turn_detection=table.turn_detection,
            ),
            idle_close_s=table.idle_close_s,
            connect_timeout_s=table.connect_timeout_s,
            first_audio_timeout_s=table.first_audio_timeout_s,
            max_tool_rounds=table.max_tool_rounds,
        )

    def stages_of(self, name: str) -> tuple[str, ...]:
        """Return the stages that use ``name``: "realtime" for agents, the names of lists for pipelines."""
        is_realtime = any(name in (each.provider, *each.fallback) for each in self.config.agents.values())
        lists = [
            stage
            for stage in ("stt", "llm", "tts")
            if any(name in getattr(each, stage) for each in self.config.pipelines.values())
        ]
        return (*([REALTIME] if is_realtime else []), *lists)

    async def check(self, name: str) -> None:
        """Find out, at no cost, whether ``name`` can answer. Raises `NotFound`, `ProviderError`."""
        table = self.require(name)
        if isinstance(table, provider_schema.Pipeline):
            await self._pipelines.check(name, self.config)
            return
        # A provider that nothing uses is checked as what its kind can be: a session first, else its stages.
        stages = self.stages_of(name)
        if REALTIME in stages or (not stages and has_provider(table.kind)):
            target = ProviderTarget(self._session_factory(name, table), name, table.kind, SessionConfig())
            try:
                async with asyncio.timeout(table.connect_timeout_s):
                    session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
            except TimeoutError as error:
                msg = f"{name} did not open a session within {table.connect_timeout_s:g} s"
                raise ConnectionFailed(msg, provider=name, code="timeout") from error
            # The session was only opened: vendors bill what is said in it.
            await close_provider(session, name)
        if {*stages} - {REALTIME} or not (stages or has_provider(table.kind)):
            await self._pipelines.check(name, self.config)

    def reset(self, name: str) -> None:
        """Allow the refused keys of ``name`` again: the user has repaired them."""
        if name in self._sessions:
            self._sessions[name].reset()
        if self._opened is not None:
            self._opened.reset(name)

    def _session_factory(self, name: str, table: provider_schema.ProviderConfig) -> SessionFactory:
        known = self._sessions.get(name)
        # A changed table starts without refused keys; sessions that are open keep their old factory.
        chain = self.config.middleware.message
        if known is None or known.table != table or known.middleware != chain:
            shared = self.dependencies
            known = SessionFactory(
                name,
                table,
                resolver=shared.resolver,
                emit=shared.emit,
                clock=shared.clock,
                middleware=chain,
            )
            self._sessions[name] = known
        # They may change without the table, and the record of refused keys stays.
        known.prices = prices_for(self.config, name)
        return known

    @property
    def _pipelines(self) -> "PipelineFactory":
        if self._opened is None:
            self._opened = self._open_pipelines(self.dependencies)
        return self._opened

    def _record(self, name: str, used: Usage, cost: Cost | None) -> None:
        if name in self.config.pipelines:
            return  # each of its stages reports its own usage
        table = self.config.providers.get(name)
        model = table.model or default_model(table.kind, REALTIME) if table is not None else ""
        cost = session_cost(cost, used, prices_for(self.config, name), model=model)
        self.dependencies.emit(
            E.PROVIDER_USED,
            provider=name,
            stage=REALTIME,
            key=0,
            usage=used,
            cost_usd=cost.total if cost is not None else None,
            prices_of=cost.prices_of if cost is not None else "",
            model=model,
            is_upper_estimate=cost is not None and cost.is_upper_estimate,
        )


def _open_pipelines(dependencies: Dependencies) -> "PipelineFactory":
    # Pipelines need 1 MB, and 15 MB with a vendor, tenacity and websockets: not for an idle device.
    from voxd.providers.pipeline.factory import PipelineFactory

    return PipelineFactory(dependencies)


def deferred_instructions(instructions: str, age_s: float) -> str:
    """Return ``instructions`` for a model that answers a question of ``age_s`` ago."""
    return f"{instructions}\n\n{_DEFERRED.format(ago=ago(age_s))}"


def ago(seconds: float) -> str:
    """Return about how long ago something was, in words: "about 3 hours ago"."""
    for unit, length_s in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length_s):
            return f"about {count} {unit}{'s' if count > 1 else ''} ago"
    return "a moment ago"
