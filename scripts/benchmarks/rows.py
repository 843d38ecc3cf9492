"""One row of the table: a measured figure, its budget, and what the owner was promised."""

import math
from collections.abc import Iterable, Sequence

import msgspec
from rich.table import Table


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. ``budget`` and ``value`` are in ``unit``; ``skipped`` says why the value is missing.

    ``budget`` None: shown for information, never over. ``seed`` is the claim of the first documents.
    ``load`` is the machine's load average meanwhile.
    """

    bench: str
    what: str
    unit: str = ""
    value: float | None = None
    budget: float | None = None
    seed: str = ""
    note: str = ""
    skipped: str = ""
    load: str = ""

    @property
    def verdict(self) -> str:
        """Return ok, over, skipped, or "" where there is nothing to keep."""
        if self.value is None:
            return "skipped"
        if self.budget is None:
            return ""
        return "ok" if self.value <= self.budget else "over"


def percentile(values: Iterable[float], percent: float) -> float:
    """Return the smallest value that at least ``percent`` of all do not exceed. Raises on no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def spread(
    bench: str,
    what: str,
    values: Sequence[float],
    percents: Sequence[int],
    *,
    budget: float | None = None,
    seed: str = "",
) -> list[Row]:
    """Return one row of milliseconds per percentile; budget, claim and note stand at the last."""
    if not values:
        return [Row(bench=bench, what=what, skipped="nothing was measured")]
    rows = [
        Row(bench=bench, what=f"{what}, p{percent}", unit="ms", value=percentile(values, percent))
        for percent in percents
    ]
    note = f"{len(values)} times, {min(values):.1f} to {max(values):.1f}; the first {values[0]:.1f}"
    rows[-1] = msgspec.structs.replace(rows[-1], budget=budget, seed=seed, note=note)
    return rows


def table(rows: Iterable[Row], footer: str) -> Table:
    """Return the rows as `rich` prints them."""
    shown = Table(caption=footer, caption_justify="left", title="voxd", title_justify="left")
    for heading in ("what", "measured", "budget", "seed", "", "note"):
        number = heading in ("measured", "budget", "seed")
        shown.add_column(heading, justify="right" if number else "left", overflow="fold")
    colours = {"over": "red", "ok": "green", "skipped": "yellow"}
    before = ""
    for row in rows:
        if before and row.bench != before:
            shown.add_section()
        before = row.bench
        verdict = f"[{colours[row.verdict]}]{row.verdict}[/]" if row.verdict else ""
        note = row.skipped or row.note
        shown.add_row(
            row.what, figure(row.value, row.unit), figure(row.budget, row.unit), row.seed, verdict, note
        )
    return shown


def figure(value: float | None, unit: str) -> str:
    """Return ``value`` with the digits that mean something."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".strip()
