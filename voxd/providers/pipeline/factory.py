"""Builds the pipelines of the device, each once; its sessions share the stages."""

import functools
from collections.abc import Iterable

from voxd.clock import Clock
from voxd.config import schema
from voxd.config.provider_schema import Pipeline, ProviderConfig
from voxd.errors import NotFound, ProviderError, VoxdError
from voxd.local.engines import GRAMMAR_BOUND
from voxd.net.http import HttpClient
from voxd.net.transport import Budget
from voxd.providers.costs import prices_for
from voxd.providers.dependencies import Dependencies
from voxd.providers.pipeline.builder import PipelineBuilder, PipelineDependencies
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.local_stages import LocalEngines
from voxd.providers.pipeline.middleware import load_middleware
from voxd.providers.pipeline.phrase_cache import PhraseCache
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.contract import PipelineStage, StageKind
from voxd.providers.pipeline.stages.registry import kinds_of, language_model, speech_to_text, text_to_speech
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard

MIDDLEWARE = "voxd.middleware"
"""The entry point group in which packages list their middleware."""

CHECK_S = 5.0
"""Deadline of a check of one stage."""

_Built = tuple[PipelineBuilder, Pipeline, dict[str, ProviderConfig], PipelineDependencies]


def limited_providers(config: schema.Config, names: Iterable[str]) -> dict[str, ProviderConfig]:
    """Return the tables of the providers among ``names``, with the limits that hold for all of them."""
    limit = config.rate_limit.limit
    return {name: limit(config.providers[name]) for name in names if name in config.providers}


class Availability:
    """Whether a member of a pipeline may be used: it is healthy and below its spending limit."""

    def __init__(self, health: CircuitBreaker, spend: SpendGuard) -> None:
        self._health = health
        self._spend = spend
        self.record_failure = health.record_failure
        self.record_success = health.record_success

    def is_healthy(self, name: str) -> bool:
        """Whether ``name`` may be used now."""
        return self._spend.stopped(name) is None and self._health.is_healthy(name)

    def can_try(self, name: str) -> bool:
        """Whether ``name`` may be tried when no healthy member is left; never above a spending limit."""
        return self._spend.stopped(name) is None and self._health.can_try(name)


