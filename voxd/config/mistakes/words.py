"""The word that was meant: "did you mean" of every room, for keys, names, options and arguments."""

import difflib
from collections.abc import Collection

# The least similarity of a suggestion to the unknown word (Ratcliff and Obershelp, 0 to 1).
ALIKE = 0.65


def did_you_mean(written: object, known: Collection[str]) -> str:
    """Return a hint with the word of ``known`` most similar to ``written``, "" if none is similar."""
    meant = meant_word(written, known)
    return f'did you mean "{meant}"?' if meant else ""


def meant_word(written: object, known: Collection[str]) -> str:
    """Return the word of ``known`` most similar to ``written``, "" if none is similar."""
    # Upper case, hyphens and CamelCase are the same word written otherwise.
    folded = {_folded(word): word for word in known}
    if word := folded.get(_folded(str(written))):
        return word
    # Not rapidfuzz: it would cost 2.6 MB at idle.
    found = difflib.get_close_matches(_folded(str(written)), folded, n=1, cutoff=ALIKE)
    return folded[found[0]] if found else ""


def _folded(word: str) -> str:
    return "".join(char for char in word.casefold() if char.isalnum())
