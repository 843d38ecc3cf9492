"""Maps a vendor's refusals, error codes, close codes and socket errors to `voxd.errors`; pure functions.

Error and close codes are those of OpenAI's GA Realtime API (2026-05-12) and of RFC 6455, section 7.4.1.
"""

import html
import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from voxd.config.secrets import MASK
from voxd.errors import AuthenticationError, ConnectionFailed, ContextTooLong, ProviderError, RateLimited
from voxd.json_text import decode_json
from voxd.net.waits import requested_wait_s, retry_after_s, should_retry, wait_in_text

# What needs a new key: no retry helps, and the next key of the provider is used.
_BAD_KEY = frozenset(
    {"invalid_api_key", "invalid_authentication", "account_deactivated", "permission_denied"}
)
# OpenAI, our own, a bare HTTP status, Anthropic, Google (gRPC and its reasons), AWS, Mistral and gateways; in
# lower case and without "_".
_SLOW_DOWN = frozenset(
    {
        *("ratelimitexceeded", "ratelimited", "429", "ratelimiterror", "ratelimit", "ratelimitreached"),
        *("resourceexhausted", "userratelimitexceeded", "toomanyrequests", "toomanyrequestsexception"),
        *("throttlingexception", "throttling", "throttled", "limitexceededexception", "slowdown"),
        *("requestlimitexceeded", "toomanyrequestserror", "ratelimiterrorexception"),
    }
)
_TOO_LONG = frozenset({"context_length_exceeded", "context_too_long"})
# What needs an action of the user, which is the hint. Never retried, whatever the status says.
_PERMANENT: Mapping[str, str] = MappingProxyType(
    {
        "insufficient_quota": "add credit to the account at the vendor's console",
        "billing_hard_limit_reached": "raise the account's limit at the vendor's console",
        "model_not_found": "set the provider's model to one the account may use",
        "beta_api_shape_disabled": "update voxd: the vendor no longer speaks this protocol",
    }
)
# 1000 to 1013: RFC 6455, section 7.4.1, and the IANA registry of close codes. 3000 to 3999 are registered by
# libraries, 4000 to 4999 are private (section 7.4.2): OpenAI uses 3000 and 4000.
_CLOSE_CODES: Mapping[int, str] = MappingProxyType(
    {
        1000: "closed_by_vendor",
        1001: "going_away",
        1007: "bad_frame",
        1008: "policy",
        1009: "frame_too_big",
        1011: "server_error",
        1012: "server_restart",
        1013: "overloaded",
        3000: "invalid_api_key",
        4000: "beta_api_shape_disabled",
    }
)
# Google refuses a wrong key with status 400 instead of 401; the reason is in the details.
_GOOGLE_BAD_KEY = b'"API_KEY_INVALID"'

RefusalReader = Callable[[str, int, Mapping[str, str], bytes], ProviderError]
"""Reads a refusal (provider, status, lower-case headers, body); `error_for_refusal` is one."""

# The code of a refusal in which the vendor gives no name of its own.
_UNNAMED: Mapping[int, str] = MappingProxyType({409: "conflict", 413: "too_big"})

# Characters of a vendor's message that are kept: it goes into a log line and a status display.
_MAX_TEXT = 300
_MAX_BODY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why a connection is closed: a stable ``code`` for programs, a ``reason`` for people.

    ``close_code`` is the vendor's WebSocket close code, None without a close frame; some have private codes.
    """

    code: str
    reason: str
    close_code: int | None = field(default=None, compare=False)


_SERVER_STATUS = re.compile(r"5\d\d")


def error_for_code(
    provider: str, code: str | None, message: str | None, *, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error for a vendor's error ``code``; an unknown code is kept as it is."""
    name = code or ""
    # Gateways write the HTTP status there.
    if _SERVER_STATUS.fullmatch(name):
        name = "server_error"
    text = (message or name or "the vendor gave no reason")[:_MAX_TEXT]
    if name in _BAD_KEY:
        return AuthenticationError(text, provider=provider)
    if name.replace("_", "").lower() in _SLOW_DOWN:
        if retry_after_s is None:
            retry_after_s = wait_in_text(message or "")
        return RateLimited(text, provider=provider, retry_after_s=retry_after_s)
    if name in _TOO_LONG:
        return ContextTooLong(text, provider=provider)
    error = ProviderError(text, provider=provider, code=name[:64], hint=_PERMANENT.get(name, ""))
    error.retryable = name not in _PERMANENT
    return error


def read_refusal(
    read: "RefusalReader", provider: str, status: int, headers: Mapping[str, str], body: bytes
) -> ProviderError:
    """Return the error that ``read`` makes of a refusal, with the wait that the vendor asks for.

    Every refusal passes here, so no reader needs to know how a wait may be written.
    """
    error = read(provider, status, headers, body)
    if isinstance(error, RateLimited):
        wait_s = requested_wait_s(headers, body)
        error.retry_after_s = error.retry_after_s if wait_s is None else wait_s
    return error


