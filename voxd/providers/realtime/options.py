"""The options that speech-to-speech providers share; each vendor adds its own."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions

_NO_TEMPERATURE = "the protocol has no temperature since its general availability"


class RealtimeOptions(ProviderOptions, frozen=True, kw_only=True):
    """Limits of a session, which precede those of an agent."""

    aliases: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "max_response_output_tokens": "max_tokens",
    }

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None


def _noise_reduction(value: Any) -> Any:
    # The vendor's own form is a table with one key.
    return value.get("type", value) if isinstance(value, Mapping) else value


class OpenAIProtocolOptions(RealtimeOptions, frozen=True, kw_only=True):
    """Settings of a session of the OpenAI Realtime protocol, under the protocol's names.

    ``transcription_model`` transcribes what the user says; "" turns that off.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        **RealtimeOptions.aliases,
        "input_audio_noise_reduction": "noise_reduction",
    }
    readers: ClassVar[Mapping[str, Any]] = {
        "noise_reduction": _noise_reduction,
        "input_audio_noise_reduction": _noise_reduction,
    }
    without_effect: ClassVar[Mapping[str, str]] = {"temperature": _NO_TEMPERATURE}

    transcription_model: str | None = None
    noise_reduction: Literal["near_field", "far_field"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    eagerness: Literal["auto", "low", "medium", "high"] = "auto"
    interrupt_response: bool = True
