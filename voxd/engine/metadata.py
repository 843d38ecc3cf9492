"""The ``metadata`` of a configuration: what the engine reads itself, and what the provider gets."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import (
    SESSION_KEYS,
    ProviderOptions,
    TransportOptions,
    check_options,
    lifted_options,
    raise_first,
    read_options,
    without_options,
)
from voxd.errors import ConfigError
from voxd.providers.facts import option_types

PIPELINE = "pipeline"

MIDDLEWARE_KEYS = frozenset({"middleware", "request_middleware", "middleware_audio"})
"""The entries with the user's functions, which every provider of an engine gets."""

_SESSION = "realtime"


class EngineMetadata(ProviderOptions, frozen=True, kw_only=True):
    """The entries of ``metadata`` that the engine reads itself, for every provider.

    ``failover`` is the list of providers of ``enable_multi_provider``; ``middleware`` are the functions that
    text passes through, and ``middleware_audio`` says what becomes of sound, which they cannot filter.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "max_response_output_tokens": "max_tokens",
    }

    instructions: str = ""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    failover: Any = ()
    middleware: Any = ()
    request_middleware: Any = ()
    middleware_audio: Literal["", "unfiltered"] = ""


def engine_part(metadata: Mapping[str, Any]) -> EngineMetadata:
    """Return what the engine reads of ``metadata``. Raises `ConfigError`."""
    return read_options(metadata, EngineMetadata)


def provider_part(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the provider gets of ``metadata``."""
    return without_options(metadata, EngineMetadata)


def table_part(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the model, voice, language and endpoint in ``metadata``, however they are spelled."""
    return lifted_options(metadata)


def check_metadata(provider: str, metadata: Mapping[str, Any]) -> None:
    """Raise `ConfigError`, with a hint, for an entry that neither the engine nor ``provider`` knows."""
    if not metadata:
        return
    if provider == PIPELINE:
        # It loads the pipeline, which no other provider needs.
        from voxd.providers.pipeline.metadata import check_metadata as check_pipeline

        engine_part(metadata)
        check_pipeline(pipeline_part(metadata))
        return
    _check_middleware(provider, engine_part(metadata))
    own = {key: value for key, value in metadata.items() if key not in SESSION_KEYS}
    kind = option_types(provider).by_stage.get(_SESSION)
    if kind is None:
        # A third party's provider without a schema accepts anything.
        engine_part(metadata)
        return
    raise_first(check_options(own, (EngineMetadata, kind, TransportOptions)), "metadata")


def _check_middleware(provider: str, own: EngineMetadata) -> None:
    if own.middleware and not own.middleware_audio:
        msg = f"message middleware cannot filter sound, and {provider} is speech to speech"
        hint = 'use provider="pipeline", or pass audio="unfiltered" to filter its text only'
        raise ConfigError(msg, hint=hint)
    if own.request_middleware:
        msg = f"request middleware does not see {provider}: its session is not an HTTP request"
        raise ConfigError(msg, hint='use provider="pipeline", or leave out request')


def pipeline_part(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a pipeline gets of ``metadata``: it runs middleware itself, in its own stages."""
    found = provider_part(metadata)
    return found | {name: metadata[name] for name in ("middleware", "request_middleware") if name in metadata}
