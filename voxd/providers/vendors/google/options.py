"""The options of Google's stages and of Gemini Live, also under the names of Google's own requests."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions
from voxd.providers.realtime.options import RealtimeOptions

Speakers = Annotated[int, Meta(ge=1, le=20)]


class GoogleSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """``languages`` are alternatives to detect; ``boost`` (0 to 20) is the weight of likely words.

    ``phrases`` are likely words; with ``diarize`` the transcript says who spoke.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "alternative_language_codes": "languages",
        "enable_automatic_punctuation": "punctuation",
        "punctuate": "punctuation",
        "enable_word_time_offsets": "word_time_offsets",
        "enable_word_confidence": "word_confidence",
        "enable_spoken_punctuation": "spoken_punctuation",
        "enable_spoken_emojis": "spoken_emojis",
        "enable_speaker_diarization": "diarize",
        "min_speaker_count": "min_speakers",
        "max_speaker_count": "max_speakers",
        "sample_rate": "sample_rate_hz",
        "sample_rate_hertz": "sample_rate_hz",
    }
    tables: ClassVar[frozenset[str]] = frozenset({"config", "diarization_config"})

    encoding: Literal["FLAC"] = "FLAC"
    sample_rate_hz: Literal[16_000] = 16_000
    languages: Annotated[tuple[str, ...], Meta(max_length=3)] = ()
    boost: Annotated[float, Meta(ge=0, le=20)] | None = None
    phrases: tuple[str, ...] = ()
    punctuation: bool = True
    word_time_offsets: bool | None = None
    word_confidence: bool | None = None
    profanity_filter: bool | None = None
    spoken_punctuation: bool | None = None
    spoken_emojis: bool | None = None
    use_enhanced: bool | None = None
    diarize: bool = False
    min_speakers: Speakers | None = None
    max_speakers: Speakers | None = None


class GoogleTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """Settings of ``audioConfig``."""

    aliases: ClassVar[Mapping[str, str]] = {
        "speed": "speaking_rate",
        "effects_profile_id": "effects",
        "sample_rate": "sample_rate_hz",
        "sample_rate_hertz": "sample_rate_hz",
        "audio_encoding": "encoding",
    }
    tables: ClassVar[frozenset[str]] = frozenset({"audio_config"})

    encoding: Literal["PCM", "LINEAR16"] = "PCM"
    speaking_rate: Annotated[float, Meta(ge=0.25, le=2)] | None = None
    pitch: Annotated[float, Meta(ge=-20, le=20)] | None = None
    volume_gain_db: Annotated[float, Meta(ge=-96, le=16)] | None = None
    effects: tuple[str, ...] = ()
    sample_rate_hz: Annotated[int, Meta(ge=8000, le=48_000)] = 24_000


class GeminiOptions(RealtimeOptions, frozen=True, kw_only=True):
    """``behavior``: how functions run; not set, the model's default."""

    api_version: Literal["v1", "v1beta", "v1alpha"] = "v1"
    behavior: Literal["", "BLOCKING", "NON_BLOCKING"] = ""
