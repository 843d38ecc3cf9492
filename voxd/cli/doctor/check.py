"""The checks of `voxctl doctor` as values, and the runner that keeps a broken one from the others."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from voxd.config.schema import Config
from voxd.errors import VoxdError

CHECK_TIMEOUT_S = 25.0
"""Longer than the slowest honest check: loading the wake engines from a cold card on a Pi Zero 2."""


class Status(StrEnum):
    """What a check found; only ``fail`` makes the doctor exit with 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check: a sentence, and what to do about a problem."""

    status: Status
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A finding under the stable id of its check."""

    id: str
    title: str
    status: Status
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class DoctorContext:
    """What the checks look at. ``config`` is the defaults when the real one is broken."""

    config: Config
    environ: Mapping[str, str]
    config_file: Path | None = None
    socket: Path | None = None
    root: Path = Path("/")
    """Where /proc, /sys and /run lie; another directory in tests."""


@dataclass(frozen=True, slots=True)
class Step:
    """One check to be made."""

    id: str
    title: str
    look: Callable[[DoctorContext], CheckResult]


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
    """There is nothing to check here, and why."""
    return CheckResult(Status.SKIP, detail)


def examine(
    steps: Iterable[Step], context: DoctorContext, *, timeout_s: float = CHECK_TIMEOUT_S
) -> Iterator[Check]:
    """Yield each check as it is done; one that raises or takes too long is a failure with its reason."""
    for step in steps:
        finding = _isolated(step, context, timeout_s)
        yield Check(step.id, step.title, finding.status, finding.detail, finding.hint)


def _isolated(step: Step, context: DoctorContext, timeout_s: float) -> CheckResult:
    findings: list[CheckResult] = []

    def look() -> None:
        try:
            findings.append(step.look(context))
        except VoxdError as error:
            findings.append(fail(str(error), error.hint))
        except Exception as error:
            findings.append(fail(f"the check itself failed: {type(error).__name__}: {error}", "report this"))

    # A thread cannot be ended, but as a daemon it does not keep the doctor from going home.
    thread = threading.Thread(target=look, name=step.id, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if findings:
        return findings[0]
    return fail(f"no answer after {timeout_s:g} s", "check `dmesg` for devices that hang")
