"""Checks of `voxctl doctor` as values, and their runner: one that fails or hangs does not stop the others."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from voxd.config.paths import client_socket_path
from voxd.config.schema import Config
from voxd.control.call import Caller
from voxd.errors import LocalEngineError, VoxdError, third_party

# Longer than the slowest check: loading the wake engines from a cold card on a Pi Zero 2.
CHECK_TIMEOUT_S = 25.0


class Status(StrEnum):
    """The status of a check; only ``fail`` gives exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: a sentence, and a hint for a problem."""

    status: Status
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A result with the stable id and the title of its check."""

    id: str
    title: str
    status: Status
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class DoctorContext:
    """The input of the checks. ``config`` has the defaults when the configuration is invalid."""

    config: Config
    environ: Mapping[str, str]
    config_file: Path | None = None
    socket: Path | None = None
    root: Path = Path("/")
    """The directory with /proc, /sys and /run; another one in tests."""


@dataclass(frozen=True, slots=True)
class Step:
    """One check to run."""

    id: str
    title: str
    run: Callable[[DoctorContext], CheckResult]


def call_daemon(context: DoctorContext, method: str) -> Any:
    """Return the result of ``method``, None when no daemon answers."""
    path = context.socket or client_socket_path(context.config, context.environ)
    try:
        with Caller(path, timeout_s=5.0) as caller:
            return caller.call(method)
    except VoxdError:
        return None


def discard_event(type: str, /, *, turn: str | None = None, **data: Any) -> None:
    """Discard an event: nothing subscribes to events of a check."""


def ok(detail: str) -> CheckResult:
    """The check passed."""
    return CheckResult(Status.OK, detail)


def warn(detail: str, hint: str) -> CheckResult:
    """It works, but not as it should."""
    return CheckResult(Status.WARN, detail, hint)


def fail(detail: str, hint: str) -> CheckResult:
    """It does not work."""
    return CheckResult(Status.FAIL, detail, hint)


def skip(detail: str) -> CheckResult:
    """The check does not apply to this machine; ``detail`` is the reason."""
    return CheckResult(Status.SKIP, detail)


def examine(
    steps: Iterable[Step], context: DoctorContext, *, timeout_s: float = CHECK_TIMEOUT_S
) -> Iterator[Check]:
    """Run ``steps`` and yield each result; a check that raises or times out has failed."""
    for step in steps:
        result = _run_isolated(step, context, timeout_s)
        yield Check(step.id, step.title, result.status, result.detail, result.hint)


def _run_isolated(step: Step, context: DoctorContext, timeout_s: float) -> CheckResult:
    results: list[CheckResult] = []

    def run() -> None:
        try:
            with third_party(
                lambda error: LocalEngineError(
                    f"the check itself failed: {type(error).__name__}: {error}", hint="report this"
                )
            ):
                results.append(step.run(context))
        except VoxdError as error:
            # One broken check must not end the report.
            results.append(fail(str(error), error.hint))

    # A thread cannot be ended, but a daemon thread does not keep the process from exiting.
    thread = threading.Thread(target=run, name=step.id, daemon=True)
    thread.start()
    thread.join(timeout_s)
    # A check that finishes later writes into a list that is not read any more.
    if results:
        return results[0]
    return fail(f"no answer after {timeout_s:g} s", "check `dmesg` for devices that hang")
