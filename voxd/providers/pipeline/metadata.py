"""Builds a pipeline of the library from its ``metadata``: a list of tables for each stage, and settings."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from voxd.clock import Clock, SystemClock
from voxd.config.limits.spellings import respell
from voxd.config.mistakes.words import did_you_mean
from voxd.config.money_schema import RateLimit
from voxd.config.paths import models_dir
from voxd.config.provider_options import OptionTypes, raise_first
from voxd.config.provider_schema import LOCAL, Pipeline, ProviderConfig
from voxd.config.schema import Config, Stt, Tts, Whisper
from voxd.config.secrets import Secret
from voxd.errors import ConfigError, VoxdError
from voxd.events import Emit
from voxd.local.engines import EngineResources, build_synthesizer, whisper_transcriber
from voxd.net.http import HttpClient
from voxd.providers.facts import option_types
from voxd.providers.pipeline.builder import Close, MoreHeaders, PipelineBuilder, PipelineDependencies
from voxd.providers.pipeline.candidates import STAGE_NAMES
from voxd.providers.pipeline.local_stages import LocalEngines
from voxd.providers.pipeline.middleware import MessageMiddleware
from voxd.providers.pipeline.stages.registry import language_model, speech_to_text, text_to_speech
from voxd.providers.routing.health import CircuitBreaker

_Vendor = tuple[ProviderConfig, MoreHeaders | None]


class PipelineMetadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The schema of ``metadata``: lists of tables as in voxd.toml's ``[providers.NAME]``, with a ``name``.

    ``headers`` of a table may be a function that returns them, called before every request. A table of kind
    "local" selects the local engines: Whisper with ``model``, and the local voice, from ``models_dir``. The
    rest are the settings of ``[pipelines.NAME]``, ``rate_limit`` as in ``[rate_limit]``, and functions:
    ``middleware`` as in `voxd.providers.pipeline.middleware`, ``request_middleware`` as in
    `voxd.net.request_middleware`.
    """

    stt: tuple[dict[str, Any], ...] = ()
    llm: tuple[dict[str, Any], ...] = ()
    tts: tuple[dict[str, Any], ...] = ()
    early_start: bool = False
    hedge: bool = True
    history: str = "trim"
    cache_answers_s: float = 0.0
    first_audio_timeout_s: float = 2.5
    middleware: tuple[Any, ...] = ()
    request_middleware: tuple[Any, ...] = ()
    hints: tuple[str, ...] = ()
    models_dir: str = ""
    rate_limit: dict[str, Any] = {}


class LocalTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the local engines; ``model`` is that of Whisper."""

    kind: str
    model: str = ""


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a mistake in ``metadata`` of a pipeline; nothing is built."""
    found = _convert(respell(metadata), PipelineMetadata, "metadata")
    _convert(respell(found.rate_limit), RateLimit, "metadata.rate_limit")
    _pipeline(found, {str(kind): _name_tables(str(kind), getattr(found, kind), {}) for kind in STAGE_NAMES})


def build_from_metadata(config: Mapping[str, Any], emit: Emit) -> PipelineDependencies:
    """Return the pipeline for a provider's ``config``. Raises `ConfigError`, `VoxdError`."""
    metadata = _convert(respell(config.get("metadata") or {}), PipelineMetadata, "metadata")
    limits = _convert(respell(metadata.rate_limit), RateLimit, "metadata.rate_limit")
    clock: Clock = config.get("clock") or SystemClock()
    known: dict[str, _Vendor] = {}
    names = {str(kind): _name_tables(kind, getattr(metadata, kind), known) for kind in STAGE_NAMES}
    tables = {name: limits.limit(table) for name, (table, _) in known.items()}
    headers = {name: computed for name, (_, computed) in known.items() if computed is not None}
    # Of this pipeline alone, and closed with it: outside the daemon no other pipeline shares them.
    http, health = HttpClient(), CircuitBreaker(emit=emit, clock=clock)
    engines = _engines(metadata, emit, clock)
    for kind, what in STAGE_NAMES.items():
        # The local engine can hedge an empty list: it then transcribes alone.
        can_hedge = kind == "stt" and metadata.hedge and engines is not None
        if not names[kind] and not can_hedge:
            hint = f'add "{kind}": [{{"kind": ..., "api_key": ...}}] to it'
            raise ConfigError(f'metadata lists no {what} provider: "{kind}" is missing or empty', hint=hint)
    middleware: tuple[MessageMiddleware, ...] = metadata.middleware
    builder = PipelineBuilder(
        http=http,
        health=health,
        emit=emit,
        clock=clock,
        engines=engines,
        middleware=middleware,
        request_middleware=metadata.request_middleware,
        more_headers=headers,
    )
    pipeline = _pipeline(metadata, names)
    owned: tuple[Close, ...] = (health.close, http.close)
    if engines is not None:
        owned = (*owned, engines.transcriber.close, engines.synthesizer.close)
    return builder.build(pipeline, tables, hints=metadata.hints, owned=owned)


