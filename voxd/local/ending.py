"""What is said about an engine's process that ended, or refused."""

import signal

from voxd.errors import EngineError, ModelError
from voxd.local.worker_protocol import WorkerMessage


def exit_reason(code: int) -> str:
    """Return what the exit status ``code`` (negative: a signal) says about a process."""
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL: the kernel sends it when memory runs out)"
    if code < 0:
        return f"crashed ({signal.Signals(-code).name})"
    return f"ended by itself (exit status {code})"


def error_of(name: str, message: WorkerMessage) -> EngineError | ModelError:
    """Return the error that the engine ``name`` reports in ``message``."""
    text = f"{name}: {message.data.get('message', 'no reason given')}"
    hint = str(message.data.get("hint", ""))
    if message.data.get("code") == ModelError.code:
        return ModelError(text, hint=hint)
    return EngineError(text, hint=hint)
