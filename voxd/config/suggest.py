"""Guesses what somebody meant to write."""

from collections.abc import Collection

from rapidfuzz import fuzz, process

ALIKE_PERCENT = 65
"""How alike an unknown word must be to a known one to be offered (rapidfuzz ratio)."""


def did_you_mean(written: object, known: Collection[str]) -> str:
    """Return a hint naming the word of ``known`` that is most like ``written``, "" when none is."""
    found = process.extractOne(str(written), known, scorer=fuzz.ratio, score_cutoff=ALIKE_PERCENT)
    return f'did you mean "{found[0]}"?' if found else ""
