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
from voxd.json_text import json_or
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
    "408": "timeout",
    "413": "context_length_exceeded",
    "422": "invalid_request",
    "429": "rate_limit_exceeded",
    **dict.fromkeys(("500", "502", "504"), "server_error"),
    **dict.fromkeys(("503", "529"), "overloaded"),
}

# Codes of a body that reports success in the form of an error.
_SUCCESS = frozenset({"0", "200", "none", "null", "ok", "success", "succeeded"})
# Where servers put the words about an error that is not in ``error``: FastAPI, Baidu, MiniMax, proxies.
_MESSAGES = ("message", "detail", "msg", "error_msg", "error_message", "error_description", "status_msg")

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
    """Return the error in ``body``, decoded JSON of any shape; None when it reports none."""
    if isinstance(body, list):
        return next(filter(None, map(find_error, body)), None)
    if not isinstance(body, dict):
        return None
    # A whole body of its own (vLLM, Anthropic); MiniMax puts one beside the reply.
    if body.get("object") == "error" or body.get("type") == "error":
        return _detail(body.get("error")) or _named(body)
    found = _detail(body.get("error")) or _detail(body.get("errors")) or _detail(body.get("base_resp"))
    if found is None or found.message:
        return found
    # ``{"error": true, "message": …}``, ``{"error": "Unauthorized", …}`` without words of its own.
    return ErrorDetail(found.name or _named(body).name, _message(body))


def complaint(body: Any) -> str:
    """Return what a body says that is neither a reply nor a known form of error; "" when it says nothing."""
    return _message(body) if isinstance(body, dict) else ""


def error_from_detail(provider: str, detail: ErrorDetail) -> ProviderError:
    """Return the exception for ``detail``, which was sent within a stream."""
    if detail.too_long:
        return ContextTooLong(detail.message[:300] or detail.name, provider=provider)
    error = faults.error_for_code(provider, detail.name or "stream_failed", detail.message)
    error.retryable = error.retryable and detail.name not in _LASTING
    return error


def error_from_event(provider: str, data: str) -> ProviderError:
    """Return the exception for ``data``, an event that is known to report an error."""
    found = _body(data.encode(errors="replace"))
    # Some servers send words alone.
    plain = "" if data.lstrip().startswith(("{", "[")) else data.strip()
    return error_from_detail(provider, found if found != ErrorDetail() else ErrorDetail("", plain))


def malformed_reply(provider: str) -> StreamError:
    """Return the exception for an event that does not follow the vendor's protocol."""
    return StreamError(
        "the vendor sent an event that is not part of its protocol", provider=provider, code="bad_frame"
    )


def truncated_reply(provider: str, said: str = "") -> StreamError:
    """Return the exception for a reply without an end; ``said`` is what came in its place."""
    words = f": {said[:300]}" if said else ""
    return StreamError(f"the reply broke off before its end{words}", provider=provider)


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


def _detail(error: Any) -> ErrorDetail | None:
    """Return the error that a field reports, None for a field that reports none, such as an empty object."""
    match error:
        case str() if error.strip():
            # Gateways quote the body of the server behind them.
            quoted = json_or(error, None) if error.lstrip().startswith("{") else None
            return find_error(quoted) or ErrorDetail("", error.strip())
        case list():
            return next(filter(None, map(_detail, error)), None)
        case dict():
            says_success = {_code(error).lower(), _message(error).lower()} & _SUCCESS
            return None if says_success or not any(error.values()) else _named(error)
        case True:
            return ErrorDetail()
        case int() | float() if error:
            return ErrorDetail(_STATUSES.get(f"{error:.0f}", ""))
        case _:
            return None


def _named(error: Mapping[str, Any]) -> ErrorDetail:
    details = error.get("details")
    reason = details.get("error_code") if isinstance(details, Mapping) else None
    code = _code(error)
    candidates = [
        reason if reason in _NAMES else None,
        # Some servers repeat the HTTP status here, and have the name in ``type``.
        None if code.lstrip("-").isdecimal() else code,
        error.get("type") if error.get("type") != "error" else None,
        _STATUSES.get(code),
    ]
    name = next((each for each in candidates if isinstance(each, str) and each), "")
    return ErrorDetail(_NAMES.get(name, name), _message(error))


def _code(error: Mapping[str, Any]) -> str:
    """Return the code, which may be text or a number, "" when there is none."""
    found = next((error[name] for name in ("code", "status_code", "error_code") if error.get(name)), "")
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _message(error: Mapping[str, Any]) -> str:
    for name in _MESSAGES:
        found = error.get(name)
        # FastAPI lists what is wrong with a request.
        if isinstance(found, list) and found:
            found = found[0].get("msg") if isinstance(found[0], dict) else found[0]
        if isinstance(found, dict):
            found = _message(found)
        if isinstance(found, str) and found.strip():
            return found.strip()
    return ""


def _body(body: bytes) -> ErrorDetail:
    """Return the error in the body of a response; an empty one when it cannot be read."""
    content = json_or(body, None)
    return find_error(content) or ErrorDetail("", complaint(content))
