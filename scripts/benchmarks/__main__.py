"""The command line of `scripts/bench`: runs the benchmarks one after another and prints their table."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from scripts.benchmarks import (
    answering,
    blocks,
    engines,
    idle,
    modes,
    own_share,
    playing,
    ready,
    receiving,
    sending,
    status,
    talking,
    turns,
    waking,
)
from scripts.benchmarks.options import Measure, Options, Skip
from scripts.benchmarks.rows import Row, table

BENCHMARKS: dict[str, Measure] = {
    module.BENCH: module.measure
    for module in (
        idle,
        blocks,
        sending,
        receiving,
        playing,
        waking,
        own_share,
        answering,
        modes,
        talking,
        ready,
        status,
        turns,
        engines,
    )
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure voxd against its budgets.")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, for a first look")
    parser.add_argument(
        "--only", type=chosen, default=list(BENCHMARKS), metavar="NAME,…", help=", ".join(BENCHMARKS)
    )
    return parser


def chosen(text: str) -> list[str]:
    """Return the names in ``text``. Raises what argparse prints."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}"
        )
    return names


def run(names: Sequence[str], options: Options) -> list[Row]:
    """Return all rows; a benchmark that fails is a row that says so, and the others go on."""
    rows: list[Row] = []
    for name in names:
        began = load_average()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            measured = BENCHMARKS[name](options)
        except Skip as reason:
            measured = [Row(bench=name, what=name, skipped=str(reason))]
        except Exception as error:
            measured = [Row(bench=name, what=name, skipped=f"failed: {type(error).__name__}: {error}")]
        rows += [msgspec.structs.replace(row, load=f"{began} to {load_average()}") for row in measured]
    return rows


def load_average() -> str:
    """Return how busy the machine was in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def footer(rows: Sequence[Row]) -> str:
    """Return under what circumstances the figures were taken."""
    loads = {row.bench: row.load for row in rows}
    taken = ", ".join(f"{bench} {load}" for bench, load in loads.items())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"Load average before and after each (our own included): {taken}."
    )


def main() -> int:
    """Print the table; 0 whatever was measured, since a busy machine is not a defect."""
    args = parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="voxd-bench-") as work:
        rows = run(args.only, Options(quick=args.quick, work=Path(work)))
    if args.json:
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
    else:
        width = None if sys.stdout.isatty() else 170
        Console(width=width, highlight=False).print(table(rows, footer(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
