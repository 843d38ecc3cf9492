"""The options of OpenAI's stages and of its speech-to-speech providers."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions
from voxd.providers.pipeline.stages.llm_options import HostOptions, Json
from voxd.providers.realtime.options import OpenAIProtocolOptions, RealtimeOptions

_FIXED_SESSION = "GPT-Live has no such setting"


class OpenAIRealtimeOptions(OpenAIProtocolOptions, frozen=True, kw_only=True):
    """``organization`` and ``project`` are sent as headers, for keys that belong to several."""

    organization: str = ""
    project: str = ""


class GptLiveOptions(RealtimeOptions, frozen=True, kw_only=True):
    """GPT-Live takes a voice and instructions only."""

    without_effect: ClassVar[Mapping[str, str]] = {
        "temperature": _FIXED_SESSION,
        "max_tokens": _FIXED_SESSION,
    }

    organization: str = ""
    project: str = ""


class AccountOptions(ProviderOptions, frozen=True, kw_only=True):
    """``organization`` and ``project`` are sent as headers, for keys that belong to several."""

    organization: str = ""
    project: str = ""


def account_headers(options: AccountOptions) -> dict[str, str]:
    """Return the headers that say whom a request is billed to."""
    named = {"OpenAI-Organization": options.organization, "OpenAI-Project": options.project}
    return {name: value for name, value in named.items() if value}


class OpenAISttOptions(AccountOptions, frozen=True, kw_only=True):
    """Options of transcription.

    ``prompt`` guides style and spelling; ``stream`` requests partial text; None means where the model is
    known to support it. With ``diarize`` the transcript says who spoke: it takes the model
    ``gpt-4o-transcribe-diarize`` unless another is set, and is not streamed.
    """

    prompt: str = ""
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    keywords: tuple[str, ...] = ()
    diarize: bool = False


class OpenAILiveSttOptions(AccountOptions, frozen=True, kw_only=True):
    """Session settings under the vendor's names; a setting that is not set keeps the vendor's default.

    ``delay`` trades latency for accuracy, with models that support it.
    """

    aliases: ClassVar[Mapping[str, str]] = {"input_audio_noise_reduction": "noise_reduction"}
    readers: ClassVar[Mapping[str, Any]] = OpenAIProtocolOptions.readers

    noise_reduction: Literal["near_field", "far_field"] | None = None
    keywords: tuple[str, ...] = ()
    prompt: str = ""
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class OpenAIResponsesOptions(HostOptions, frozen=True, kw_only=True):
    """Options of the Responses API; ``body``: additional fields, such as ``reasoning``."""

    aliases: ClassVar[Mapping[str, str]] = HostOptions.aliases

    reasoning_effort: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    body: Json = {}

    def fields(self) -> Json:
        """Return the fields of a request that are set here."""
        plain = {
            "top_p": self.top_p,
            "service_tier": self.service_tier,
            "parallel_tool_calls": self.parallel_tool_calls,
            "truncation": self.truncation,
            "reasoning": {"effort": self.reasoning_effort} if self.reasoning_effort else None,
            "text": {"verbosity": self.verbosity} if self.verbosity else None,
        }
        return {name: value for name, value in plain.items() if value is not None} | self.body


class OpenAITtsOptions(AccountOptions, frozen=True, kw_only=True):
    """``instructions`` describe the delivery; ``sample_rate_hz`` is the rate of the server's raw PCM."""

    aliases: ClassVar[Mapping[str, str]] = {"sample_rate": "sample_rate_hz"}

    response_format: Literal["pcm"] = "pcm"
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    instructions: str = ""
    sample_rate_hz: Annotated[int, Meta(ge=8000, le=48_000)] = 24_000


class OpenAIRealtimeTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``instructions`` describe the delivery: "calmly", "with a Scottish accent"."""

    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | None = None
    instructions: str = ""
