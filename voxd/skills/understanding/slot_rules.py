"""What the free words of a sentence may be: a name or a text must not hold what the grammar did not read."""

from collections.abc import Sequence
from enum import IntEnum

from voxd.skills.understanding.language import Language
from voxd.skills.understanding.numbers import read_number, read_ordinal
from voxd.skills.understanding.slots import Span
from voxd.skills.understanding.speech import Speech, find_phrases

MAX_NAME_WORDS = 4
"""A name of a timer or an alarm has no more words than this."""

MAX_REFERENCE_WORDS = 6
"""What names a timer that is set has no more words than this."""

_MAX_TEXT_WORDS = 25
_NAMES = frozenset({"name", "new_name", "n1", "n2"})
_REFERENCES = frozenset({"ref", "label"})
_PLACES = frozenset({"thing", "place"})


class Fit(IntEnum):
    """How well free words fit a slot."""

    NONE = 0
    DOUBTFUL = 1
    GOOD = 2


def fit_wildcard(
    slot: str, value: Sequence[str], spans: dict[str, Span], language: Language, speech: Speech
) -> Fit:
    """Return whether the words ``value`` (values still as placeholders) may be the free text of ``slot``.

    A timer called "to the" was once made of "add five minutes to the timer": whatever the grammar lacks ends
    up in a wildcard, so a wildcard takes nothing that has a meaning of its own.
    """
    if slot in _NAMES:
        return _fit_name(value, spans, language, speech)
    if slot == "text":
        return _fit_text(value, spans, language, speech)
    if slot in _REFERENCES:
        return _fit_reference(value, spans, language, speech)
    if slot in _PLACES:
        is_short = len(value) <= MAX_NAME_WORDS
        return Fit.GOOD if is_short and not any(word in spans for word in value) else Fit.NONE
    return Fit.GOOD


def _fit_name(value: Sequence[str], spans: dict[str, Span], language: Language, speech: Speech) -> Fit:
    if not 1 <= len(value) <= MAX_NAME_WORDS or value[0] == "and" or value[-1] == "and":
        return Fit.NONE
    for at, word in enumerate(value):
        if word in spans or word in speech.not_in_names or word in language.temporal_words:
            return Fit.NONE
        if read_number(value, at) is not None:
            return Fit.NONE
    return Fit.GOOD


def _fit_reference(value: Sequence[str], spans: dict[str, Span], language: Language, speech: Speech) -> Fit:
    # What names a timer may hold any words but values: it is set already, or said to be a name.
    if not 1 <= len(value) <= MAX_REFERENCE_WORDS or value[0] in speech.articles:
        return Fit.NONE
    if value[0] in speech.joints or value[-1] in speech.joints:
        return Fit.NONE
    values = spans.keys() | speech.not_in_references | language.units.keys() | language.number_words
    if any(word in values or read_ordinal(value, at) for at, word in enumerate(value)):
        return Fit.NONE
    return Fit.GOOD


def _fit_text(value: Sequence[str], spans: dict[str, Span], language: Language, speech: Speech) -> Fit:
    if not 1 <= len(value) <= _MAX_TEXT_WORDS or value[0] in speech.not_text_start:
        return Fit.NONE
    if any(word in spans and spans[word].slot == "when" for word in value):
        return Fit.DOUBTFUL
    if find_phrases(tuple(value), speech.conditions):
        return Fit.NONE
    doubtful = language.temporal_words | speech.doubtful_in_texts
    if any(word in doubtful for word in value) or find_phrases(tuple(value), speech.corrections):
        return Fit.DOUBTFUL
    return Fit.GOOD
