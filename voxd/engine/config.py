"""The configuration of a `VoiceEngine`, one value checked when it is created, and ready-made sessions."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from voxd.config.mistakes.words import did_you_mean
from voxd.engine.log_level import LogLevel, is_configured
from voxd.engine.metadata import MIDDLEWARE_KEYS, check_metadata
from voxd.errors import ConfigError
from voxd.providers.settings import SessionConfig

Mode = Literal["fast", "big", "provider"]
VadType = Literal["client", "server"]
LatencyMode = Literal["ultra_low", "balanced", "quality"]

CONVERSATION_KEYS = ("instructions", "temperature", "max_tokens")

# A filter must not be lost with the first provider: the user's functions are for every one.
_LASTING_KEYS = (*CONVERSATION_KEYS, *MIDDLEWARE_KEYS)

# The variables that hold the key of a vendor when ``api_key`` is empty; these vendors need a key.
KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}

# Fields of the session, which programs write for those of the configuration.
_OTHER_NAMES = {
    name: f'pass session=SessionConfig({name}=…), or metadata={{"{name}": …}}'
    for name in ("instructions", "temperature", "max_tokens")
} | {name: f'pass metadata={{"{name}": …}}' for name in ("model", "endpoint")}

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class _NamedFields(type):
    """Says which field was meant when a keyword argument is not one; dataclasses only say that it is not."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        check_fields(fields)
        return super().__call__(*args, **fields)


@dataclass(frozen=True)
class VoiceEngineConfig(metaclass=_NamedFields):
    """Complete configuration of a `VoiceEngine`. Raises `ConfigError` for a value out of range.

    ``input_device`` and ``output_device`` are a PortAudio index, a stable name (or a unique part of it),
    "default", "virtual" or, for input, "virtual:FILE.wav". Without an input device the default one is used.
    Without an output device the engine plays nothing: the audio is in the events, for the caller to play.
    Speech interrupts a reply, and so would the loudspeaker if the microphone picked it up: use headphones, a
    microphone with echo cancellation, or a higher ``vad_threshold``.

    ``sample_rate`` (Hz) is the rate of the PCM that the caller sends and receives; it is converted to and
    from the provider's. ``vad_threshold`` is the RMS level, 1.0 being full scale, above which the client VAD
    detects speech; with ``vad_type`` "server" a value other than the default is the vendor's own threshold.

    ``enable_transcription`` and ``enable_functions`` follow ``mode`` unless they are set; the tables of
    `voxd.engine.tuning` show what the modes and latency modes change.

    ``metadata`` is the provider's: ``endpoint``, ``model``, ``auth_type`` and so on. The engine itself reads
    ``instructions``, ``temperature``, ``max_tokens`` (of the session) and ``failover``: with
    ``enable_multi_provider`` the list of providers to fail over to, each a name or a mapping of the fields
    of this class that differ (``{"provider": "azure", "api_key": ..., "metadata": {...}}``).

    ``audio_save_limit`` is the number of turns that ``save_audio`` keeps. ``session`` holds the settings
    without a field here: instructions, temperature, limits (see `SessionPresets`).
    """

    # Not in the repr, nor is ``metadata``, which may hold a key too: a configuration ends up in logs.
    api_key: str = field(default="", repr=False)
    provider: str = "openai"
    mode: Mode = "fast"

    input_device: int | str | None = None
    output_device: int | str | None = None
    sample_rate: int = 24_000
    chunk_duration_ms: int = 100

    vad_enabled: bool = True
    vad_type: VadType = "client"
    vad_threshold: float = 0.02
    vad_speech_start_ms: int = 100
    vad_speech_end_ms: int = 500

    voice: str = "alloy"
    language: str | None = None

    latency_mode: LatencyMode = "balanced"

    enable_transcription: bool | None = None
    enable_functions: bool | None = None
    enable_multi_provider: bool = False

    log_level: str = "INFO"
    save_audio: bool = False
    audio_save_path: Path | str | None = None
    audio_save_limit: int = 100

    session: SessionConfig | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check every value, and derive from the mode what was not set."""
        _check(self)
        check_metadata(self.provider, self.metadata)
        # object.__setattr__: the fields of a frozen dataclass can be derived only in this way.
        object.__setattr__(self, "log_level", self.log_level.upper())
        for name in ("enable_transcription", "enable_functions"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.mode != "fast")

    def is_set(self, name: str) -> bool:
        """Whether the value of field ``name`` differs from its default."""
        return bool(getattr(self, name) != _DEFAULTS[name])


def with_key(config: VoiceEngineConfig, environment: Mapping[str, str]) -> VoiceEngineConfig:
    """Return ``config`` with the vendor's key from ``environment``, unless it has its own."""
    if config.api_key:
        return config
    key = next((environment[v] for v in KEY_VARIABLES.get(config.provider, ()) if environment.get(v)), "")
    return dataclasses.replace(config, api_key=key) if key else config


