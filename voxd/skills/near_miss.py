"""Finds the known sentence a misheard one was meant to be, without making commands of other speech."""

from itertools import islice

from hassil import Intents
from rapidfuzz import fuzz, process

from voxd.skills import templates
from voxd.skills.language import load_language
from voxd.skills.slots import find_spans

MAX_PER_TEMPLATE = 200
"""No template contributes more sentences than this: memory and time are bounded."""

_REFUSALS = "no_"
"""Intents the device cannot serve: taking "make a cake" for a call would only confuse."""

_CANDIDATES = 8
_MIN_LENGTH = 9
_SHORT_WORD = 4
_SHORT_FLOOR = 50.0
_LONG_FLOOR = 60.0
_SPLIT_FLOOR = 80.0
_MARGIN = 0.02
_FILLERS = frozenset(
    (
        "a",
        "an",
        "the",
        "my",
        "please",
        "now",
        "is",
        "to",
        "for",
        "of",
        "in",
        "me",
        "it",
        "on",
        "at",
        "this",
        "that",
    )
)
_NUMBER_WORDS = sorted(
    word
    for word in (*load_language().number_words, *load_language().units, "half", "quarter")
    if len(word) > 3
)
_SNAP = 75.0


class NearMisses:
    """Every sentence of a grammar, with one word per value, to be searched by likeness."""

    def __init__(self, grammars: tuple[Intents, ...]) -> None:
        self._intents: dict[str, str] = {}
        for intents in grammars:
            for name, intent in intents.intents.items():
                if name.startswith(_REFUSALS):
                    continue
                for data in intent.data:
                    lists = templates.slot_lists(intents, data)
                    for sentence in data.sentences:
                        for text in islice(
                            templates.expand(sentence.expression, intents, lists), MAX_PER_TEMPLATE
                        ):
                            self._add(text, name)
        self._texts = list(self._intents)
        self._vocabulary = {word for text in self._texts for word in text.split()}

    def _add(self, text: str, intent: str) -> None:
        wildcard = "{" in text.replace("{duration}", "").replace("{clock}", "").replace("{number}", "")
        # A sentence with a wildcard is like everything, and a short one is like too much.
        if not wildcard and len(text) >= _MIN_LENGTH:
            self._intents.setdefault(text, intent)

    def find(self, said: list[str], threshold: float) -> list[str] | None:
        """Return the words of the known sentence nearest to ``said``, its values put back, or None.

        The sentence as a whole must be as alike as ``threshold`` (0 to 1), no word that carries meaning may
        be missing, added or be quite another, and no sentence of another intent may be as near.
        """
        snapped = [self._snap(word) for word in said]
        found = find_spans(snapped)
        heard: list[str] = []
        at = 0
        for span in found:
            heard += [*snapped[at : span.start], f"{{{span.slot}}}"]
            at = span.end
        heard += snapped[at:]
        ranked = process.extract(
            " ".join(heard), self._texts, scorer=fuzz.ratio, limit=_CANDIDATES, score_cutoff=threshold * 100
        )
        good = [(text, score) for text, score, _ in ranked if _same_meaning(heard, text.split())]
        if not good:
            return None
        best, best_score = good[0]
        for text, score in good[1:]:
            if self._intents[text] != self._intents[best] and score > best_score - _MARGIN * 100:
                return None
        values = [snapped[span.start : span.end] for span in found]
        words: list[str] = []
        for word in best.split():
            words += values.pop(0) if word.startswith("{") else [word]
        return words

    def _snap(self, word: str) -> str:
        if len(word) < 4 or word in self._vocabulary or word in _NUMBER_WORDS:
            return word
        near = process.extractOne(word, _NUMBER_WORDS, scorer=fuzz.ratio, score_cutoff=_SNAP)
        return near[0] if near else word


def _same_meaning(heard: list[str], known: list[str]) -> bool:
    """Whether the words of ``heard`` and ``known`` can be paired in order with only fillers left over."""
    if [word for word in heard if word[0] == "{"] != [word for word in known if word[0] == "{"]:
        return False
    reachable = [[False] * (len(known) + 1) for _ in range(len(heard) + 1)]
    reachable[0][0] = True
    for row in range(len(heard) + 1):
        for column in range(len(known) + 1):
            if row and heard[row - 1] in _FILLERS and reachable[row - 1][column]:
                reachable[row][column] = True
            if column and known[column - 1] in _FILLERS and reachable[row][column - 1]:
                reachable[row][column] = True
            if row and column and reachable[row - 1][column - 1]:
                reachable[row][column] |= _alike(heard[row - 1], known[column - 1])
            if row > 1 and column and reachable[row - 2][column - 1]:
                together = heard[row - 2] + heard[row - 1]
                reachable[row][column] |= fuzz.ratio(together, known[column - 1]) >= _SPLIT_FLOOR
    return reachable[-1][-1]


def _alike(one: str, other: str) -> bool:
    """Whether a recogniser may take one word for the other: "said" for set, but not "dinner" for timer."""
    floor = _SHORT_FLOOR if max(len(one), len(other)) <= _SHORT_WORD else _LONG_FLOOR
    return fuzz.ratio(one, other) >= floor
