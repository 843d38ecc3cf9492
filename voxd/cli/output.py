"""Output: text for people, JSON for programs, errors; whatever the terminal can show, nothing fails."""

import contextlib
import json
import os
import shutil
import sys
import time
from argparse import Namespace
from typing import Any

from voxd.cli.exits import OK
from voxd.errors import VoxdError


def prepare_streams() -> None:
    """Make standard output and error accept every text, also when they are closed or not UTF-8."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Closed by the shell (`>&-`): like /dev/null, so that a command does what it was asked to do.
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
        elif stream.encoding:
            # Errors: a name in Chinese on an ASCII terminal, or bytes of a file name that are not text.
            # Whole lines: in one file or pipe a line of the log never begins in the middle of another.
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


def discard_output() -> None:
    """Drop what standard output still holds: the end of the process would try to write it again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any, *, lines: bool = False) -> None:
    """Print ``value`` as JSON: indented on a terminal, one line in a pipe or with ``lines``."""
    indent = 2 if sys.stdout.isatty() and not lines else None
    # RFC 8259 section 8.1: UTF-8; for another encoding the escapes of JSON are valid everywhere.
    text = json.dumps(value, ensure_ascii=not is_utf8(), indent=indent)
    # Flushed line by line: `voxctl watch --json` in a pipe must not wait for a full buffer of 8 KiB.
    print(text, flush=True)


def print_result(args: Namespace, value: Any, text: str) -> int:
    """Print ``value`` under ``--json``, else ``text``; returns the exit code of a command that is done."""
    if args.json:
        print_json(value)
    else:
        print(text)
    return OK


def print_text(text: str) -> None:
    """Print ``text``; on a terminal its lines end between words."""
    print("\n".join(wrap(clean(text), terminal_columns())))


def print_error(error: VoxdError, *, as_json: bool) -> None:
    """Print ``error`` and what to do about it on standard error."""
    if as_json:
        body = {"code": error.code, "message": str(error), "hint": error.hint, "retryable": error.retryable}
        # On standard error: what reads the JSON of a result must not find an error in its place.
        _print_lines(json.dumps({"error": body}, ensure_ascii=not is_utf8()))
        return
    _print_lines(f"voxctl: {clean(str(error))}", f"  {clean(adapt_hint(error.hint))}" if error.hint else "")


def print_note(text: str) -> None:
    """Print a line about the result on standard error, where it does not mix with the result."""
    _print_lines(f"voxctl: {clean(adapt_hint(text))}")


def print_progress(done: int, total: int) -> None:
    """Show on a terminal how much of the work is done; the next line that is printed replaces it."""
    if sys.stderr.isatty():
        text = f"{done} of {total}"
        # The cursor rests at the start of the line, so that a warning is not appended to the progress.
        print(text if done < total else " " * len(text), end="\r", file=sys.stderr, flush=True)


def adapt_hint(hint: str) -> str:
    """Return ``hint`` with the commands as they are typed here: `./scripts/voxctl` beside `./scripts/run`."""
    scripts = os.environ.get("VOXD_SCRIPTS")
    if not scripts:
        return hint
    path = os.path.relpath(scripts)
    path = scripts if path.startswith("..") else f"./{path}"
    return hint.replace("`sudo voxctl ", "`voxctl ").replace("`voxctl ", f"`{path}/voxctl ")


def _print_lines(*lines: str) -> None:
    # What the command has printed comes first where both streams lead to one terminal or file.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    width = shutil.get_terminal_size().columns - 2 if sys.stderr.isatty() else None
    # A full disk or a closed terminal: there is nowhere left to report it.
    with contextlib.suppress(OSError, ValueError):
        for line in filter(None, lines):
            indent = " " * (len(line) - len(line.lstrip()))
            print(indent + f"\n{indent}".join(wrap(line.strip(), width)), file=sys.stderr, flush=True)


def is_utf8() -> bool:
    """Return whether standard output takes UTF-8."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def terminal_columns() -> int | None:
    """Return the width of the terminal that standard output is, None when it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrap(text: str, width: int | None) -> list[str]:
    """Return ``text`` in lines of at most ``width`` columns, at least one; a longer word has its own line."""
    if width is None or cell_width(text) <= width:
        return [text]
    # Not `textwrap`, which counts characters: one of Chinese takes two columns.
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_width(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def cell_width(text: str) -> int:
    """Return how many columns ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    # Imported here: only other scripts and emoji have characters of two columns or of none.
    from rich.cells import cell_len

    return cell_len(text)


def decorated(args: Namespace) -> bool:
    """Return whether standard output is a terminal that shows colours."""
    # no-color.org: NO_COLOR counts when it is set and not empty, whatever its value. terminfo(5): "dumb" is a
    # terminal that cannot even move its cursor.
    plain = args.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def clean(text: str) -> str:
    """Return ``text`` without control characters."""
    # A transcript, a reply and a device's name come from outside: an escape sequence in one would steer the
    # terminal of the user (ECMA-48).
    return "".join(char if char.isprintable() else " " for char in text)


def bar(start: float, end: float, total: float, width: int) -> str:
    """Return ``width`` characters with the stretch from ``start`` to ``end`` of ``total`` filled."""
    if total <= 0:
        return " " * width
    # At least one character: a stage of a millisecond in a turn of seconds must not disappear.
    first = min(round(start / total * width), width - 1)
    last = max(round(end / total * width), first + 1)
    return (" " * first + ("█" if is_utf8() else "#") * (last - first)).ljust(width)[:width]


def duration(seconds: float) -> str:
    """Return ``seconds`` as people say it: 5 s, 3 min 10 s, 2 h 5 min, 4 d 3 h."""
    left, parts = round(abs(seconds)), []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    # Two units: the seconds of an uptime in days are noise.
    return " ".join(parts[:2]) or "0 s"


def clock(wall_s: float) -> str:
    """Return the local date and time of ``wall_s`` seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_s))
