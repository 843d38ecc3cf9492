"""A user's own HTTP endpoint: what it is asked, and its answer as JSON; the fields may have any names.

The shapes it has when nothing else is configured are those of the guide for custom providers: messages,
model, max_tokens and stream go in; content, and the tokens used, come out.
"""

from typing import Any

import msgspec

from voxd.providers.pipeline.stages import llm_errors as complaints
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, Prompt
from voxd.providers.pipeline.stages.messages import pair_tool_results
from voxd.providers.usage import Usage

Json = dict[str, Any]


class CustomLlmOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of this kind.

    ``stream``: ask for text as it is written. The ``..._field`` name the fields of the request, "" leaves one
    out; the ``..._path`` name those of the answer, with dots between a field and one inside it. ``check_url``
    is asked whether the endpoint is well. ``body``: more fields of the request.
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
    body: Json = msgspec.field(default_factory=dict)


def custom_body(prompt: Prompt, model: str, options: CustomLlmOptions) -> Json:
    """Return the body of a request. It names no tools: the endpoint knows of none."""
    system = [{"role": "system", "content": prompt.instructions}] if prompt.instructions else []
    fields: dict[str, Any] = {
        options.messages_field: system
        + [_message(each) for each in pair_tool_results(prompt.messages) if each.text],
        options.model_field: model or None,
        options.max_tokens_field: prompt.max_output_tokens,
        options.temperature_field: prompt.temperature,
        options.stream_field: options.stream or None,
    }
    return {name: value for name, value in fields.items() if name and value is not None} | options.body


def _message(message: ChatMessage) -> Json:
    if message.role == "tool":
        # Another model may have called it, and failed before it could answer.
        return {"role": "user", "content": f"[{message.tool}] {message.text}"}
    return {"role": message.role, "content": message.text}


def text_of(provider: str, said: Any, options: CustomLlmOptions) -> str:
    """Return the text of a JSON answer. Raises `ProviderError` for a complaint, or when there is no text."""
    found = _at(said, options.content_path)
    if isinstance(found, str):
        return found
    complaint = complaints.find_error(said)
    raise (
        complaints.error_from_detail(provider, complaint)
        if complaint
        else complaints.malformed_reply(provider)
    )


def answered(said: Any, options: CustomLlmOptions) -> Completion:
    """Return how a JSON answer ended, with what it used as far as it says so."""
    used = Usage(
        input_text_tokens=_number(_at(said, options.input_tokens_path)),
        output_text_tokens=_number(_at(said, options.output_tokens_path)),
    )
    return Completion("stop", usage=used)


def _at(said: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(said, dict):
            return None
        said = said.get(name)
    return said


def _number(found: Any) -> int:
    return found if isinstance(found, int) and found >= 0 else 0
