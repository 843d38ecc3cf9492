"""The options of Deepgram's stages, under the names of the vendor's query parameters."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions

Texts = str | tuple[str, ...]
Confidence = Annotated[float, Meta(ge=0, le=1)]


class DeepgramSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """A parameter that is not set keeps the vendor's default.

    ``endpointing`` is in milliseconds of silence, or false. It makes words final; the end of the utterance is
    detected by the device. With ``diarize`` the transcript says who spoke.
    """

    aliases: ClassVar[Mapping[str, str]] = {"keyterms": "keyterm", "speaker_labels": "diarize"}

    # The form of the device's audio: what is sent anyway.
    encoding: Literal["linear16"] = "linear16"
    sample_rate: Literal[16_000] = 16_000
    channels: Literal[1] = 1
    interim_results: bool = True
    smart_format: bool = True
    # The vendor's default of 10 ms makes words final in the middle of a sentence.
    endpointing: Annotated[int, Meta(ge=0)] | bool = 300
    utterance_end_ms: Annotated[int, Meta(ge=0)] | None = None
    vad_events: bool | None = None
    punctuate: bool | None = None
    numerals: bool | None = None
    dictation: bool | None = None
    profanity_filter: bool | None = None
    redact: Texts | bool | None = None
    replace: Texts | None = None
    search: Texts | None = None
    keyterm: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    detect_entities: bool | None = None
    diarize: bool | None = None
    diarize_model: str | None = None
    language_hint: tuple[str, ...] | None = None
    mip_opt_out: bool | None = None
    tag: Texts | None = None
    version: str | None = None
    extra: Texts | None = None


class DeepgramFluxSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """A parameter that is not set keeps the vendor's default.

    ``eager_eot_threshold`` enables ``EagerEndOfTurn``, which an early start of the reply needs.
    """

    aliases: ClassVar[Mapping[str, str]] = {"keyterms": "keyterm"}

    encoding: Literal["linear16"] = "linear16"
    sample_rate: Literal[16_000] = 16_000
    eager_eot_threshold: Confidence = 0.5
    eot_threshold: Confidence | None = None
    eot_timeout_ms: Annotated[int, Meta(ge=0)] | None = None
    keyterm: tuple[str, ...] = ()
    language_hint: tuple[str, ...] = ()
    profanity_filter: bool | None = None
    numerals: bool | None = None
    redact: Texts | None = None
    mip_opt_out: bool | None = None
    tag: Texts | None = None


class DeepgramTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``speed`` is a factor that not every language supports."""

    aliases: ClassVar[Mapping[str, str]] = {"sample_rate": "sample_rate_hz"}

    encoding: Literal["linear16"] = "linear16"
    container: Literal["none"] = "none"
    speed: Annotated[float, Meta(ge=0.5, le=2.0)] | None = None
    sample_rate_hz: Literal[8000, 16_000, 24_000, 32_000, 48_000] = 24_000
    mip_opt_out: bool = False
    tag: Texts | None = None
