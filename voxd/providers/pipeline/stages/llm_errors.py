"""What a language model's vendor complains of, in a refusal or in the middle of an answer, as our errors.

Shapes and names: reference/providers.md, sections 2 to 4 and 10. What does not fit into a model's context is
told under another name by nearly every server, by some in words only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.errors import ContextTooLong, ProviderError, StreamError
from voxd.net import faults

Headers = Mapping[str, str]

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
_TOO_LONG_WORDS = re.compile(
    r"context (?:length|window|limit|size)|ContextWindowExceeded"
    r"|prompt is too long|input is too long"
    r"|maximum (?:prompt|model|input) length|exceeds the maximum number of tokens"
    r"|tokens \+ .max_new_tokens. must be|reduce the length of the messages",
    re.IGNORECASE,
)
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
"""Names of vendors that mean what `voxd.net.faults` knows under another."""

_STATUSES: Mapping[str, str] = {
    "400": "invalid_request",
    "401": "invalid_api_key",
    "402": "insufficient_quota",
    "403": "permission_denied",
    "404": "model_not_found",
    "422": "invalid_request",
    "429": "rate_limit_exceeded",
}
"""Codes of complaints, of servers that name them by an HTTP status."""

_LASTING = frozenset({"invalid_request_error", "invalid_prompt", "invalid_request", "BadRequestError"})
_NO_SUCH_MODEL = "set the provider's model to one that is there, and check its endpoint"


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What a vendor says is wrong: ``name`` for programs, ``message`` for people, either may be ""."""

    name: str = ""
    message: str = ""

    @property
    def too_long(self) -> bool:
        """Whether it means that the conversation does not fit into the model's context."""
        return self.name in _TOO_LONG_NAMES or bool(_TOO_LONG_WORDS.search(self.message))


def find_error(said: Any) -> ErrorDetail | None:
    """Return what ``said``, decoded JSON of any shape, complains of; None when it does not."""
    match said:
        case {"error": {} as error}:
            return _named(error)
        case {"error": str(text)} if text:
            return ErrorDetail("", text)
        case {"object": "error"} | {"type": "error"}:
            return _named(said)
        case _:
            return None


def error_from_detail(provider: str, complaint: ErrorDetail) -> ProviderError:
    """Return the error for a complaint in the middle of an answer."""
    if complaint.too_long:
        return ContextTooLong(complaint.message[:300] or complaint.name, provider=provider)
    error = faults.error_for_code(provider, complaint.name or "stream_failed", complaint.message)
    error.retryable = error.retryable and complaint.name not in _LASTING
    return error


def error_from_event(provider: str, data: str) -> ProviderError:
    """Return the error for ``data``, a piece of an answer that is known to complain of something."""
    return error_from_detail(provider, _body(data.encode(errors="replace")))


def malformed_reply(provider: str) -> StreamError:
    """Return the error for something that is no part of the vendor's protocol."""
    return StreamError("the vendor sent what his protocol does not know", provider=provider, code="bad_frame")


def truncated_reply(provider: str) -> StreamError:
    """Return the error for an answer whose end never came."""
    return StreamError("the answer broke off before its end", provider=provider)


def error_from_response(provider: str, status: int, headers: Headers, body: bytes) -> ProviderError:
    """Return the error for an HTTP status other than 2xx; the names of ``headers`` are lower case."""
    complaint = _body(body)
    if status == 413 or (complaint.too_long and status not in {401, 402, 403, 429}):
        return ContextTooLong(complaint.message[:300] or "the request is too long", provider=provider)
    error = faults.error_for_refusal(provider, status, headers, _as_openai_says(complaint))
    if status == 404:
        error.hint = _NO_SUCH_MODEL
    return error


def _named(error: Mapping[str, Any]) -> ErrorDetail:
    details = error.get("details")
    reason = details.get("error_code") if isinstance(details, Mapping) else None
    code = error.get("code")
    told = [
        reason if reason in _NAMES else None,
        None if str(code).isdecimal() else code,
        error.get("type") if error.get("type") != "error" else None,
        _STATUSES.get(str(code)),
    ]
    name = next((each for each in told if isinstance(each, str) and each), "")
    message = error.get("message")
    return ErrorDetail(_NAMES.get(name, name), message if isinstance(message, str) else "")


def _body(body: bytes) -> ErrorDetail:
    """Return what the body of a refusal says; one that says nothing we can read says nothing."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return ErrorDetail()
    found = find_error(said)
    if found is None and isinstance(said, dict):
        text = said.get("message") or said.get("detail")
        return ErrorDetail("", text if isinstance(text, str) else "")
    return found or ErrorDetail()


def _as_openai_says(complaint: ErrorDetail) -> bytes:
    """Return a body in the one shape that `faults.error_for_refusal` reads."""
    said = {"code": complaint.name or None, "message": complaint.message or None}
    return msgspec.json.encode({"error": said})
