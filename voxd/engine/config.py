"""The configuration of a `VoiceEngine`: one value, checked when it is created."""

import dataclasses
import difflib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from voxd.errors import ConfigError
from voxd.providers.settings import SessionConfig

Mode = Literal["fast", "big", "provider"]
VadType = Literal["client", "server"]
LatencyMode = Literal["ultra_low", "balanced", "quality"]

KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
}
"""Where the key of a vendor is looked for when ``api_key`` is empty; these vendors need one."""

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class VoiceEngineConfig:
    """Complete configuration of a `VoiceEngine`. Raises `ConfigError` for a value out of range.

    ``input_device`` and ``output_device`` are a PortAudio index, a stable name (or a unique part of it),
    "default", "virtual" or, for input, "virtual:FILE.wav". Without an input device the default one is used.
    Without an output device the engine plays nothing: the sound is in the events, for the caller to play.
    Speaking silences a reply; a microphone that hears the loudspeaker would too, so use headphones, a
    microphone with echo cancellation, or a higher ``vad_threshold``.

    ``sample_rate`` (Hz) is the rate of the PCM that the caller gives and gets; the provider's own rate is
    converted. ``vad_threshold`` is the RMS level, 1.0 being full scale, above which the client VAD hears a
    voice; with ``vad_type`` "server" any other value than the default is the vendor's own threshold.

    ``enable_transcription`` and ``enable_functions`` follow ``mode`` unless they are given; what the modes
    and latency modes change is in the tables of `voxd.engine.tuning`.

    ``metadata`` is the provider's: ``endpoint``, ``model``, ``auth_type`` and so on. The engine itself reads
    ``instructions``, ``temperature``, ``max_tokens`` (of the session) and ``failover``: with
    ``enable_multi_provider``, the providers that take over in turn, each a name or a mapping of the fields
    of this class that differ (``{"provider": "azure", "api_key": ..., "metadata": {...}}``).

    ``audio_save_limit`` is how many turns ``save_audio`` keeps; ``session`` says what the fields above do
    not: instructions, temperature, limits (see `voxd.engine.presets.SessionPresets`).
    """

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
        """Check every value, and let the mode decide what was left open."""
        _check(self)
        object.__setattr__(self, "log_level", self.log_level.upper())
        for name in ("enable_transcription", "enable_functions"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.mode != "fast")

    def given(self, name: str) -> bool:
        """Whether field ``name`` has another value than its default."""
        return bool(getattr(self, name) != _DEFAULTS[name])


def with_key(config: VoiceEngineConfig, environment: Mapping[str, str]) -> VoiceEngineConfig:
    """Return ``config`` with the vendor's key from ``environment`` where it has none of its own."""
    if config.api_key:
        return config
    key = next((environment[v] for v in KEY_VARIABLES.get(config.provider, ()) if environment.get(v)), "")
    return dataclasses.replace(config, api_key=key) if key else config


def failovers(config: VoiceEngineConfig, environment: Mapping[str, str]) -> list[VoiceEngineConfig]:
    """Return the configurations that take over in turn. Raises `ConfigError` for a malformed list."""
    if not config.enable_multi_provider:
        return []
    entries = config.metadata.get("failover", ())
    if isinstance(entries, str | Mapping) or not entries:
        raise ConfigError(
            "enable_multi_provider needs other providers",
            hint='set metadata["failover"] to a list, such as ["azure", "mock"]',
        )
    return [other_provider(config, entry, environment) for entry in entries]


def other_provider(
    config: VoiceEngineConfig, entry: str | Mapping[str, Any], environment: Mapping[str, str]
) -> VoiceEngineConfig:
    """Return ``config`` for another provider: a name, or the fields that differ. Raises `ConfigError`.

    Key and metadata are one vendor's and are not taken over, nor is a voice that was left to the default.
    """
    fields = {"provider": entry} if isinstance(entry, str) else dict(entry)
    if not isinstance(fields.get("provider"), str):
        raise ConfigError("a provider that takes over needs a name", hint='write {"provider": "azure", ...}')
    fields = {"api_key": "", "metadata": {}, "enable_multi_provider": False, **fields}
    if "mode" in fields:
        fields = {"enable_transcription": None, "enable_functions": None, **fields}
    unknown = sorted(set(fields) - set(_DEFAULTS))
    if unknown:
        raise ConfigError(f"VoiceEngineConfig has no field {unknown[0]}", hint=_nearest_field(unknown[0]))
    return with_key(dataclasses.replace(config, **fields), environment)


def with_middleware(
    config: VoiceEngineConfig, request: tuple[Any, ...], message: tuple[Any, ...]
) -> VoiceEngineConfig:
    """Return ``config`` with functions that its pipeline's requests and messages pass through."""
    metadata = {**config.metadata, "request_middleware": request, "middleware": message}
    return dataclasses.replace(config, metadata=metadata)


def set_log_level(config: VoiceEngineConfig) -> None:
    """Set the level of voxd's loggers, unless the program has set one and ``config`` leaves it open."""
    logger = logging.getLogger("voxd")
    if config.given("log_level") or logger.level == logging.NOTSET:
        logger.setLevel(config.log_level)


def _nearest_field(name: str) -> str:
    """Return a hint that names the field that was probably meant."""
    meant = difflib.get_close_matches(name, list(_DEFAULTS), n=1)
    return f"did you mean {meant[0]}?" if meant else "see help(voxd.VoiceEngineConfig)"


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
