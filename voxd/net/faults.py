"""What a vendor's refusals, error codes and closed sockets mean: pure tables from theirs to `voxd.errors`.

Codes and close codes are those of the GA Realtime API (2026-05-12) and of the WebSocket RFC 6455, 7.4.1.
"""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from voxd.errors import AuthenticationError, ConnectionFailed, ContextTooLong, ProviderError, RateLimited
from voxd.net.waiting import retry_after_s, should_retry

_BAD_KEY = frozenset(
    {"invalid_api_key", "invalid_authentication", "account_deactivated", "permission_denied"}
)
_SLOW_DOWN = frozenset({"rate_limit_exceeded", "rate_limited", "429"})
_TOO_LONG = frozenset({"context_length_exceeded", "context_too_long"})
_HOPELESS: Mapping[str, str] = MappingProxyType(
    {
        "insufficient_quota": "add credit to the account at the vendor's console",
        "billing_hard_limit_reached": "raise the account's limit at the vendor's console",
        "model_not_found": "set the provider's model to one the account may use",
        "beta_api_shape_disabled": "update voxd: the vendor no longer speaks this protocol",
    }
)
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
_GOOGLES_BAD_KEY = b'"API_KEY_INVALID"'
"""The reason in the details of a refusal whose status is 400, and not 401."""

RefusalReader = Callable[[str, int, Mapping[str, str], bytes], ProviderError]
"""Reads a refusal (provider, status, lower-case headers, body); `error_for_refusal` is one."""

_UNNAMED: Mapping[int, str] = MappingProxyType({409: "conflict", 413: "too_big"})
"""What we call a refusal for which the vendor has no name."""

_MAX_TEXT = 300
_AGAIN_IN = re.compile(r"try again in (\d+(?:\.\d+)?)(ms|s)\b")


class _Complaint(msgspec.Struct):
    """What a vendor says of a refusal; one of them counts where others name."""

    code: str | int | None = None
    message: str | None = None

    @property
    def name(self) -> str:
        return self.code if isinstance(self.code, str) else ""


class _Body(msgspec.Struct):
    error: _Complaint | str


@dataclass(frozen=True, slots=True)
class CloseReason:
    """Why a session is over: a stable ``code`` for programs, a ``reason`` for people.

    ``close_code`` is the number the vendor closed with, None when he did not: some have numbers of their own.
    """

    code: str
    reason: str
    close_code: int | None = field(default=None, compare=False)


