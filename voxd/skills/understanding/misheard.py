"""Sentences that a recogniser may have meant: repeated words dropped, known confusions put right.

Likeness of letters alone never decides: "mute" and "unmute" are alike. Verbs and numbers are corrected by
the table of the language only, and a sentence with a changed number is asked back, see `understanding`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxd.skills.understanding.language import Language
from voxd.skills.understanding.numbers import read_number
from voxd.skills.understanding.speech import Speech

MAX_VARIANTS = 24
"""No sentence is tried in more variants than this: each costs a pass over the grammar."""

_MIN_NOUN_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Correction:
    """A corrected sentence, what was replaced by what, and whether a number was among it."""

    said: tuple[str, ...]
    changes: tuple[tuple[str, str], ...]
    is_number_changed: bool


@dataclass(frozen=True, slots=True)
class _Replacement:
    start: int
    end: int
    words: tuple[str, ...]


def variants(
    said: Sequence[str], speech: Speech, language: Language, vocabulary: frozenset[str], likeness: float
) -> Iterator[Correction]:
    """Yield what ``said`` may have been, at most `MAX_VARIANTS`: with one correction, then with several.

    ``likeness`` (0 to 1): how alike an unknown word and a noun of the language must be.
    """
    single = tuple(_drop_repeats(said, language))
    if single != tuple(said):
        yield Correction(single, (("repeated words", ""),), False)
    found = list(_find_replacements(single, speech, language, vocabulary, likeness))
    groups: list[tuple[_Replacement, ...]] = [(one,) for one in found]
    if len(together := _without_overlap(found)) > 1:
        groups.append(tuple(together))
        groups += [(one, other) for one in together for other in together if one.start < other.start]
    for group in groups[:MAX_VARIANTS]:
        yield _apply(single, group, language)


def _drop_repeats(said: Sequence[str], language: Language) -> Iterator[str]:
    for at, word in enumerate(said):
        # "Twenty twenty" may be a time, so a number said twice stays.
        if at == 0 or word != said[at - 1] or read_number(said, at, language) is not None:
            yield word


def _find_replacements(
    said: tuple[str, ...], speech: Speech, language: Language, vocabulary: frozenset[str], likeness: float
) -> Iterator[_Replacement]:
    for phrase, meant in speech.misheard.items():
        words = tuple(phrase.split())
        for at in range(len(said) - len(words) + 1):
            if said[at : at + len(words)] == words:
                for text in meant:
                    if not _is_opposite(words, tuple(text.split()), language):
                        yield _Replacement(at, at + len(words), tuple(text.split()))
    for at, word in enumerate(said):
        if len(word) < _MIN_NOUN_LENGTH or word in vocabulary | language.temporal_words:
            continue
        noun = _nearest_noun(word, speech, likeness)
        if noun is not None and not _is_opposite((word,), (noun,), language):
            yield _Replacement(at, at + 1, (noun,))


def _is_opposite(words: Sequence[str], meant: Sequence[str], language: Language) -> bool:
    """Whether ``meant`` has the opposite of a word of ``words`` in its place."""
    return any(
        pair in language.opposites for pair in zip(words, meant, strict=False) if len(words) == len(meant)
    )


def _nearest_noun(word: str, speech: Speech, likeness: float) -> str | None:
    from rapidfuzz import fuzz, process  # 3 MB, needed only for what no template matches

    near = process.extractOne(word, speech.nouns, scorer=fuzz.ratio, score_cutoff=likeness * 100)
    return str(near[0]) if near is not None and near[0] != word else None


def _without_overlap(found: Sequence[_Replacement]) -> list[_Replacement]:
    chosen: list[_Replacement] = []
    for one in sorted(found, key=lambda one: (one.start, one.start - one.end)):
        if not chosen or one.start >= chosen[-1].end:
            chosen.append(one)
    return chosen


def _apply(said: tuple[str, ...], group: tuple[_Replacement, ...], language: Language) -> Correction:
    words = list(said)
    for one in sorted(group, key=lambda one: -one.start):
        words[one.start : one.end] = one.words
    changes = tuple((" ".join(said[one.start : one.end]), " ".join(one.words)) for one in group)
    is_number = any(read_number(one.words, at, language) for one in group for at in range(len(one.words)))
    return Correction(tuple(words), changes, is_number)
