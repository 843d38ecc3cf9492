"""One row of the table: a fault, the chain of providers, what the user heard, and when."""

from collections.abc import Sequence

import msgspec
from rich.table import Table

LIMIT_S = 4.0
"""From the end of speech to the first spoken sample: SPEC.md, G6."""


ANSWERED, KEPT, BROKEN_OFF = "answered", "kept", "broken off"
"""Outcomes of a question; the last one only when its answer was already being played."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one turn. ``fate`` is one of the three outcomes, or the outcome that the device reports.

    ``first_sound_s`` is from the end of speech to the first sample at the loudspeaker, as the device
    measures it: the 0.7 s of silence that end an utterance are part of it. ``next`` is the provider that
    would answer after the turn. A row of many questions has no first sound: ``is_well`` says whether each was
    answered or kept, exactly once.
    """

    fault: str
    what: str
    chain: str
    first_sound_s: float | None = None
    fate: str = ""
    said: str = ""
    next: str = ""
    skipped: str = ""
    note: str = ""
    is_well: bool | None = None

    @property
    def verdict(self) -> str:
        """Return ok, late, silent, lost or skipped."""
        if self.skipped:
            return "skipped"
        if self.is_well is not None:
            return "ok" if self.is_well else "lost"
        if self.first_sound_s is None or not self.said:
            return "silent"
        if self.fate not in (ANSWERED, KEPT, BROKEN_OFF):
            return "lost"
        return "ok" if self.first_sound_s <= LIMIT_S else "late"


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as people read them."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "fault",
        "what happens",
        "chain",
        "first sound",
        "fate",
        "said",
        "answers next",
        "codes",
        "verdict",
    ):
        shown.add_column(name, justify="right" if name == "first sound" else "left", overflow="fold")
    for row in rows:
        sound = f"{row.first_sound_s:.2f} s" if row.first_sound_s is not None else "-"
        shown.add_row(
            row.fault,
            row.what,
            row.chain,
            sound,
            row.fate,
            row.skipped or row.said,
            row.next,
            row.note,
            row.verdict,
        )
    return shown
