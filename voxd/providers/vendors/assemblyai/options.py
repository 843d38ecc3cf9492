"""The options of AssemblyAI, under the names of the vendor's query parameters."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions

Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[int, Meta(ge=0)]


class AssemblyAiSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """A parameter that is not set keeps the vendor's default. ``speaker_labels``: who spoke."""

    aliases: ClassVar[Mapping[str, str]] = {
        "diarize": "speaker_labels",
        "keyterms": "keyterms_prompt",
        "punctuate": "format_turns",
        "min_end_of_turn_silence_when_confident": "min_turn_silence",
    }

    encoding: Literal["pcm_s16le"] = "pcm_s16le"
    sample_rate: Literal[16_000] = 16_000
    format_turns: bool = True
    keyterms_prompt: tuple[str, ...] = ()
    prompt: str | None = None
    end_of_turn_confidence_threshold: Share | None = None
    min_turn_silence: Milliseconds | None = None
    max_turn_silence: Milliseconds | None = None
    vad_threshold: Share | None = None
    inactivity_timeout: Annotated[int, Meta(ge=1)] | None = None
    mode: str | None = None
    filter_profanity: bool | None = None
    language_detection: bool | None = None
    domain: str | None = None
    speaker_labels: bool | None = None
    max_speakers: Annotated[int, Meta(ge=1)] | None = None
    voice_focus: str | None = None
    voice_focus_threshold: Share | None = None
    noise_suppression_model: str | None = None
    noise_suppression_threshold: Share | None = None
    turn_left_pad_ms: Milliseconds | None = None
    interruption_delay: Milliseconds | None = None
    agent_context: str | None = None
    redact_pii: bool | None = None
