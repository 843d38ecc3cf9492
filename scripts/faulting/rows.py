"""One row of the table: a fault, who was asked, and what the user heard when."""

from collections.abc import Sequence

import msgspec
from rich.table import Table

LIMIT_S = 4.0
"""From the end of speech to the first spoken sample: SPEC.md, G6."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn came to. ``fate``: answered, kept (for later), told (a reason), or nothing.

    ``first_sound_s`` is from the end of speech to the first sample at the loudspeaker, as the device
    measures it: the 0.7 s of silence that end an utterance are part of it.
    """

    fault: str
    what: str
    chain: str
    first_sound_s: float | None = None
    fate: str = ""
    said: str = ""
    by: str = ""
    skipped: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return ok, late, silent or skipped."""
        if self.skipped:
            return "skipped"
        if self.first_sound_s is None or not self.said or not self.fate:
            return "silent"
        return "ok" if self.first_sound_s <= LIMIT_S else "late"


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as people read them."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("fault", "what happens", "chain", "first sound", "fate", "said", "codes", "verdict"):
        shown.add_column(name, justify="right" if name == "first sound" else "left", overflow="fold")
    for row in rows:
        sound = f"{row.first_sound_s:.2f} s" if row.first_sound_s is not None else "-"
        said = row.skipped or (f"{row.by}: {row.said}" if row.by else row.said)
        shown.add_row(row.fault, row.what, row.chain, sound, row.fate, said, row.note, row.verdict)
    return shown
