"""The options of Anthropic's models."""

from typing import Annotated, Literal

from msgspec import Meta

from voxd.providers.pipeline.stages.llm_options import Json, LlmOptions, Share

Version = Literal["2026-10-21", "2023-06-01"]
NEW: Version = "2026-10-21"
OLD: Version = "2023-06-01"


class AnthropicOptions(LlmOptions, frozen=True, kw_only=True):
    """``api_version`` also selects the authentication scheme.

    ``cache``: "5m" or "1h" turns on prompt caching, which lowers the price of repeated input. ``body``:
    additional fields of the request, such as ``thinking``.
    """

    api_version: Version = NEW
    cache: Literal["", "5m", "1h"] = ""
    top_p: Share | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: tuple[str, ...] | None = None
    thinking: Json | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    body: Json = {}

    def fields(self) -> Json:
        """Return the fields of a request that are set here."""
        names = ("top_p", "top_k", "stop_sequences", "thinking", "service_tier")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None} | self.body
