"""Output: rich on a terminal, plain text in a pipe, JSON on request."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxd.errors import VoxdError


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def print_error(error: VoxdError, *, as_json: bool) -> None:
    """Print ``error`` and what to do about it on standard error."""
    if as_json:
        body = {"code": error.code, "message": str(error), "hint": error.hint, "retryable": error.retryable}
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"voxctl: {clean(str(error))}", file=sys.stderr)
    if error.hint:
        print(f"  {clean(error.hint)}", file=sys.stderr)


def decorated(args: Namespace) -> bool:
    """Return whether a person looks at a terminal that shows colours (no-color.org)."""
    plain = args.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def clean(text: str) -> str:
    """Return ``text`` without control characters: what others said must not steer this terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def print_fields(title: str, fields: Mapping[str, str], args: Namespace) -> None:
    """Print a sentence and, below it, names and values in two columns."""
    width = max(map(len, fields), default=0)
    # Two escape codes need no library: `status` shall be there at once.
    bold, dim, end = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if decorated(args) else ("", "", "")
    print(f"{bold}{clean(title)}{end}")
    for name, value in fields.items():
        print(f"  {dim}{name:<{width}}{end}  {clean(value)}")


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], args: Namespace, *, empty: str = ""
) -> None:
    """Print ``rows`` under ``columns``; to a person who would see no row, ``empty`` instead."""
    cells = [[clean(_shown(value)) for value in row] for row in rows]
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
    return " ".join(parts[:2]) or "0 s"


def clock(wall_s: float) -> str:
    """Return the local date and time of ``wall_s`` seconds since 1970."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_s))
