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
├── EngineError            engine_failed        (a local model or program)
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

What the reference texts of the library call these codes:

================  ====================  ================
theirs            class                 code
================  ====================  ================
RATE_LIMITED      RateLimited           rate_limited
INVALID_API_KEY   AuthenticationError   invalid_api_key
NETWORK_ERROR     ConnectionFailed      network_error
CONTEXT_TOO_LONG  ContextTooLong        context_too_long
================  ====================  ================
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class VoxdError(Exception):
    """Base of every error voxd raises on purpose.

    ``code`` is stable and for programs; ``hint`` is an imperative naming a file, key or command;
    ``retryable`` says whether the same call may succeed later without a change.
    """

    # Stable: clients, metrics and exit codes name errors by it. An error may have a code of its own.
    code = "internal"
    hint = ""
    retryable = False

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint
        if code:
            self.code = code


class ConfigError(VoxdError):
    """The configuration cannot be used."""

    code = "config_invalid"
    hint = "run `voxctl config check`"


class InvalidRequest(VoxdError):
    """The caller sent something that makes no sense."""

    code = "invalid_request"


class NotPermitted(VoxdError):
    """The caller may not do this."""

    code = "not_permitted"


class NotFound(VoxdError):
    """The named item does not exist."""

    code = "not_found"


class NotUnderstood(VoxdError):
    """The words were heard, but the device by itself has no answer to them."""

    code = "not_understood"


class Busy(VoxdError):
    """The device is doing something else."""

    code = "busy"
    hint = "run `voxctl stop` first, or try again"
    retryable = True


class Muted(VoxdError):
    """The microphone is off because it was muted."""

    code = "muted"
    hint = "run `voxctl unmute`, or open the mute switch"


class DeviceError(VoxdError):
    """A sound card or pin is missing, busy or broken."""

    code = "device_unavailable"
    hint = "run `voxctl devices` and `voxctl doctor`"
    retryable = True


class EngineError(VoxdError):
    """A local engine failed, hung or was killed."""

    code = "engine_failed"
    retryable = True


class ModelError(VoxdError):
    """A model file is missing, broken or does not match its checksum."""

    code = "model_unavailable"
    hint = "run `voxctl models list`"


class AudioError(VoxdError):
    """Audio in an unusable format, or no audio where some was expected."""

    code = "audio_failed"
    hint = "send mono 16-bit PCM at the rate of the session"


class ProviderError(VoxdError):
    """The provider is unavailable.

    ``provider`` is its name in the configuration; ``retry_after_s`` is how many seconds it asked us to
    wait, None when it did not say.
    """

    code = "provider_unavailable"
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


class AuthenticationError(ProviderError):
    """The vendor does not accept the key; asking again with it cannot help."""

    code = "invalid_api_key"
    hint = "check the provider's api_key in the configuration with `voxctl provider test`"
    retryable = False


class RateLimited(ProviderError):
    """The vendor takes no more for now, or the account's quota is used up."""

    code = "rate_limited"
    hint = "wait, or raise the limit in the vendor's console"


class ConnectionFailed(ProviderError):
    """The vendor cannot be reached, or the connection to it broke."""

    code = "network_error"
    hint = "check the network and the provider's endpoint with `voxctl provider test`"


class NotConnected(ProviderError):
    """No session is open."""

    code = "not_connected"
    hint = "await connect() first"
    retryable = False


class StreamError(ProviderError):
    """The vendor broke the session off, or violated its protocol."""

    code = "stream_failed"


class NoAnswer(ProviderError):
    """The response ended with nothing to say. ``code`` says why:

    - ``empty_answer``: no words at all, or only thoughts
    - ``answer_filtered``: the vendor's filter withheld it, or the model refused without a word
    - ``answer_cut_off``: the limit of output tokens was reached before the first word
    - ``tool_loop``: the model called one tool after another and never answered

    A refusal with words is an answer. It is no fault of the vendor's service: the next model is asked.
    """

    code = "empty_answer"
    hint = "ask in other words, or set another model in the configuration"


NO_ANSWER_CODES = frozenset({"empty_answer", "answer_filtered", "answer_cut_off", "tool_loop"})
"""The codes of `NoAnswer`."""


class ContextTooLong(ProviderError):
    """The conversation no longer fits into the model's context."""

    code = "context_too_long"
    hint = "begin a new conversation"
    retryable = False


class SpendLimitReached(ProviderError):
    """The daily spending limit is reached; no request is sent until midnight."""

    code = "spend_limit"
    hint = "wait until tomorrow, or raise usd_per_day in the configuration"
    retryable = False


class StoreError(VoxdError):
    """The database cannot be read or written."""

    code = "store_failed"
    hint = "check free space and permissions of the state directory"
    retryable = True


class DeadlineExceeded(VoxdError):
    """Something took longer than it may."""

    code = "timeout"
    retryable = True


class DaemonUnreachable(VoxdError):
    """No daemon listens on the control socket."""

    code = "daemon_unreachable"
    hint = "run `systemctl status voxd`"
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