class PipelineFactory:
    """Builds each pipeline when it is first needed, and again when its tables have changed."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.http = HttpClient(dependencies.resolver)
        self._emit = dependencies.emit
        self._clock: Clock = dependencies.clock
        self._phrases = (
            PhraseCache(dependencies.phrases_dir, limit_bytes=dependencies.phrases_bytes, emit=self._emit)
            if dependencies.phrases_bytes
            else None
        )
        self._engines = LocalEngines(
            dependencies.transcriber,
            dependencies.synthesizer,
            is_open_vocabulary=dependencies.transcriber.status().active != GRAMMAR_BOUND,
        )
        self._health = Availability(dependencies.health, dependencies.spend)
        self._latencies = Latencies()
        self._builders: list[tuple[schema.Middleware, PipelineBuilder]] = []
        self._built: dict[str, _Built] = {}
        # Replaced pipelines: a session may still use their stages, so only `close` closes them.
        self._old: list[PipelineDependencies] = []

    def create(self, name: str, config: schema.Config) -> PipelineProvider:
        """Return a new, unconnected session of pipeline ``name``. Raises `VoxdError`."""
        if name not in config.pipelines:
            raise NotFound(f"unknown pipeline {name}", hint=f"add [pipelines.{name}]")
        prices = functools.partial(prices_for, config)
        return PipelineProvider({"parts": self._parts(name, config), "prices": prices})

    async def check(self, name: str, config: schema.Config) -> None:
        """Check at no cost whether ``name`` (a pipeline, or a provider of stages) is available.

        A pipeline is while one stage of each list is. Raises `VoxdError`.
        """
        if name in config.pipelines:
            for stages in _lists(self._parts(name, config)):
                await self._check_any(stages)
            return
        kinds = kinds_of(config.providers[name].kind)
        stt, llm, tts = ((name,) if kind in kinds else () for kind in StageKind)
        # A pipeline of this provider alone: its stages are built as for a turn, so the check meets the same
        # errors.
        settings = Pipeline(stt=stt, llm=llm, tts=tts, hedge=False)
        parts = self._builder(config.middleware).build(settings, limited_providers(config, config.providers))
        try:
            for stages in _lists(parts):
                for stage in stages:
                    await self._check(stage)
        finally:
            await parts.close()

    def load(self, config: schema.Config) -> None:
        """Import what the pipelines of ``config`` need; call it in a thread. Raises `VoxdError`."""
        for pipeline in config.pipelines.values():
            for names, find in (
                (pipeline.stt, speech_to_text),
                (pipeline.llm, language_model),
                (pipeline.tts, text_to_speech),
            ):
                for name in names:
                    if name in config.providers:
                        find(config.providers[name].kind)

    def reset(self, name: str) -> None:
        """Forget the refused keys of ``name``, a pipeline or a member."""
        # Of a pipeline, the members: they hold the keys.
        clients = {name}
        for pipeline, (_, _, members, parts) in tuple(self._built.items()):
            if name == pipeline or name in members:
                del self._built[pipeline]
                self._old.append(parts)
                clients.update(members)
        for _, builder in self._builders:
            for client in clients:
                builder.forget_client(client)

    async def forget(self) -> None:
        """Forget every cached answer and every cached phrase."""
        for parts in self._all():
            if parts.answers is not None:
                parts.answers.forget()
        if self._phrases is not None:
            await self._phrases.forget()

    async def close(self) -> None:
        """Close everything; idempotent."""
        for parts in self._all():
            await parts.close()
        if self._phrases is not None:
            await self._phrases.close()
        await self.http.close()

    def _all(self) -> list[PipelineDependencies]:
        return [*(parts for *_, parts in self._built.values()), *self._old]

    def _builder(self, middleware: schema.Middleware) -> PipelineBuilder:
        """Return the builder with the user's ``middleware``. Raises `NotFound`, `ConfigError`."""
        for known, builder in self._builders:
            if known == middleware:
                return builder
        builder = PipelineBuilder(
            http=self.http,
            health=self._health,
            emit=self._emit,
            clock=self._clock,
            latencies=self._latencies,
            engines=self._engines,
            phrases=self._phrases,
            middleware=tuple(map(load_middleware, middleware.message)),
            request_middleware=tuple(map(load_middleware, middleware.request)),
        )
        self._builders.append((middleware, builder))
        return builder

    def _parts(self, name: str, config: schema.Config) -> PipelineDependencies:
        builder, settings = self._builder(config.middleware), config.pipelines[name]
        names = {*settings.stt, *settings.llm, *settings.tts}
        providers = limited_providers(config, names)
        known = self._built.get(name)
        if known is not None:
            if known[0] is builder and known[1:3] == (settings, providers):
                return known[3]
            # A session may still use its stages, so they are closed by `close`.
            self._old.append(known[3])
            del self._built[name]
        parts = builder.build(settings, providers)
        self._built[name] = builder, settings, providers, parts
        return parts

    async def _check_any(self, stages: tuple[PipelineStage, ...]) -> None:
        problem: VoxdError = ProviderError("a list of the pipeline is empty")
        for stage in stages:
            try:
                await self._check(stage)
                return
            except VoxdError as error:
                problem = error
        raise problem

    async def _check(self, stage: PipelineStage) -> None:
        # Not retried: the circuit breaker repeats the whole check.
        await stage.check(Budget(self._clock.monotonic() + CHECK_S, retries=0))


def _lists(parts: PipelineDependencies) -> tuple[tuple[PipelineStage, ...], ...]:
    return parts.stt.candidates.stages, parts.llm.candidates.stages, parts.tts.candidates.stages
