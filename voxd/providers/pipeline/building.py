"""Builds pipelines: from the configuration of the device, or from the metadata of a library's engine."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from voxd.clock import Clock
from voxd.config import schema
from voxd.config.provider_schema import LOCAL, Pipeline, Provider
from voxd.errors import NotFound, ProviderError, VoxdError
from voxd.events import Emit
from voxd.net.transport import Budget
from voxd.providers.base import BaseProvider
from voxd.providers.pipeline.answer_cache import AnswerCache
from voxd.providers.pipeline.candidates import StageHealth
from voxd.providers.pipeline.dependencies import Close, PipelineDependencies
from voxd.providers.pipeline.latency import Latencies
from voxd.providers.pipeline.lines import Lines, stage_config
from voxd.providers.pipeline.llm_chain import LlmChain
from voxd.providers.pipeline.local_stages import LocalEngines, LocalStt, LocalTts
from voxd.providers.pipeline.middleware import MessageMiddleware
from voxd.providers.pipeline.stages.contract import (
    LanguageModel,
    PipelineStage,
    SpeechToText,
    StageKind,
    TextToSpeech,
)
from voxd.providers.pipeline.stages.registry import kinds_of, language_model, speech_to_text, text_to_speech
from voxd.providers.pipeline.stt_chain import SttChain
from voxd.providers.pipeline.tts_chain import PhraseSource, TtsChain

_log = logging.getLogger(__name__)

S = TypeVar("S", bound=PipelineStage)

CHECK_S = 5.0
"""A stage that has not answered a check by then does not answer."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What every pipeline of a process stands on; ``engines`` is None where there are none."""

    lines: Lines
    health: StageHealth
    emit: Emit
    clock: Clock
    latencies: Latencies
    engines: LocalEngines | None = None
    phrases: PhraseSource | None = None
    middleware: tuple[MessageMiddleware, ...] = ()


def build(
    ground: Ground,
    settings: Pipeline,
    providers: Mapping[str, Provider],
    *,
    hints: tuple[str, ...] = (),
    owned: tuple[Close, ...] = (),
) -> PipelineDependencies:
    """Return the parts of the pipeline that ``settings`` describes, of the ``providers`` it names.

    A stage that cannot be made is left out and told to ``ground.health``. Raises `VoxdError` when a list
    has none that can. ``owned`` is closed with the parts.
    """
    ears = LocalStt(ground.engines.transcriber) if ground.engines else None
    voice = LocalTts(ground.engines.synthesizer) if ground.engines else None
    make = functools.partial(_made, ground, providers)
    stt: list[SpeechToText] = make(settings.stt, StageKind.STT, speech_to_text, ears)
    llm: list[LanguageModel] = make(settings.llm, StageKind.LLM, language_model, None)
    tts: list[TextToSpeech] = make(settings.tts, StageKind.TTS, text_to_speech, voice)
    common: dict[str, Any] = {
        "health": ground.health,
        "latencies": ground.latencies,
        "clock": ground.clock,
    }
    is_free = ground.engines is not None and ground.engines.hears_anything
    keeps = settings.cache_answers_s > 0
    return PipelineDependencies(
        stt=SttChain(stt, hedge=ears if settings.hedge and is_free else None, **common),
        llm=LlmChain(llm, **common),
        tts=TtsChain(tts, phrases=ground.phrases, **common),
        settings=settings,
        emit=ground.emit,
        clock=ground.clock,
        middleware=ground.middleware,
        answers=AnswerCache(settings.cache_answers_s, emit=ground.emit, clock=ground.clock)
        if keeps
        else None,
        hints=hints,
        owned=owned,
    )


def _made(
    ground: Ground,
    providers: Mapping[str, Provider],
    names: Sequence[str],
    kind: StageKind,
    find: Callable[[str], type[S]],
    local: S | None,
) -> list[S]:
    found: list[S] = []
    problem: VoxdError | None = None
    for name in names:
        if name == LOCAL and local is not None:
            found.append(local)
            continue
        try:
            found.append(_stage(ground, providers, name, kind, find))
        except VoxdError as error:
            problem = problem or error
            _log.warning("%s is left out of a pipeline: %s; %s", name, error, error.hint)
            ground.health.record_failure(name, error)
    if not found and problem is not None:
        raise problem
    return found


