"""Builds the chains of a pipeline from configuration tables. The stages of a provider share its client."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from voxd.clock import Clock
from voxd.config.provider_options import lift_options
from voxd.config.provider_schema import LOCAL, Pipeline, ProviderConfig
from voxd.errors import AuthenticationError, ConfigError, NotFound, VoxdError
from voxd.events import Emit
from voxd.net.http import HttpClient
from voxd.net.rate_limits import DEFAULT_QUEUE
from voxd.net.request_middleware import RequestMiddleware
from voxd.net.vendor_client import VendorClient, VendorClientSettings
from voxd.providers.facts import facts
from voxd.providers.pipeline.answer_cache import AnswerCache
from voxd.providers.pipeline.candidates import StageHealth
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.llm_chain import LlmChain
from voxd.providers.pipeline.local_stages import LocalEngines, LocalStt, LocalTts
from voxd.providers.pipeline.middleware import MessageMiddleware
from voxd.providers.pipeline.stages.contract import (
    LanguageModel,
    PipelineStage,
    SpeechToText,
    StageConfig,
    StageKind,
    TextToSpeech,
)
from voxd.providers.pipeline.stages.registry import language_model, speech_to_text, text_to_speech
from voxd.providers.pipeline.stt_chain import SttChain
from voxd.providers.pipeline.tts_chain import PhraseSource, TtsChain

_log = logging.getLogger(__name__)

S = TypeVar("S", bound=PipelineStage)

MoreHeaders = Callable[[], Mapping[str, str]]

Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PipelineDependencies:
    """What a pipeline is made of: built once, shared by all its sessions.

    ``hints`` are likely words, such as names; ``owned`` is closed with the chains.
    """

    stt: SttChain
    llm: LlmChain
    tts: TtsChain
    settings: Pipeline
    emit: Emit
    clock: Clock
    middleware: tuple[MessageMiddleware, ...] = ()
    answers: AnswerCache | None = None
    hints: tuple[str, ...] = ()
    owned: tuple[Close, ...] = ()

    async def close(self) -> None:
        """Close every stage; idempotent."""
        await self.stt.close()
        await self.llm.close()
        await self.tts.close()
        for close in self.owned:
            await close()


@dataclass(frozen=True, slots=True)
class PipelineBuilder:
    """Builds pipelines that share HTTP connections, health, latencies and local engines.

    ``engines`` is None without local engines. ``more_headers`` are functions by the name of a provider, which
    return the headers of each of its requests.
    """

    http: HttpClient
    health: StageHealth
    emit: Emit
    clock: Clock
    latencies: Latencies = field(default_factory=Latencies)
    engines: LocalEngines | None = None
    phrases: PhraseSource | None = None
    middleware: tuple[MessageMiddleware, ...] = ()
    request_middleware: tuple[RequestMiddleware, ...] = ()
    more_headers: Mapping[str, MoreHeaders] = field(default_factory=dict)
    # By the name of the provider, with the table each was made from.
    _clients: dict[str, tuple[ProviderConfig, VendorClient]] = field(default_factory=dict)

    def build(
        self,
        settings: Pipeline,
        providers: Mapping[str, ProviderConfig],
        *,
        hints: tuple[str, ...] = (),
        owned: tuple[Close, ...] = (),
    ) -> PipelineDependencies:
        """Return the chains of the pipeline that ``settings`` describes, from the ``providers`` it names.

        A stage that cannot be built is left out, and counts as a failure of its provider. Raises `VoxdError`
        when no stage of a list can be built. ``owned`` is closed with the chains.
        """
        local_stt = LocalStt(self.engines.transcriber) if self.engines else None
        local_tts = LocalTts(self.engines.synthesizer) if self.engines else None
        stt: list[SpeechToText] = self._stages(
            settings.stt, providers, StageKind.STT, speech_to_text, local_stt
        )
        llm: list[LanguageModel] = self._stages(settings.llm, providers, StageKind.LLM, language_model, None)
        tts: list[TextToSpeech] = self._stages(
            settings.tts, providers, StageKind.TTS, text_to_speech, local_tts
        )
        common: dict[str, Any] = {"health": self.health, "latencies": self.latencies, "clock": self.clock}
        # An engine with a grammar matches any speech to one of its sentences, so as a hedge it would send
        # the model a question that was never asked.
        can_hedge = settings.hedge and self.engines is not None and self.engines.is_open_vocabulary
        answers = None
        if settings.cache_answers_s > 0:
            answers = AnswerCache(settings.cache_answers_s, emit=self.emit, clock=self.clock)
        return PipelineDependencies(
            stt=SttChain(stt, hedge=local_stt if can_hedge else None, **common),
            llm=LlmChain(llm, **common),
            tts=TtsChain(tts, phrases=self.phrases, **common),
            settings=settings,
            emit=self.emit,
            clock=self.clock,
            middleware=self.middleware,
            answers=answers,
            hints=hints,
            owned=owned,
        )

    def client(self, name: str, provider: ProviderConfig, kind: StageKind) -> VendorClient:
        """Return the client of ``provider`` for stage ``kind``. Raises `AuthenticationError`.

        The stages of a provider share it, so keys, limits and endpoints are counted together. A provider
        whose table has changed gets a new one.
        """
        known = self._clients.get(name)
        if known is None or known[0] != provider:
            settings = client_settings(name, provider, self.request_middleware)
            settings = replace(settings, more_headers=self.more_headers.get(name))
            # The old client stays with the stages of sessions that still use it.
            client = VendorClient(name, str(kind), settings, http=self.http, emit=self.emit, clock=self.clock)
            self._clients[name] = known = (provider, client)
        return known[1].for_stage(str(kind))

    def forget_client(self, name: str) -> None:
        """Create a new client of ``name`` next time, without the record of refused keys."""
        self._clients.pop(name, None)

    def _stages(
        self,
        names: Sequence[str],
        providers: Mapping[str, ProviderConfig],
        kind: StageKind,
        find: Callable[[str], type[S]],
        local: S | None,
    ) -> list[S]:
        stages: list[S] = []
        problem: VoxdError | None = None
        for name in names:
            # Without engines "local" is looked up like any other name, and reported as unknown.
            if name == LOCAL and local is not None:
                stages.append(local)
                continue
            try:
                if name not in providers:
                    hint = f"add [providers.{name}], or use another name"
                    raise NotFound(f"unknown provider {name}", hint=hint)
                provider = lift_options(providers[name])
                stage = find(provider.kind)(stage_config(name, provider), self.client(name, provider, kind))
                stages.append(stage)
            except VoxdError as error:
                problem = problem or error
                # The other candidates of the list still work; the status shows this one as unavailable.
                _log.warning("%s is left out of a pipeline: %s; %s", name, error, error.hint)
                self.health.record_failure(name, error)
        if not stages and problem is not None:
            raise problem
        return stages


def stage_config(name: str, provider: ProviderConfig) -> StageConfig:
    """Return the settings of a stage of ``provider``."""
    return StageConfig(
        name=name,
        kind=provider.kind,
        model=provider.model,
        voice=provider.voice,
        language=provider.language,
        # For the cache key, and for what a stage reads from the host; requests get theirs from the client.
        endpoint=next(filter(None, (provider.endpoint, *provider.endpoints)), ""),
        options=provider.options,
    )


def client_settings(
    name: str, provider: ProviderConfig, middleware: tuple[RequestMiddleware, ...] = ()
) -> VendorClientSettings:
    """Return how ``provider`` is reached. Raises `AuthenticationError` when a secret cannot be read."""
    try:
        secrets = (provider.api_key, *provider.api_keys)
        keys = tuple(secret.reveal() for secret in secrets if secret is not None)
        headers: Mapping[str, str] = {key: value.reveal() for key, value in provider.headers.items()}
    except ConfigError as error:
        raise AuthenticationError(str(error), provider=name) from error
    return VendorClientSettings(
        kind=provider.kind,
        keys=keys,
        endpoints=tuple(each for each in (provider.endpoint, *provider.endpoints) if each),
        headers=headers,
        # The usual limit of an account, unless the owner sets another: waiting beats a 429 in the middle of
        # a turn.
        requests_per_minute=provider.requests_per_minute or facts().kind(provider.kind).requests_per_minute,
        tokens_per_minute=provider.tokens_per_minute,
        max_concurrent=provider.max_concurrent,
        queue_excess=provider.queue_excess is not False,
        max_queue_size=provider.max_queue_size or DEFAULT_QUEUE,
        ca_file=str(provider.options.get("ca_file") or ""),
        proxy=str(provider.options.get("proxy") or "") or None,
        middleware=middleware,
    )