def error_for_code(
    provider: str, code: str | None, message: str | None, *, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error for what a vendor calls ``code``; one we do not know keeps the vendor's name."""
    name = code or ""
    text = (message or name or "the vendor gave no reason")[:_MAX_TEXT]
    if name in _BAD_KEY:
        return AuthenticationError(text, provider=provider)
    if name in _SLOW_DOWN:
        wait_s = retry_after_s if retry_after_s is not None else _wait_s(text)
        return RateLimited(text, provider=provider, retry_after_s=wait_s)
    if name in _TOO_LONG:
        return ContextTooLong(text, provider=provider)
    error = ProviderError(text, provider=provider, code=name[:64], hint=_HOPELESS.get(name, ""))
    error.retryable = name not in _HOPELESS
    return error


def error_for_refusal(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
    """Return the error for an HTTP answer other than the one that was asked for, 101 or 2xx.

    The names of ``headers`` are lower case. What they say about trying again counts, but for keys and money.
    """
    complaint = _complaint(body)
    message = (complaint.message or f"the vendor answered with HTTP status {status}")[:_MAX_TEXT]
    if complaint.name in _HOPELESS:
        return error_for_code(provider, complaint.name, message)
    if status in {401, 403} or (status == 400 and _GOOGLES_BAD_KEY in body):
        return AuthenticationError(message, provider=provider)
    if status == 402:
        return error_for_code(provider, "insufficient_quota", message)
    wait_s = retry_after_s(headers)
    error = _by_status(provider, status, complaint.name, message, wait_s)
    if error.retry_after_s is None:
        error.retry_after_s = wait_s
    said = should_retry(headers)
    if said is not None:
        error.retryable = said
    return error


def _by_status(provider: str, status: int, name: str, message: str, wait_s: float | None) -> ProviderError:
    if status == 429:
        return error_for_code(provider, "429", message, retry_after_s=wait_s)
    if status == 404:
        return error_for_code(provider, "model_not_found", message)
    if status < 400 or status == 511:
        return captive_portal(provider)
    if status == 408:
        return ConnectionFailed(message, provider=provider, code="timeout")
    if status == 529:
        return ConnectionFailed(message, provider=provider, code="overloaded")
    if status < 500:
        error = error_for_code(provider, name or _UNNAMED.get(status, "refused"), message)
        error.retryable = status == 409
        return error
    return ConnectionFailed(message, provider=provider, code="server_error")


def connect_error(provider: str, error: Exception) -> ProviderError:
    """Return the error for a socket that could not be opened, told apart as the user has to act."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message or "its certificate is not valid"
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
            "the vendor's name was not found", provider=provider, code="dns_failed", hint=hint
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "the connection failed"
    return ConnectionFailed(reason, provider=provider)


def captive_portal(provider: str) -> ProviderError:
    """Return the error for a log-in page, or a redirect to it, where the vendor should be.

    Nothing more is sent: our key goes to nobody but the host we were given.
    """
    hint = "log in to the network, or correct the provider's endpoint"
    msg = "somebody else answers in the vendor's place"
    return ConnectionFailed(msg, provider=provider, code="captive_portal", hint=hint)


def bad_endpoint(provider: str, problem: str = "it is no WebSocket URL") -> ProviderError:
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
    """Return the error for a host that hung up without an answer, or whose answer is no HTTP."""
    if is_silent:
        return ConnectionFailed("the vendor closed the connection at once", provider=provider)
    hint = "check the provider's endpoint"
    return ConnectionFailed("it does not speak HTTP", provider=provider, code="bad_answer", hint=hint)


def not_websocket(provider: str, cause: BaseException | None) -> ProviderError:
    """Return the error for a host that answered, but not as a WebSocket server does."""
    if isinstance(cause, EOFError | OSError):
        return ConnectionFailed("the vendor closed the connection at once", provider=provider)
    hint = "check the provider's endpoint, and whether the network has a log-in page"
    return ConnectionFailed("it is no WebSocket", provider=provider, code="not_a_websocket", hint=hint)


def close_reason(code: int | None, reason: str, *, sent: int | None = None) -> CloseReason:
    """Return why a socket was closed: ``code`` is the vendor's, ``sent`` ours; None when there was none."""
    if sent == 1009 or code == 1009:
        return CloseReason("frame_too_big", "the vendor sent a frame longer than allowed", code)
    if code is None:
        return CloseReason("network_error", "the connection broke")
    text = (reason or f"closed with code {code}")[:_MAX_TEXT]
    if code == 1001 and "maximum duration" in reason:
        return CloseReason("session_expired", text, code)
    if code == 1008 and "api_key" in reason:
        return CloseReason("invalid_api_key", text, code)
    return CloseReason(_CLOSE_CODES.get(code, "network_error"), text, code)


def error_for_close(provider: str, end: CloseReason) -> ProviderError:
    """Return the error that tells a waiting caller of ``end``."""
    if end.code in _BAD_KEY:
        return AuthenticationError(end.reason, provider=provider)
    if end.code in _HOPELESS:
        return error_for_code(provider, end.code, end.reason)
    return ConnectionFailed(end.reason, provider=provider, code=end.code)


def _complaint(body: bytes) -> _Complaint:
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Complaint()
    return _Complaint(message=error) if isinstance(error, str) else error


def _wait_s(message: str) -> float | None:
    found = _AGAIN_IN.search(message)
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
