"""Tables and fields: columns where they fit, cards on a narrow terminal; no word is broken."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence

from voxd.cli.exits import OK
from voxd.cli.output import cell_width, clean, decorated, print_json, terminal_columns, wrap

GAP = 2

CARDS_BELOW_COLUMNS = 60
"""On a terminal with fewer columns a row becomes a card: one line for each of its cells."""


def print_rows(
    args: Namespace,
    value: object,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    empty: str = "",
) -> int:
    """Print ``value`` under ``--json``, else a table; returns the exit code of a command that is done."""
    if args.json:
        print_json(value)
    else:
        print_table(columns, rows, args, empty=empty)
    return OK


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], args: Namespace, *, empty: str = ""
) -> None:
    """Print ``rows`` under ``columns``; on a terminal ``empty`` instead of a table without rows."""
    headings = [column.upper() for column in columns]
    cells = [[clean(_shown(value)) for value in row] for row in rows]
    # A pipe gets the heading alone: a program counts lines and does not read a sentence.
    if empty and not cells and sys.stdout.isatty():
        print(empty)
        return
    widths = column_widths([headings, *cells], terminal_columns())
    if widths is None:
        _print_cards(headings, cells, args)
        return
    bold, end = ("\x1b[1m", "\x1b[0m") if decorated(args) else ("", "")
    for index, row in enumerate([headings, *cells]):
        for line in _lines(row, widths):
            print(f"{bold}{line}{end}" if index == 0 else line)


def print_fields(title: str, fields: Mapping[str, str], args: Namespace) -> None:
    """Print a sentence and, below it, names and values in two columns."""
    # Two escape codes need no library: rich would add its import time to `voxctl status`, budgeted at 60 ms.
    bold, dim, end = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if decorated(args) else ("", "", "")
    total = terminal_columns()
    for line in wrap(clean(title), total):
        print(f"{bold}{line}{end}")
    width = max(map(cell_width, fields), default=0)
    for name, value in fields.items():
        first, *others = wrap(clean(value), total - width - 2 * GAP if total else None)
        print(f"{' ' * GAP}{dim}{_pad(name, width)}{end}{' ' * GAP}{first}".rstrip())
        for line in others:
            print(f"{' ' * (width + 2 * GAP)}{line}")


def column_widths(rows: Sequence[Sequence[str]], total: int | None) -> list[int] | None:
    """Return the width of each column, None when the table does not fit into ``total`` columns.

    Without ``total`` the width is not limited. A column is never narrower than its longest word.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(map(cell_width, column)) for column in columns]
    if total is None:
        return widths
    if total < CARDS_BELOW_COLUMNS:
        return None
    least = [max(cell_width(word) for cell in column for word in [*cell.split(), ""]) for column in columns]
    excess = sum(widths) + GAP * (len(widths) - 1) - total
    while excess > 0:
        # The column that has most to give wraps first.
        widest = max(range(len(widths)), key=lambda index: widths[index] - least[index])
        if widths[widest] <= least[widest]:
            return None
        widths[widest] -= 1
        excess -= 1
    return widths


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
    return [
        (" " * GAP)
        .join(
            _pad(cell[line] if line < len(cell) else "", width)
            for cell, width in zip(wrapped, widths, strict=True)
        )
        .rstrip()
        for line in range(max(map(len, wrapped)))
    ]


def _print_cards(headings: Sequence[str], cells: Sequence[Sequence[str]], args: Namespace) -> None:
    for index, row in enumerate(cells):
        title, *values = zip(headings, row, strict=True)
        if index:
            print()
        print_fields(f"{title[0]} {title[1]}", {name: value for name, value in values if value}, args)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))


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
