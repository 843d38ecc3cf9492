"""The options of servers of your own."""

from typing import Literal

from voxd.providers.pipeline.stages.llm_options import Json, LlmOptions
from voxd.providers.realtime.options import OpenAIProtocolOptions


class CustomRealtimeOptions(OpenAIProtocolOptions, frozen=True, kw_only=True):
    """``auth_type``: how the key is sent; ``auth_name``: the name of its header or query parameter."""

    auth_type: Literal["bearer", "header", "query", "none"] = "bearer"
    auth_name: str = ""


class CustomLlmOptions(LlmOptions, frozen=True, kw_only=True):
    """Options of a custom endpoint.

    ``stream``: request text as it is generated. The ``..._field`` options name the fields of the request, ""
    omits one; the ``..._path`` options name those of the response, with dots for nested fields. ``check_url``
    is requested by `check`. ``body``: additional fields of the request.
    """

    stream: bool = True
    messages_field: str = "messages"
    model_field: str = "model"
    max_tokens_field: str = "max_tokens"
    temperature_field: str = "temperature"
    stream_field: str = "stream"
    content_path: str = "content"
    input_tokens_path: str = "usage.input_tokens"
    output_tokens_path: str = "usage.output_tokens"
    check_url: str = ""
    body: Json = {}
