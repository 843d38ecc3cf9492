"""What the modes and latency modes of an engine change: pure functions of its configuration.

============  ==========================  ==================================  ===============================
mode          transcription, functions    chunks                              the provider's settings
============  ==========================  ==================================  ===============================
``fast``      off unless enabled          as configured                       voice, VAD as configured
``big``       on unless disabled          60 ms or more: fewer frames         voice, VAD as configured
``provider``  on unless disabled          as configured                       only what was changed from its
                                                                              default; the vendor's own VAD
                                                                              where it has one
============  ==========================  ==================================  ===============================

=============  ======================  =======================  ============================
latency_mode   captured chunk          jitter buffer            silence that ends a turn
=============  ======================  =======================  ============================
``ultra_low``  half                    none                     six tenths
``balanced``   ``chunk_duration_ms``   60 ms                    ``vad_speech_end_ms``
``quality``    double                  200 ms                   one and a half times
=============  ======================  =======================  ============================
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voxd.engine.config import LatencyMode, VoiceEngineConfig
from voxd.engine.metadata import PIPELINE, engine_part, pipeline_part, provider_part, table_part
from voxd.providers.settings import SessionConfig, TurnDetection

# Fields that a provider's ``config`` also holds, besides those that have another form there.
_PROVIDER_FIELDS = (
    "provider",
    "mode",
    "sample_rate",
    "chunk_duration_ms",
    "vad_enabled",
    "vad_type",
    "vad_threshold",
    "vad_speech_start_ms",
    "vad_speech_end_ms",
    "language",
    "latency_mode",
    "enable_transcription",
    "enable_functions",
)

BIG_CHUNK_MS = 60
# The shortest block of a sound card, ``audio.block_ms``.
MIN_CHUNK_MS = 10


@dataclass(frozen=True, slots=True)
class LatencyProfile:
    """Factors of the configured chunk and silence, and the length of the jitter buffer."""

    chunk: float
    jitter_ms: int
    silence: float


LATENCY_PROFILES: Mapping[LatencyMode, LatencyProfile] = {
    "ultra_low": LatencyProfile(chunk=0.5, jitter_ms=0, silence=0.6),
    "balanced": LatencyProfile(chunk=1.0, jitter_ms=60, silence=1.0),
    "quality": LatencyProfile(chunk=2.0, jitter_ms=200, silence=1.5),
}


def chunk_ms(config: VoiceEngineConfig) -> int:
    """Return the length of the chunks in which audio is captured, published and sent."""
    scaled = round(config.chunk_duration_ms * LATENCY_PROFILES[config.latency_mode].chunk)
    return max(BIG_CHUNK_MS if config.mode == "big" else MIN_CHUNK_MS, scaled)


def jitter_ms(config: VoiceEngineConfig) -> int:
    """Return how much of a reply is buffered before its first sample is played."""
    return LATENCY_PROFILES[config.latency_mode].jitter_ms


def silence_ms(config: VoiceEngineConfig) -> int:
    """Return the silence that ends the user's turn."""
    return round(config.vad_speech_end_ms * LATENCY_PROFILES[config.latency_mode].silence)


def turn_detection(config: VoiceEngineConfig, *, server_vad: bool) -> TurnDetection:
    """Return how the end of a turn is detected; ``server_vad`` says whether the vendor can do it."""
    wanted = config.session.turn_detection if config.session is not None else "client"
    is_vendors_choice = config.mode == "provider" and not config.is_set("vad_type")
    if not config.vad_enabled or not server_vad:
        return "client"
    # Only the session can ask for it: ``vad_type`` has no such value.
    if wanted == "semantic":
        return "semantic"
    return "server" if config.vad_type == "server" or wanted == "server" or is_vendors_choice else "client"


def session_config(config: VoiceEngineConfig, *, server_vad: bool) -> SessionConfig:
    """Return the provider's session configuration. ``config.session`` precedes other fields."""
    base = config.session or SessionConfig()
    detection = turn_detection(config, server_vad=server_vad)
    # "provider": what the caller did not set is left to the vendor, whose defaults suit its models.
    own_defaults = config.mode == "provider"
    silence: int | None = silence_ms(config)
    if own_defaults and not config.is_set("vad_speech_end_ms") and not config.is_set("latency_mode"):
        silence = None
    metadata, table = engine_part(config.metadata), table_part(config.metadata)
    temperature, limit = metadata.temperature, metadata.max_tokens
    return SessionConfig(
        instructions=base.instructions or metadata.instructions,
        voice=base.voice or _voice(config, table),
        language=base.language or config.language or table.get("language", ""),
        temperature=base.temperature if base.temperature is not None else temperature,
        max_output_tokens=base.max_output_tokens if base.max_output_tokens is not None else limit,
        modalities=base.modalities,
        turn_detection=detection,
        vad_threshold=_vendor_threshold(config, base, detection),
        vad_silence_ms=base.vad_silence_ms or silence,
        transcription=bool(config.enable_transcription) and base.transcription,
        tools=base.tools if config.enable_functions else (),
        speed=base.speed,
    )


def provider_settings(config: VoiceEngineConfig) -> dict[str, Any]:
    """Return the ``config`` argument of a `voxd.providers.base.BaseProvider`."""
    part = pipeline_part if config.provider == PIPELINE else provider_part
    metadata, table = part(config.metadata), table_part(config.metadata)
    return {
        # A third party's provider may read any field.
        **{name: getattr(config, name) for name in _PROVIDER_FIELDS},
        "api_key": config.api_key,
        "model": table.get("model", ""),
        "voice": _voice(config, table),
        "endpoint": table.get("endpoint", ""),
        "metadata": metadata,
    }


def _voice(config: VoiceEngineConfig, table: Mapping[str, str]) -> str:
    if config.is_set("voice"):
        return config.voice
    return table.get("voice", "" if config.mode == "provider" else config.voice)


def _vendor_threshold(
    config: VoiceEngineConfig, base: SessionConfig, detection: TurnDetection
) -> float | None:
    # Our default is an RMS level, a vendor's threshold is a probability: the default means nothing there.
    if base.vad_threshold is not None or detection == "client":
        return base.vad_threshold
    return config.vad_threshold if config.is_set("vad_threshold") else None
