"""The error tree: a stable code, a hint that says what to do, and whether trying again can help.

VoxdError
├── ConfigError            config_invalid
├── InvalidRequest         invalid_request      (a malformed call, file or frame)
├── NotPermitted           not_permitted
├── NotFound               not_found
├── NotUnderstood          not_understood       (heard, but beyond what the device can do by itself)
├── Busy                   busy
├── Muted                  muted
├── DeviceError            device_unavailable   (sound card, GPIO)
├── LocalEngineError       engine_failed        (a local model or program)
├── ModelError             model_unavailable    (missing, broken or unverified model file)
├── AudioError             audio_failed         (sound that cannot be read, converted or sent)
├── ProviderError          provider_unavailable
│   ├── AuthenticationError  invalid_api_key
│   ├── RateLimited          rate_limited
│   ├── ConnectionFailed     network_error      (`voxd.ConnectionError` of the library)
│   ├── NotConnected         not_connected
│   ├── SpendLimitReached    spend_limit
│   ├── StreamError          stream_failed
│   ├── NoAnswer             empty_answer         (or answer_filtered, answer_cut_off, tool_loop)
│   └── ContextTooLong       context_too_long
├── StoreError             store_failed
├── DeadlineExceeded       timeout
└── DaemonUnreachable      daemon_unreachable

The codes of the classes are members of `ErrorCode`, which are also equal to what the reference texts of the
library call them: ``RATE_LIMITED`` and ``rate_limit``, ``INVALID_API_KEY``, ``NETWORK_ERROR``,
``CONTEXT_TOO_LONG``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from types import MappingProxyType

# What other voice libraries call a code of ours; upper case and hyphens aside.
_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "rate_limit": "rate_limited",
        "rate_limit_exceeded": "rate_limited",
        "authentication_error": "invalid_api_key",
        "connection_error": "network_error",
        "context_length_exceeded": "context_too_long",
    }
)


class ErrorCode(StrEnum):
    """The codes of the classes below, as text.

    A code is equal to its spelling in upper case and to other libraries' names of it, so that
    ``error.code == "RATE_LIMITED"`` and ``error.code == "rate_limit"`` are true for ``rate_limited``. Sets
    and dictionaries find a code by its own spelling only.
    """

    # An enumeration, because msgspec does not encode other subclasses of str.
    INTERNAL = "internal"
    CONFIG_INVALID = "config_invalid"
    INVALID_REQUEST = "invalid_request"
    NOT_PERMITTED = "not_permitted"
    NOT_FOUND = "not_found"
    NOT_UNDERSTOOD = "not_understood"
    BUSY = "busy"
    MUTED = "muted"
    DEVICE_UNAVAILABLE = "device_unavailable"
    ENGINE_FAILED = "engine_failed"
    MODEL_UNAVAILABLE = "model_unavailable"
    AUDIO_FAILED = "audio_failed"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    INVALID_API_KEY = "invalid_api_key"
    RATE_LIMITED = "rate_limited"
    NETWORK_ERROR = "network_error"
    NOT_CONNECTED = "not_connected"
    STREAM_FAILED = "stream_failed"
    EMPTY_ANSWER = "empty_answer"
    CONTEXT_TOO_LONG = "context_too_long"
    SPEND_LIMIT = "spend_limit"
    STORE_FAILED = "store_failed"
    TIMEOUT = "timeout"
    DAEMON_UNREACHABLE = "daemon_unreachable"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        name = str.lower(other).replace("-", "_")
        return str.__eq__(self, _OTHER_NAMES.get(name, name))

    def __ne__(self, other: object) -> bool:
        return not self == other

    # Of the spelling: a code is found in the sets of plain strings that it is compared with.
    __hash__ = str.__hash__


def code_of(text: str) -> str:
    """Return ``text`` as a member of `ErrorCode` if it is one, else unchanged."""
    member: str = ErrorCode._value2member_map_.get(text, text)  # type: ignore[assignment]
    return member


class VoxdError(Exception):
    """Base of every error voxd raises on purpose.

    ``code`` is stable and for programs; ``hint`` is an imperative naming a file, key or command;
    ``retryable`` says whether the same call may succeed later without a change.
    """

    # Stable: clients, metrics and exit codes name errors by it. An error may have a code of its own.
    code: str = ErrorCode.INTERNAL
    hint = ""
    retryable = False

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint
        if code:
            self.code = code_of(code)
        # PEP 678: a traceback shows it below the message, so an interactive session says what to do.
        if self.hint:
            self.add_note(f"hint: {self.hint}")


class ConfigError(VoxdError):
    """The configuration cannot be used."""

    code: str = ErrorCode.CONFIG_INVALID
    hint = "run `voxctl config check`"


class InvalidRequest(VoxdError):
    """The caller sent something that makes no sense."""

    code: str = ErrorCode.INVALID_REQUEST


class NotPermitted(VoxdError):
    """The caller may not do this."""

    code: str = ErrorCode.NOT_PERMITTED


class NotFound(VoxdError):
    """The named item does not exist."""

    code: str = ErrorCode.NOT_FOUND


class NotUnderstood(VoxdError):
    """The words were heard, but the device by itself has no answer to them."""

    code: str = ErrorCode.NOT_UNDERSTOOD


class Busy(VoxdError):
    """The device is doing something else."""

    code: str = ErrorCode.BUSY
    hint = "run `voxctl stop` first, or try again"
    retryable = True


class Muted(VoxdError):
    """The microphone is off because it was muted."""

    code: str = ErrorCode.MUTED
    hint = "run `voxctl unmute`, or open the mute switch"


class DeviceError(VoxdError):
    """A sound card or pin is missing, busy or broken."""

    code: str = ErrorCode.DEVICE_UNAVAILABLE
    hint = "run `voxctl devices` and `voxctl doctor`"
    retryable = True


class LocalEngineError(VoxdError):
    """A local engine failed, hung or was killed."""

    code: str = ErrorCode.ENGINE_FAILED
    retryable = True


class ModelError(VoxdError):
    """A model file is missing, broken or does not match its checksum."""

    code: str = ErrorCode.MODEL_UNAVAILABLE
    hint = "run `voxctl models list`"


class AudioError(VoxdError):
    """Audio in an unusable format, or no audio where some was expected."""

    code: str = ErrorCode.AUDIO_FAILED
    hint = "send mono 16-bit PCM at the rate of the session"


class ProviderError(VoxdError):
    """The provider is unavailable.

    ``provider`` is its name in the configuration; ``retry_after_s`` is how many seconds it asked us to
    wait, None when it did not say.
    """

    code: str = ErrorCode.PROVIDER_UNAVAILABLE
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        code: str = "",
        hint: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.provider = provider
        self.retry_after_s = retry_after_s

    @property
    def retry_after(self) -> float:
        """Seconds to wait before another attempt, 0 when the provider did not say."""
        return self.retry_after_s or 0.0


class AuthenticationError(ProviderError):
    """The vendor does not accept the key; asking again with it cannot help."""

    code: str = ErrorCode.INVALID_API_KEY
    hint = "correct the api_key; `voxctl provider test` tries that of the configuration"
    retryable = False


class RateLimited(ProviderError):
    """The vendor takes no more for now, or the account's quota is used up."""

    code: str = ErrorCode.RATE_LIMITED
    hint = "wait, or raise the limit in the vendor's console"