def failovers(config: VoiceEngineConfig, environment: Mapping[str, str]) -> list[VoiceEngineConfig]:
    """Return the configurations to fail over to, in order. Raises `ConfigError` for a malformed list."""
    if not config.enable_multi_provider:
        return []
    entries = config.metadata.get("failover", ())
    if isinstance(entries, str | Mapping) or not entries:
        raise ConfigError(
            "enable_multi_provider needs providers to fail over to",
            hint='set metadata["failover"] to a list, such as ["azure", "mock"]',
        )
    return [other_provider(config, entry, environment) for entry in entries]


def other_provider(
    config: VoiceEngineConfig, entry: str | Mapping[str, Any], environment: Mapping[str, str]
) -> VoiceEngineConfig:
    """Return ``config`` for another provider: a name, or the fields that differ. Raises `ConfigError`.

    Key and metadata belong to one vendor and are not copied, but for the instructions and limits of the
    session, and middleware.
    """
    fields: dict[str, Any] = {"provider": entry} if isinstance(entry, str) else dict(entry)
    if not isinstance(fields.get("provider"), str):
        raise ConfigError("a provider to fail over to needs a name", hint='write {"provider": "azure", ...}')
    fields["metadata"] = {**_lasting(config), **fields.get("metadata", {})}
    # The entry itself does not fail over: the list of the first configuration holds for all.
    fields = {"api_key": "", "enable_multi_provider": False, **fields}
    # `__post_init__` has set both from the mode of the first; another mode must derive them again.
    if "mode" in fields:
        fields = {"enable_transcription": None, "enable_functions": None, **fields}
    check_fields(fields)
    return with_key(dataclasses.replace(config, **fields), environment)


class UnknownField(ConfigError, TypeError):
    """A keyword argument that is not a field of the configuration."""


def check_fields(fields: Iterable[str], also: tuple[str, ...] = ()) -> None:
    """Raise `UnknownField`, with the most similar name as the hint, for one that is not a field.

    ``also`` are further names that may have been meant.
    """
    for name in sorted(set(fields) - set(_DEFAULTS)):
        meant = _OTHER_NAMES.get(name) or did_you_mean(name, (*_DEFAULTS, *also))
        hint = meant or f"use one of {', '.join(_DEFAULTS)}"
        raise UnknownField(f"VoiceEngineConfig has no field {name}", hint=hint)


def continued(config: VoiceEngineConfig, new: VoiceEngineConfig) -> VoiceEngineConfig:
    """Return ``new`` with the session, instructions and limits of ``config`` where it has none."""
    session = new.session
    # Instructions in the metadata of the new one would lie below those of the old session.
    if session is None and not set(new.metadata) & set(CONVERSATION_KEYS):
        session = config.session
    return dataclasses.replace(new, session=session, metadata={**_lasting(config), **new.metadata})


