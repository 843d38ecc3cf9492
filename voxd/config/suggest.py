"""Guesses what somebody meant to write."""

import difflib
from collections.abc import Collection

ALIKE = 0.65
"""How alike an unknown word must be to a known one to be offered (Ratcliff and Obershelp's measure, 0 to 1).

The standard library's: rapidfuzz, loaded with the daemon for this alone, would cost 2.6 MB at idle.
"""


def did_you_mean(written: object, known: Collection[str]) -> str:
    """Return a hint naming the word of ``known`` that is most like ``written``, "" when none is."""
    found = difflib.get_close_matches(str(written), known, n=1, cutoff=ALIKE)
    return f'did you mean "{found[0]}"?' if found else ""
