"""The options that language models share."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from voxd.config.provider_options import ProviderOptions

Json = dict[str, Any]

Tokens = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class LlmOptions(ProviderOptions, frozen=True, kw_only=True):
    """``temperature`` and ``max_tokens`` precede those of the pipeline, for this model alone.

    ``context_tokens`` is the size of the prompt that the model takes.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "max_output_tokens": "max_tokens",
        "max_completion_tokens": "max_tokens",
    }

    context_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    max_tokens: Tokens | None = None


class HostOptions(LlmOptions, frozen=True, kw_only=True):
    """``auth``: how the key is sent, "bearer" or "api-key"; "" for the usual way of the server."""

    auth: Literal["", "bearer", "api-key"] = ""
    organization: str = ""
    project: str = ""


class ChatOptions(HostOptions, frozen=True, kw_only=True):
    """Options of a chat completions model.

    ``max_tokens_field``: the server's name for the limit of output tokens. ``stream_usage``: whether the
    server accepts ``stream_options.include_usage``. ``body``: additional fields of the request.
    """

    max_tokens_field: str = ""
    stream_usage: bool = True
    top_p: Share | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    reasoning_effort: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    parallel_tool_calls: bool | None = None
    logit_bias: Json | None = None
    body: Json = {}

    def fields(self) -> Json:
        """Return the fields of a request that are set here."""
        names = (
            "top_p",
            "frequency_penalty",
            "presence_penalty",
            "seed",
            "stop",
            "reasoning_effort",
            "verbosity",
            "service_tier",
            "parallel_tool_calls",
            "logit_bias",
        )
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None} | self.body