def error_for_refusal(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for an HTTP response with another status than 2xx, or 101 for a WebSocket.

    The names of ``headers`` are lower case. ``x-should-retry`` does not apply to keys and credit.
    """
    content = _content(body)
    message = (message_of(content) or f"the vendor answered with HTTP status {status}")[:_MAX_TEXT]
    # Some put the name of a permanent error only into the type.
    known = (each for each in _names(content, ("type",)) if each in _PERMANENT or each in _TOO_LONG)
    name = next(_names(content, ("code", "__type")), "") or next(known, "")
    if name in _PERMANENT:
        return error_for_code(provider, name, message)
    # 403 too: several vendors answer it for a key without the right to a model.
    if status in {401, 403} or (status == 400 and _GOOGLE_BAD_KEY in body):
        return AuthenticationError(message, provider=provider)
    # 402 Payment Required: Deepgram and Hugging Face send it when the credit is used up.
    if status == 402:
        return error_for_code(provider, "insufficient_quota", message)
    wait_s = retry_after_s(headers)
    error = _by_status(provider, status, name, message, wait_s)
    if error.retry_after_s is None:
        error.retry_after_s = wait_s
    verdict = should_retry(headers)
    if verdict is not None:
        error.retryable = verdict
    return error


def _by_status(provider: str, status: int, name: str, message: str, wait_s: float | None) -> ProviderError:
    if status == 429:
        return error_for_code(provider, "429", message, retry_after_s=wait_s)
    if status == 404:
        return error_for_code(provider, "model_not_found", message)
    # 511 Network Authentication Required is a captive portal by definition (RFC 6585, section 6).
    # A redirect is one too: no API that is used here redirects.
    if status < 400 or status == 511:
        return captive_portal(provider)
    if status == 408:
        return ConnectionFailed(message, provider=provider, code="timeout")
    # 529 is Anthropic's "overloaded_error".
    if status == 529:
        return ConnectionFailed(message, provider=provider, code="overloaded")
    if status < 500:
        error = error_for_code(provider, name or _UNNAMED.get(status, "refused"), message)
        # Groq refuses a request that exceeds the tokens of a minute with 413.
        if isinstance(error, RateLimited):
            return error
        # 409 Conflict is a lock at the vendor that another request holds; OpenAI's and Anthropic's clients
        # retry it as well.
        error.retryable = status == 409
        return error
    return ConnectionFailed(message, provider=provider, code="server_error")


def connect_error(provider: str, error: Exception) -> ProviderError:
    """Return the error for a socket that could not be opened; each code needs another action of the user."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message or "its certificate is not valid"
        # The clock of a Pi starts in the past until NTP has set it, so every certificate is "not yet valid".
        if "not yet valid" in reason:
            hint = "set the clock: `timedatectl status`"
            return ConnectionFailed(reason, provider=provider, code="clock_wrong", hint=hint)
        hint = "check the provider's endpoint, the clock and metadata.ca_file"
        return ConnectionFailed(reason, provider=provider, code="tls_untrusted", hint=hint)
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", "") or "the TLS handshake failed"
        return ConnectionFailed(reason, provider=provider, code="tls_failed")
    if isinstance(error, TimeoutError):
        return ConnectionFailed("the vendor did not answer in time", provider=provider, code="timeout")
    if isinstance(error, socket.gaierror):
        hint = "check the provider's endpoint and the network's name server"
        return ConnectionFailed(
            "cannot resolve the vendor's host name", provider=provider, code="dns_failed", hint=hint
        )
    # Not `strerror`: asyncio and aiohappyeyeballs put addresses there, for a race those of every attempt.
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else "the connection failed"
    return ConnectionFailed(reason, provider=provider)


def captive_portal(provider: str) -> ProviderError:
    """Return the error for a log-in page, or a redirect to it, in place of the vendor's response."""
    hint = "log in to the network, or correct the provider's endpoint"
    msg = "the network answers with a log-in page"
    return ConnectionFailed(msg, provider=provider, code="captive_portal", hint=hint)


def bad_endpoint(provider: str, problem: str = "the endpoint is not a WebSocket URL") -> ProviderError:
    """Return the error for an endpoint that cannot be used."""
    hint = "correct the provider's endpoint in the configuration"
    error = ConnectionFailed(problem, provider=provider, code="bad_endpoint", hint=hint)
    error.retryable = False
    return error


def unsendable_request(provider: str) -> ProviderError:
    """Return the error for a request that HTTP cannot carry, such as a line break in a header."""
    hint = "check the provider's headers and key in the configuration"
    error = ProviderError("the request cannot be sent", provider=provider, code="bad_request", hint=hint)
    error.retryable = False
    return error


def not_http(provider: str, *, is_silent: bool) -> ProviderError:
    """Return the error for a host that closed the connection without a response, or does not speak HTTP."""
    if is_silent:
        return ConnectionFailed("the vendor closed the connection at once", provider=provider)
    hint = "check the provider's endpoint"
    return ConnectionFailed(
        "the endpoint does not speak HTTP", provider=provider, code="bad_answer", hint=hint
    )


def not_websocket(provider: str, cause: BaseException | None) -> ProviderError:
    """Return the error for a host that responded, but not as a WebSocket server."""
    if isinstance(cause, EOFError | OSError):
        return ConnectionFailed("the vendor closed the connection at once", provider=provider)
    hint = "check the provider's endpoint, and whether the network has a log-in page"
    return ConnectionFailed(
        "the endpoint is not a WebSocket", provider=provider, code="not_a_websocket", hint=hint
    )


def close_reason(code: int | None, reason: str, *, sent: int | None = None) -> CloseReason:
    """Return why a socket was closed, from the vendor's close ``code`` and the one we ``sent``, if any."""
    # Our own side closes with 1009 when a frame exceeds our limit (RFC 6455, section 7.4.1).
    if sent == 1009 or code == 1009:
        return CloseReason("frame_too_big", "the vendor sent a frame longer than allowed", code)
    # Without a close frame there was no closing handshake (1006, RFC 6455, section 7.1.5).
    if code is None:
        return CloseReason("network_error", "the connection broke")
    text = (reason or f"closed with code {code}")[:_MAX_TEXT]
    # OpenAI ends a realtime session after its maximum duration with 1001 "going away".
    if code == 1001 and "maximum duration" in reason:
        return CloseReason("session_expired", text, code)
    if code == 1008 and "api_key" in reason:
        return CloseReason("invalid_api_key", text, code)
    return CloseReason(_CLOSE_CODES.get(code, "network_error"), text, code)


def error_for_close(provider: str, end: CloseReason) -> ProviderError:
    """Return the error that a waiting caller gets for ``end``."""
    if end.code in _BAD_KEY:
        return AuthenticationError(end.reason, provider=provider)
    if end.code in _PERMANENT:
        return error_for_code(provider, end.code, end.reason)
    return ConnectionFailed(end.reason, provider=provider, code=end.code)


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """Our code, class and hint for a vendor's error name."""

    code: str
    kind: type[ProviderError] = ProviderError
    retryable: bool = False
    hint: str = ""


NO_CREDIT = ErrorMeaning("insufficient_quota", hint="add credit to the account at the vendor's console")
BAD_KEY = ErrorMeaning(AuthenticationError.code, AuthenticationError)
NO_VOICE = ErrorMeaning("voice_not_found", hint="set the provider's voice to one the account may use")
TOO_LONG = ErrorMeaning("text_too_long", hint="report this: voxd cuts texts before they are spoken")
SLOW_DOWN = ErrorMeaning(RateLimited.code, RateLimited, retryable=True)
BUSY = ErrorMeaning("overloaded", ConnectionFailed, retryable=True, hint="wait: the vendor is overloaded")


# Where the error is: OpenAI and most others, FastAPI, Cloudflare, Mistral (an object as the message), Apigee.
_INNER = ("error", "detail", "errors", "message", "fault", "exception")
# In this order of preference: a name is more exact the deeper it is.
_NAMES = ("status", "code", "err_code", "category", "error_code", "errorCode", "__type")
_MESSAGES = (
    *("message", "msg", "err_msg", "error_message", "errorMessage", "Message", "error_description"),
    *("faultstring", "description", "detail", "error", "errors", "details", "fault", "exception", "title"),
)
_MAX_DEPTH = 8
# The page of a proxy (nginx, Cloudflare) and the XML of AWS and Azure.
_MARKED_UP = re.compile(r"<(title|message)[^>]*>([^<]+)<", re.IGNORECASE)
_XML_NAME = re.compile(r"<code>([\w.]+)<", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RefusalText:
    """The vendor's error name and message; "" where the body has none."""

    name: str = ""
    message: str = ""


def parse_refusal(headers: Mapping[str, str], body: bytes) -> RefusalText:
    """Return the name and message of a refusal, whatever its format; both "" where nothing is legible.

    A field of another type than usual only loses itself.
    """
    content = _content(body)
    # AWS puts the name into a header, followed by ":" and a URL (smithy, protocol restJson1).
    aws_name = headers.get("x-amzn-errortype", "").partition(":")[0]
    name, message = aws_name or next(_names(content, _NAMES), ""), message_of(content)
    # A word alone is a name: ElevenLabs sends it so, FastAPI servers a sentence.
    if not name and isinstance(content, Mapping) and message.replace("_", "").isalnum():
        bare = next((content[key] for key in ("detail", "error") if content.get(key) == message), "")
        name, message = (message, "") if bare else (name, message)
    return RefusalText(name, "" if message == name else message)


def _content(body: bytes) -> Any:
    """Return the JSON in ``body``, or what a page or a text says; None for anything else."""
    try:
        return decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    text = body[:_MAX_BODY_BYTES].decode("utf-8-sig", errors="replace").strip()
    # A refusal in the format of the stream that was asked for.
    if found := re.search(r"^data:\s*([\[{].*)$", text, re.MULTILINE):
        return _content(found[1].encode())
    if text.startswith("<"):
        marked, name = _MARKED_UP.search(text), _XML_NAME.search(text)
        return {"message": html.unescape(marked[2]) if marked else "", "code": name[1] if name else ""}
    text = " ".join(text.split())
    is_legible = text.isprintable() and "\ufffd" not in text
    return text if is_legible and not text.startswith(("{", "[")) else None


def _names(content: Any, keys: Sequence[str], depth: int = _MAX_DEPTH) -> Iterator[str]:
    """Yield the error names under ``keys``, the innermost first. A number is an HTTP status, not a name."""
    if isinstance(content, list) and content:
        yield from _names(content[0], keys, depth - 1)
    if not isinstance(content, Mapping) or depth <= 0:
        return
    for key in _INNER:
        yield from _names(content.get(key), keys, depth - 1)
    for key in keys:
        value = content.get(key)
        # AWS writes a namespace before "#"; Python servers print None.
        name = value.rpartition("#")[2].strip() if isinstance(value, str) else ""
        if name and not name.isdigit() and name not in {"None", "null", "error"}:
            yield name
    # A word beside a message that is a text: {"error": "quota_exceeded", "message": "…"}.
    beside = content.get("error")
    if isinstance(beside, str) and isinstance(content.get("message"), str) and " " not in beside.strip():
        yield from filter(None, [beside.strip()])


def message_of(content: Any, depth: int = _MAX_DEPTH) -> str:
    """Return what the error ``content``, JSON of any shape, says to people; "" for nothing."""
    if depth <= 0:
        return ""
    if isinstance(content, str):
        text = " ".join(content.split())
        # Gateways put the vendor's body into the message.
        inner = _content(text.encode(errors="replace")) if text.startswith(("{", "[")) else None
        return message_of(inner, depth - 1) or text
    if isinstance(content, list):
        return "; ".join(dict.fromkeys(filter(None, (message_of(each, depth - 1) for each in content))))
    if not isinstance(content, Mapping):
        return ""
    inner = [content[key] for key in _INNER if isinstance(content.get(key), Mapping | list)]
    texts = (message_of(each, depth - 1) for each in (*inner, *map(content.get, _MESSAGES)))
    text = next(filter(None, texts), "")
    # Pydantic names the field that is wrong, below "body".
    where = content.get("loc")
    fields = [str(each) for each in where if each != "body"] if isinstance(where, list) else []
    return f"{'.'.join(fields)}: {text}" if text and fields else text


def refusal_reader(table: Mapping[str, ErrorMeaning]) -> RefusalReader:
    """Return a reader of one vendor's refusals; ``table`` maps the vendor's error names.

    A name that is not in ``table`` is mapped by the HTTP status.
    """

    def read(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        named = parse_refusal(headers, body)
        error = {"code": named.name, "message": named.message or None}
        # Handed on in OpenAI's format, so that statuses and waits are mapped in one place.
        plain = error_for_refusal(provider, status, headers, msgspec.json.encode({"error": error}))
        if named.name not in table:
            return plain
        return error_meaning(provider, table[named.name], str(plain), retry_after_s=plain.retry_after_s)

    return read


def error_meaning(
    provider: str, means: ErrorMeaning, message: str, *, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error for ``means``."""
    error = means.kind(
        message[:_MAX_TEXT], provider=provider, code=means.code, hint=means.hint, retry_after_s=retry_after_s
    )
    error.retryable = means.retryable
    return error


# A shorter text is not a key, and may be a part of any word.
LEAST_KEY_CHARS = 8

Text = TypeVar("Text", str, bytes, str | bytes)


def redact(received: Text, key: str) -> Text:
    """Return ``received`` without ``key``: some vendors repeat it in their refusals."""
    # A key may be several secrets joined by colons, as AWS's is (id, secret, session token).
    for part in (key, *key.split(":")):
        if len(part) < LEAST_KEY_CHARS:
            continue
        if isinstance(received, str):
            received = received.replace(part, MASK)
        else:
            received = received.replace(part.encode(), MASK.encode())
    return received
