"""Maps errors of language model vendors, from an HTTP response or within a stream, to voxd's errors.

Every server has its own name for a prompt that exceeds the context, and some report it in words only. The
shapes are in the `README.md` of the openai, anthropic, ollama and huggingface folders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.errors import ContextTooLong, ProviderError, StreamError
from voxd.net import faults

Headers = Mapping[str, str]

# OpenAI's name, llama.cpp's (``exceed_context_size_error``), Anthropic's (``request_too_large`` with status
# 413, and a stop reason), and LiteLLM's, which is the name of its exception.
_TOO_LONG_NAMES = frozenset(
    {
        "context_length_exceeded",
        "context_too_long",
        "exceed_context_size_error",
        "request_too_large",
        "ContextWindowExceededError",
        "model_context_window_exceeded",
    }
)
# For servers that report it in words only; the last line is for vLLM and Hugging Face's own server.
_TOO_LONG_WORDS = re.compile(
    r"context (?:length|window|limit|size)|ContextWindowExceeded"
    r"|prompt is too long|input is too long"
    r"|maximum (?:prompt|model|input) length|exceeds the maximum number of tokens"
    r"|tokens \+ .max_new_tokens. must be|reduce the length of the messages",
    re.IGNORECASE,
)
# Vendors' names for codes that `voxd.net.faults` knows by another name.
_NAMES: Mapping[str, str] = {
    "authentication_error": "invalid_api_key",
    "permission_error": "permission_denied",
    "rate_limit_error": "rate_limit_exceeded",
    "billing_error": "insufficient_quota",
    "enforced_spend_limit_reached": "insufficient_quota",
    "contract_spend_limit_reached": "insufficient_quota",
    "not_found_error": "model_not_found",
    "ramp_limit_exceeded": "rate_limit_exceeded",
    "overloaded_error": "overloaded",
}

# Codes for servers that use an HTTP status as the name of an error.
_STATUSES: Mapping[str, str] = {
    "400": "invalid_request",
    "401": "invalid_api_key",
    "402": "insufficient_quota",
    "403": "permission_denied",
    "404": "model_not_found",
    "422": "invalid_request",
    "429": "rate_limit_exceeded",
}

# The same request would fail again, whatever the connection.
_LASTING = frozenset({"invalid_request_error", "invalid_prompt", "invalid_request", "BadRequestError"})
_NO_SUCH_MODEL = "set the provider's model to an existing one, and check its endpoint"


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """An error reported by a vendor: ``name`` for programs, ``message`` for people; either may be ""."""

    name: str = ""
    message: str = ""

    @property
    def too_long(self) -> bool:
        """Whether the conversation exceeds the model's context."""
        return self.name in _TOO_LONG_NAMES or bool(_TOO_LONG_WORDS.search(self.message))


def find_error(body: Any) -> ErrorDetail | None:
    """Return the error in ``body``, decoded JSON of any shape; None when it has none."""
    match body:
        case {"error": {} as error}:
            return _named(error)
        case {"error": str(text)} if text:
            return ErrorDetail("", text)
        case {"object": "error"} | {"type": "error"}:
            return _named(body)
        case _:
            return None


def error_from_detail(provider: str, detail: ErrorDetail) -> ProviderError:
    """Return the exception for ``detail``, which was sent within a stream."""
    if detail.too_long:
        return ContextTooLong(detail.message[:300] or detail.name, provider=provider)
    error = faults.error_for_code(provider, detail.name or "stream_failed", detail.message)
    error.retryable = error.retryable and detail.name not in _LASTING
    return error


def error_from_event(provider: str, data: str) -> ProviderError:
    """Return the exception for ``data``, an event that is known to report an error."""
    return error_from_detail(provider, _body(data.encode(errors="replace")))


def decode_event(provider: str, data: str | bytes, kind: Any) -> Any:
    """Return the event ``data`` of a reply as ``kind``. Raises `StreamError` when it is another."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise malformed_reply(provider) from None


def malformed_reply(provider: str) -> StreamError:
    """Return the exception for an event that does not follow the vendor's protocol."""
    return StreamError(
        "the vendor sent an event that is not part of its protocol", provider=provider, code="bad_frame"
    )


def truncated_reply(provider: str) -> StreamError:
    """Return the exception for a reply without an end."""
    return StreamError("the reply broke off before its end", provider=provider)


def error_from_response(provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
    """Return the exception for an HTTP status other than 2xx; names in ``headers`` are lower case."""
    detail = _body(body)
    # A refused key or account may mention tokens too ("tokens per minute"): there the status decides.
    if status == 413 or (detail.too_long and status not in {401, 402, 403, 429}):
        return ContextTooLong(detail.message[:300] or "the request is too long", provider=provider)
    # In the one shape that `faults.error_for_refusal` reads.
    shape = {"error": {"code": detail.name or None, "message": detail.message or None}}
    error = faults.error_for_refusal(provider, status, headers, msgspec.json.encode(shape))
    if status == 404:
        error.hint = _NO_SUCH_MODEL
    return error


def _named(error: Mapping[str, Any]) -> ErrorDetail:
    details = error.get("details")
    reason = details.get("error_code") if isinstance(details, Mapping) else None
    code = error.get("code")
    candidates = [
        reason if reason in _NAMES else None,
        # Some servers repeat the HTTP status here, and have the name in ``type``.
        None if str(code).isdecimal() else code,
        error.get("type") if error.get("type") != "error" else None,
        _STATUSES.get(str(code)),
    ]
    name = next((each for each in candidates if isinstance(each, str) and each), "")
    message = error.get("message")
    return ErrorDetail(_NAMES.get(name, name), message if isinstance(message, str) else "")


def _body(body: bytes) -> ErrorDetail:
    """Return the error in the body of a response; an empty one when it cannot be read."""
    try:
        content = msgspec.json.decode(body)
    # A proxy in between answers with a page of its own: the status has to do.
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ErrorDetail()
    found = find_error(content)
    if found is None and isinstance(content, dict):
        text = content.get("message") or content.get("detail")
        return ErrorDetail("", text if isinstance(text, str) else "")
    return found or ErrorDetail()
