"""The options of ElevenLabs' stages, under the vendor's names."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions

Share = Annotated[float, Meta(ge=0, le=1)]


def _pcm_rate(value: Any) -> int:
    """Return the rate in an ``output_format`` such as "pcm_24000". Raises `ValueError` for another form."""
    form, _, rate = str(value).partition("_")
    if form != "pcm" or not rate.isdecimal():
        raise ValueError('"pcm_24000" or another rate of PCM')
    return int(rate)


class ElevenLabsTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``voice_settings`` are options of their own, or a table as in the vendor's request.

    ``seed`` None: the HTTP stage derives one from the text, so that a repeated request can produce the same
    audio.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "output_format": "sample_rate_hz",
        "sample_rate": "sample_rate_hz",
    }
    readers: ClassVar[Mapping[str, Any]] = {"output_format": _pcm_rate}
    tables: ClassVar[frozenset[str]] = frozenset({"voice_settings"})

    stability: Share = 0.5
    similarity_boost: Share = 0.75
    style: Share | None = None
    use_speaker_boost: bool | None = None
    speed: Annotated[float, Meta(ge=0.7, le=1.2)] | None = None
    seed: Annotated[int, Meta(ge=0, lt=2**32)] | None = None
    apply_text_normalization: Literal["auto", "on", "off"] | None = None
    enable_logging: bool | None = None
    sample_rate_hz: Literal[8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] = 24_000

    def voice_settings(self) -> dict[str, Any]:
        """Return the settings for a request; a setting that is not set keeps the voice's own value."""
        names = ("stability", "similarity_boost", "style", "use_speaker_boost", "speed")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class ElevenLabsSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """Query parameters under the vendor's names; a parameter that is not set keeps the vendor's default."""

    aliases: ClassVar[Mapping[str, str]] = {"keyterm": "keyterms"}

    keyterms: tuple[str, ...] = ()
    no_verbatim: bool | None = None
    secondary_languages: tuple[str, ...] | None = None
    filter_background_audio: bool | None = None
    enable_logging: bool | None = None
