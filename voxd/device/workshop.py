"""Where the device's pipelines are built: lines to vendors, caches, the user's own middleware."""

from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from voxd.clock import Clock
from voxd.config import schema
from voxd.errors import ConfigError, NotFound
from voxd.events import Emit
from voxd.local.chain import TranscriberChain
from voxd.local.contract import Synthesizer
from voxd.local.engines import GRAMMAR_BOUND
from voxd.net.dns import Resolver
from voxd.net.http import HttpClient
from voxd.providers.pipeline.building import Ground, Pipelines
from voxd.providers.pipeline.candidates import StageHealth
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.lines import Lines
from voxd.providers.pipeline.local_stages import LocalEngines
from voxd.providers.pipeline.phrase_cache import PhraseCache
from voxd.providers.pipeline.provider import PipelineProvider
from voxd.providers.pipeline.stages.registry import language_model, speech_to_text, text_to_speech

MIDDLEWARE = "voxd.middleware"
"""The entry point group in which packages name their middleware."""


class Workshop:
    """Owns what all pipelines share. ``phrases_bytes`` 0 keeps none."""

    def __init__(
        self,
        transcriber: TranscriberChain,
        synthesizer: Synthesizer,
        *,
        health: StageHealth,
        phrases_dir: Path,
        phrases_bytes: int,
        resolver: Resolver,
        emit: Emit,
        clock: Clock,
    ) -> None:
        self.http = HttpClient(resolver)
        self.phrases = (
            PhraseCache(phrases_dir, limit_bytes=phrases_bytes, emit=emit) if phrases_bytes else None
        )
        hears_anything = transcriber.status().active != GRAMMAR_BOUND
        self._engines = LocalEngines(transcriber, synthesizer, hears_anything)
        self._health = health
        self._latencies = Latencies()
        self._emit = emit
        self._clock = clock
        self._built: list[tuple[schema.Middleware, Pipelines]] = []

    def pipelines(self, config: schema.Config) -> Pipelines:
        """Return the pipelines with the middleware of ``config``. Raises `NotFound`, `ConfigError`."""
        for middleware, pipelines in self._built:
            if middleware == config.middleware:
                return pipelines
        request = tuple(map(_middleware, config.middleware.request))
        lines = Lines(http=self.http, emit=self._emit, clock=self._clock, middleware=request)
        ground = Ground(
            lines=lines,
            health=self._health,
            emit=self._emit,
            clock=self._clock,
            latencies=self._latencies,
            engines=self._engines,
            phrases=self.phrases,
            middleware=tuple(map(_middleware, config.middleware.message)),
        )
        pipelines = Pipelines(ground, PipelineProvider)
        self._built.append((config.middleware, pipelines))
        return pipelines

    def forgive(self, name: str) -> None:
        """Forget which keys of ``name``, a pipeline or a member, were refused."""
        for _, pipelines in self._built:
            pipelines.forgive(name)

    async def forget(self) -> None:
        """Forget every answer, and every phrase that was spoken."""
        for _, pipelines in self._built:
            pipelines.forget()
        if self.phrases is not None:
            await self.phrases.forget()

    def load(self, config: schema.Config) -> None:
        """Import what the pipelines of ``config`` need; in a thread. Raises `VoxdError`."""
        for pipeline in config.pipelines.values():
            for names, find in (
                (pipeline.stt, speech_to_text),
                (pipeline.llm, language_model),
                (pipeline.tts, text_to_speech),
            ):
                for name in names:
                    if name in config.providers:
                        find(config.providers[name].kind)

    async def close(self) -> None:
        """Free everything; idempotent."""
        for _, pipelines in self._built:
            await pipelines.close()
        if self.phrases is not None:
            await self.phrases.close()
        await self.http.close()


def _middleware(name: str) -> Any:
    """Return the function ``name`` of the user's. Raises `NotFound`, `ConfigError`."""
    found = entry_points(group=MIDDLEWARE, name=name)
    if not found:
        raise NotFound(f"there is no middleware {name}", hint="install the package that brings it")
    try:
        return next(iter(found)).load()
    except Exception as error:
        # Importing runs a stranger's code: whatever it raises is its own fault.
        msg = f"the middleware {name} cannot be loaded: {type(error).__name__}: {error}"
        hint = f"update or remove its package, or take {name} out of [middleware]"
        raise ConfigError(msg, hint=hint) from error