def _stage(
    ground: Ground,
    providers: Mapping[str, Provider],
    name: str,
    kind: StageKind,
    find: Callable[[str], type[S]],
) -> S:
    if name not in providers:
        raise NotFound(f"there is no provider {name}", hint=f"add [providers.{name}], or name another")
    provider = providers[name]
    return find(provider.kind)(stage_config(name, provider), ground.lines.line(name, provider, kind))


class Pipelines:
    """The pipelines of the device: each is built when it is first needed, and anew when its tables change."""

    def __init__(self, ground: Ground, make: Callable[[Mapping[str, Any]], BaseProvider]) -> None:
        self._ground = ground
        self._make = make
        self._built: dict[str, tuple[Pipeline, dict[str, Provider], PipelineDependencies]] = {}
        self._old: list[PipelineDependencies] = []

    def maker(self, name: str, config: schema.Config) -> Callable[[], BaseProvider]:
        """Return what makes a new, unconnected session of pipeline ``name``. Raises `VoxdError`.

        Nothing is loaded before it is called.
        """
        if name not in config.pipelines:
            raise NotFound(f"there is no pipeline {name}", hint=f"add [pipelines.{name}]")
        return lambda: self._make({"parts": self._parts(name, config)})

    async def check(self, name: str, config: schema.Config) -> None:
        """Find out, for nothing, whether ``name`` (a pipeline, or a provider of stages) can answer.

        Of a pipeline somebody of every list has to. Raises `VoxdError`.
        """
        if name in config.pipelines:
            parts = self._parts(name, config)
            for stages in (
                parts.stt.candidates.stages,
                parts.llm.candidates.stages,
                parts.tts.candidates.stages,
            ):
                await self._check_any(stages)
            return
        kind = config.providers[name].kind
        settings = Pipeline(
            stt=(name,) if StageKind.STT in kinds_of(kind) else (),
            llm=(name,) if StageKind.LLM in kinds_of(kind) else (),
            tts=(name,) if StageKind.TTS in kinds_of(kind) else (),
            hedge=False,
        )
        parts = build(self._ground, settings, config.providers)
        try:
            for stage in (
                *parts.stt.candidates.stages,
                *parts.llm.candidates.stages,
                *parts.tts.candidates.stages,
            ):
                await self._check(stage)
        finally:
            await parts.close()

    def forgive(self, name: str) -> None:
        """Somebody says that ``name``, a pipeline or a member, is mended: forget what was refused."""
        for pipeline, (_, members, parts) in tuple(self._built.items()):
            if name == pipeline or name in members:
                del self._built[pipeline]
                self._old.append(parts)
                for member in members:
                    self._ground.lines.forget(member)
        self._ground.lines.forget(name)

    def forget(self) -> None:
        """Forget every answer that is kept."""
        for parts in self._all():
            if parts.answers is not None:
                parts.answers.forget()

    async def close(self) -> None:
        """Free every stage; idempotent."""
        for parts in self._all():
            await parts.close()

    def _all(self) -> list[PipelineDependencies]:
        return [*(parts for _, _, parts in self._built.values()), *self._old]

    def _parts(self, name: str, config: schema.Config) -> PipelineDependencies:
        settings = config.pipelines[name]
        names = {*settings.stt, *settings.llm, *settings.tts}
        providers = {each: config.providers[each] for each in names if each in config.providers}
        known = self._built.get(name)
        if known is not None and known[:2] == (settings, providers):
            return known[2]
        if known is not None:
            # A session may still use it: its stages are closed at the end.
            self._old.append(known[2])
        parts = build(self._ground, settings, providers)
        self._built[name] = settings, providers, parts
        return parts

    async def _check_any(self, stages: Sequence[PipelineStage]) -> None:
        problem: VoxdError = ProviderError("a list of the pipeline is empty")
        for stage in stages:
            try:
                await self._check(stage)
                return
            except VoxdError as error:
                problem = error
        raise problem

    async def _check(self, stage: PipelineStage) -> None:
        await stage.check(Budget(self._ground.clock.monotonic() + CHECK_S, retries=0))