def _pipeline(metadata: PipelineMetadata, names: Mapping[str, tuple[str, ...]]) -> Pipeline:
    settings = {
        each: getattr(metadata, each)
        for each in (
            "early_start",
            "hedge",
            "history",
            "cache_answers_s",
            "first_audio_timeout_s",
        )
    }
    pipeline: Pipeline = _convert({**settings, **names}, Pipeline, "metadata")
    return pipeline


def load_stages(metadata: Mapping[str, Any]) -> None:
    """Import the stages that ``metadata`` names; what is wrong with them is reported when they are built."""
    finders: Mapping[str, Callable[[str], Any]] = {
        "stt": speech_to_text,
        "llm": language_model,
        "tts": text_to_speech,
    }
    for stage, find in finders.items():
        for entry in metadata.get(stage) or ():
            kind = entry.get("kind") if isinstance(entry, Mapping) else None
            if kind and kind != LOCAL:
                with contextlib.suppress(VoxdError):
                    find(str(kind))


def _name_tables(
    kind: str, entries: tuple[dict[str, Any], ...], known: dict[str, _Vendor]
) -> tuple[str, ...]:
    """Return a name for each table of list ``kind``, and add the tables to ``known`` by these names."""
    names = []
    for number, entry in enumerate(entries):
        where = f'metadata["{kind}"][{number}]'
        vendor_kind = str(entry.get("kind", ""))
        types = option_types(vendor_kind)
        fields = _with_options(respell(entry), types)
        name = str(fields.pop("name", "") or vendor_kind)
        if vendor_kind == LOCAL:
            _convert(fields, LocalTable, where)
            names.append(LOCAL)
            continue
        computed = fields.pop("headers") if callable(fields.get("headers")) else None
        table: ProviderConfig = _convert(fields, ProviderConfig, where, types.names)
        raise_first(types.check(table.options, (kind,), msgspec.structs.asdict(table)), where)
        vendor = (table, computed)
        # The same kind with other settings is another provider; the same table twice is one, so that its
        # keys and rate limits are counted together.
        free = (name, *(f"{name}_{number}" for number in range(2, 100)))
        name = next((each for each in free if known.get(each, vendor) == vendor), name)
        known[name] = vendor
        names.append(name)
    return tuple(names)


def _with_options(entry: Mapping[str, Any], types: OptionTypes) -> dict[str, Any]:
    """Return ``entry`` with the options that stand beside the keys of a table among its options."""
    known = {"name", *ProviderConfig.__struct_fields__}
    beside = {key: value for key, value in entry.items() if key not in known and types.knows(str(key))}
    fields = {key: value for key, value in entry.items() if key not in beside}
    options = fields.get("options", {})
    # A wrong type is reported by the schema of the table.
    if beside and isinstance(options, Mapping):
        fields["options"] = {**beside, **options}
    return fields


def _engines(metadata: PipelineMetadata, emit: Emit, clock: Clock) -> LocalEngines | None:
    """Return the local engines if one of the lists contains them."""
    local = [entry for entry in (*metadata.stt, *metadata.tts) if entry.get("kind") == LOCAL]
    if not local:
        return None
    # Else the default directory of the daemon, whose models may be there already.
    where = Path(metadata.models_dir).expanduser() if metadata.models_dir else models_dir(Config())
    local_stt = next((entry for entry in metadata.stt if entry.get("kind") == LOCAL), {})
    model = str(local_stt.get("model", "")) or Whisper().model
    return LocalEngines(
        whisper_transcriber(Stt(whisper=Whisper(model=model)), EngineResources(where, clock)),
        build_synthesizer(Tts(), models_dir=where, emit=emit, clock=clock),
    )


def _convert(value: Mapping[str, Any], type: Any, where: str, more: Sequence[str] = ()) -> Any:
    known = type.__struct_fields__
    # msgspec would refuse the key as well, but without a hint.
    for key in value:
        if key not in known:
            hint = did_you_mean(key, (*known, *more)) or f"use {', '.join(known)}"
            raise ConfigError(f'{where} has no "{key}"', hint=hint)
    try:
        return msgspec.convert(dict(value), type, dec_hook=_secret)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}", hint="see config/voxd.toml for the allowed values") from error


def _secret(type: Any, value: Any) -> Any:
    # In voxd.toml a secret names a file or a variable; a program passes the key itself.
    if type is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(f"no way to read {type.__name__}")