class ConnectionFailed(ProviderError):
    """The vendor cannot be reached, or the connection to it broke."""

    code: str = ErrorCode.NETWORK_ERROR
    hint = "check the network and the endpoint; `voxctl provider test` tries that of the configuration"


class NotConnected(ProviderError):
    """No session is open."""

    code: str = ErrorCode.NOT_CONNECTED
    hint = "await connect() first"
    retryable = False


class StreamError(ProviderError):
    """The vendor broke the session off, or violated its protocol."""

    code: str = ErrorCode.STREAM_FAILED


class NoAnswer(ProviderError):
    """The response ended with nothing to say. ``code`` says why:

    - ``empty_answer``: no words at all, or only thoughts
    - ``answer_filtered``: the vendor's filter withheld it, or the model refused without a word
    - ``answer_cut_off``: the limit of output tokens was reached before the first word
    - ``tool_loop``: the model called one tool after another and never answered

    A refusal with words is an answer. It is not a fault of the vendor's service: the next model is asked.
    """

    code: str = ErrorCode.EMPTY_ANSWER
    hint = "ask in other words, or set another model in the configuration"


NO_ANSWER_CODES = frozenset({"empty_answer", "answer_filtered", "answer_cut_off", "tool_loop"})
"""The codes of `NoAnswer`."""


class ContextTooLong(ProviderError):
    """The conversation no longer fits into the model's context."""

    code: str = ErrorCode.CONTEXT_TOO_LONG
    hint = "begin a new conversation"
    retryable = False


class SpendLimitReached(ProviderError):
    """The daily spending limit is reached; no request is sent until midnight."""

    code: str = ErrorCode.SPEND_LIMIT
    hint = "wait until tomorrow, or raise usd_per_day in the configuration"
    retryable = False


class StoreError(VoxdError):
    """The database cannot be read or written."""

    code: str = ErrorCode.STORE_FAILED
    hint = "check free space and permissions of the state directory"
    retryable = True


class DeadlineExceeded(VoxdError):
    """Something took longer than it may."""

    code: str = ErrorCode.TIMEOUT
    retryable = True


class DaemonUnreachable(VoxdError):
    """No daemon listens on the control socket."""

    code: str = ErrorCode.DAEMON_UNREACHABLE
    hint = "start voxd, or run `voxctl doctor`"
    retryable = True


def named(error: VoxdError) -> str:
    """Return the message of ``error``, with the name of its provider unless that is part of it."""
    who = error.provider if isinstance(error, ProviderError) else ""
    return f"{who}: {error}" if who and who not in str(error) else str(error)


@contextmanager
def third_party(
    make_error: Callable[[Exception], VoxdError], *, passes: type[VoxdError] | tuple[()] = VoxdError
) -> Iterator[None]:
    """Raise the error that ``make_error`` returns for an exception of the block, from that exception.

    An exception of type ``passes`` passes as it is; ``()`` lets none pass. Cancellation always passes.
    """
    try:
        yield
    # Also where `passes` is (): an except clause with no classes catches nothing.
    except passes:
        raise
    except Exception as error:
        # Third-party code may raise anything; to the caller it must look like an error of voxd.
        raise make_error(error) from error


@contextmanager
def isolate(report: Callable[[Exception], object]) -> Iterator[None]:
    """Call ``report`` with an exception of the block and go on after the block. Cancellation passes."""
    try:
        yield
    except Exception as error:
        # For third-party code and clean-up only: their failure must not stop what comes next.
        report(error)
