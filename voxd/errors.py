"""The error tree: a stable code, a hint that says what to do, and whether trying again can help.

VoxdError
├── ConfigError            config_invalid
├── InvalidRequest         invalid_request      (a malformed call, file or frame)
├── NotPermitted           not_permitted
├── NotFound               not_found
├── Busy                   busy
├── Muted                  muted
├── DeviceError            device_unavailable   (sound card, GPIO)
├── EngineError            engine_failed        (a local model or program)
├── ModelError             model_unavailable    (missing, broken or unverified model file)
├── ProviderError          provider_unavailable
├── StoreError             store_failed
├── DeadlineExceeded       timeout
└── DaemonUnreachable      daemon_unreachable
"""


class VoxdError(Exception):
    """Base of every error voxd raises on purpose.

    ``code`` is stable and for programs; ``hint`` is an imperative naming a file, key or command;
    ``retryable`` says whether the same call may succeed later without a change.
    """

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
    """There is no such thing."""

    code = "not_found"


class Busy(VoxdError):
    """The device is doing something else."""

    code = "busy"
    hint = "run `voxctl stop` first, or try again"
    retryable = True


class Muted(VoxdError):
    """The microphone is off because somebody muted it."""

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


class ProviderError(VoxdError):
    """Whoever should answer cannot."""

    code = "provider_unavailable"
    retryable = True


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
