"""Output: rich on a terminal, plain text in a pipe, JSON on request."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxd.cli.exits import OK
from voxd.errors import VoxdError


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    # Flushed line by line: `voxctl watch --json` in a pipe must not wait for a full buffer of 8 KiB.
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_result(args: Namespace, value: Any, text: str) -> int:
    """Print ``value`` under ``--json``, else ``text``; returns the exit code of a command that is done."""
    if args.json:
        print_json(value)
    else:
        print(text)
    return OK


def print_rows(
    args: Namespace, value: Any, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = ""
) -> int:
    """Print ``value`` under ``--json``, else a table; returns the exit code of a command that is done."""
    if args.json:
        print_json(value)
    else:
        print_table(columns, rows, args, empty=empty)
    return OK


def print_error(error: VoxdError, *, as_json: bool) -> None:
    """Print ``error`` and what to do about it on standard error."""
    if as_json:
        body = {"code": error.code, "message": str(error), "hint": error.hint, "retryable": error.retryable}
        # On standard error: what reads the JSON of a result must not find an error in its place.
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"voxctl: {clean(str(error))}", file=sys.stderr)
    if error.hint:
        print(f"  {clean(error.hint)}", file=sys.stderr)


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


def print_fields(title: str, fields: Mapping[str, str], args: Namespace) -> None:
    """Print a sentence and, below it, names and values in two columns."""
    width = max(map(len, fields), default=0)
    # Two escape codes need no library: rich would add its import time to `voxctl status`, budgeted at 60 ms.
    bold, dim, end = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if decorated(args) else ("", "", "")
    print(f"{bold}{clean(title)}{end}")
    for name, value in fields.items():
        print(f"  {dim}{name:<{width}}{end}  {clean(value)}")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], args: Namespace, *, empty: str = ""
) -> None:
    """Print ``rows`` under ``columns``; on a terminal ``empty`` instead of a table without rows."""
    cells = [[clean(_shown(value)) for value in row] for row in rows]
    # A pipe gets the heading alone: a program counts lines and does not read a sentence.
    if empty and not cells and sys.stdout.isatty():
        print(empty)
        return
    if decorated(args):
        _rich_table(columns, cells)
        return
    widths = [max(len(column), *(len(row[i]) for row in cells), 0) for i, column in enumerate(columns)]
    for row in ([column.upper() for column in columns], *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # Imported here: a pipe and `--json` need no rich.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    for row in cells:
        # Text, not str: rich reads square brackets in a str as markup.
        table.add_row(*map(Text, row))
    Console().print(table)


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.2f}"
        case _:
            return str(value)


def bar(start: float, end: float, total: float, width: int) -> str:
    """Return ``width`` characters with the stretch from ``start`` to ``end`` of ``total`` filled."""
    if total <= 0:
        return " " * width
    # At least one character: a stage of a millisecond in a turn of seconds must not disappear.
    first = min(round(start / total * width), width - 1)
    last = max(round(end / total * width), first + 1)
    return (" " * first + "█" * (last - first)).ljust(width)[:width]


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