def _lasting(config: VoiceEngineConfig) -> dict[str, Any]:
    """Return what of the metadata belongs to the conversation, and goes on with another provider."""
    return {name: config.metadata[name] for name in _LASTING_KEYS if name in config.metadata}


def with_middleware(
    config: VoiceEngineConfig, request: tuple[Any, ...], message: tuple[Any, ...], audio: str = ""
) -> VoiceEngineConfig:
    """Return ``config`` with the middleware of its requests and messages. Raises `ConfigError`."""
    metadata = {
        **config.metadata,
        "request_middleware": request,
        "middleware": message,
        "middleware_audio": audio,
    }
    return dataclasses.replace(config, metadata=metadata)


def log_level(config: VoiceEngineConfig) -> LogLevel:
    """Return the log level of an engine: the program's where it has set one and ``config`` does not."""
    # A library must not undo what the program has configured (Python documentation, logging for libraries).
    is_explicit = config.is_set("log_level")
    return LogLevel(config.log_level if is_explicit or not is_configured() else None, is_explicit=is_explicit)


def _check(config: VoiceEngineConfig) -> None:
    for name, values in (
        ("mode", get_args(Mode)),
        ("vad_type", get_args(VadType)),
        ("latency_mode", get_args(LatencyMode)),
    ):
        if getattr(config, name) not in values:
            raise ConfigError(f"{name} is {getattr(config, name)!r}", hint=f"use one of {', '.join(values)}")
    for name, low, high in (
        ("sample_rate", 8_000, 192_000),
        ("chunk_duration_ms", 10, 1_000),
        ("vad_threshold", 0.0, 1.0),
        ("vad_speech_start_ms", 0, 5_000),
        ("vad_speech_end_ms", 10, 10_000),
        ("audio_save_limit", 1, 1_000_000),
    ):
        value = getattr(config, name)
        # True is an int in Python, and 1 would pass several of these ranges.
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ConfigError(f"{name} is {value!r}", hint=f"use a number from {low:g} to {high:g}")
    if str(config.log_level).upper() not in _LOG_LEVELS:
        raise ConfigError(f"log_level is {config.log_level!r}", hint=f"use one of {', '.join(_LOG_LEVELS)}")
    if not config.provider:
        raise ConfigError("provider is empty", hint='name one, such as "openai" or "mock"')


_DEFAULTS = {
    item.name: item.default if item.default is not dataclasses.MISSING else {}
    for item in dataclasses.fields(VoiceEngineConfig)
}


class SessionPresets:
    """Sessions for common uses, for ``VoiceEngineConfig(session=...)``.

    Adapt one with `msgspec.structs.replace`.
    """

    CONVERSATION: ClassVar = SessionConfig(
        instructions=(
            "You are a friendly conversation partner. Speak naturally, keep answers to a few sentences, and "
            "let the user lead."
        ),
        temperature=0.8,
    )
    ASSISTANT: ClassVar = SessionConfig(
        instructions=(
            "You are a helpful voice assistant. Answer in one or two short sentences, without lists or "
            "formatting. Use your tools when they help. Say so when you do not know."
        ),
        temperature=0.6,
    )
    TRANSCRIPTION: ClassVar = SessionConfig(
        instructions=(
            "Write down exactly what the user says, in the language of the speech. "
            "Add nothing, answer nothing."
        ),
        modalities=("text",),
        temperature=0.6,
    )
    CUSTOMER_SERVICE: ClassVar = SessionConfig(
        instructions=(
            "You are a polite customer service agent. Find out what the problem is, one question at a time, "
            "repeat names and numbers to make sure of them, and never promise what you cannot do yourself."
        ),
        temperature=0.6,
    )
    INTERPRETER: ClassVar = SessionConfig(
        instructions=(
            "You are an interpreter. Repeat what is said in the other of the two languages of the "
            "conversation, in the first person, and add nothing."
        ),
        temperature=0.6,
    )
