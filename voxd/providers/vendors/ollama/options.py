"""The options of Ollama."""

from collections.abc import Mapping
from typing import ClassVar

from voxd.providers.pipeline.stages.llm_options import Json, LlmOptions


class OllamaOptions(LlmOptions, frozen=True, kw_only=True):
    """``keep_alive``: how long the model stays loaded ("5m", -1 for ever).

    ``think``: whether, or how much, the model reasons first. ``context_tokens``: the size of the context,
    which the server allocates. ``options``: additional model settings, such as ``top_p``.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        **LlmOptions.aliases,
        "num_ctx": "context_tokens",
        "num_predict": "max_tokens",
    }

    keep_alive: str | int | None = None
    think: bool | str | None = None
    options: Json = {}
