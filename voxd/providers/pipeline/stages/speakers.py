"""Who said which words of an utterance, and the transcript that says so."""

from collections.abc import Iterable, Sequence
from typing import Any

from voxd.providers.events import SpeakerPart

LabelledWord = tuple[Any, str]
"""The vendor's label of a speaker (None: not known) and a word or a piece of text."""

_CLOSING = frozenset(".,!?;:…。，！？")  # noqa: RUF001


def parts_of(words: Iterable[LabelledWord]) -> tuple[SpeakerPart, ...]:
    """Return what each speaker said in turn; () when no speaker is known.

    Vendors number or letter the speakers from any start: here they are counted from 1, as they first spoke.
    Words without a label belong to the speaker before them, at the beginning to the first one.
    """
    numbers: dict[str, int] = {}
    said: list[tuple[int, list[str]]] = []
    unclaimed: list[str] = []
    for label, text in words:
        if not isinstance(text, str) or not text.strip():
            continue
        if label is None or label == "":
            (said[-1][1] if said else unclaimed).append(text.strip())
            continue
        number = numbers.setdefault(str(label), len(numbers) + 1)
        if not said or said[-1][0] != number:
            said.append((number, []))
        said[-1][1].append(text.strip())
    if not said:
        return ()
    said[0][1][:0] = unclaimed
    return tuple(SpeakerPart(number, _joined(texts)) for number, texts in said)


def labelled(parts: Sequence[SpeakerPart], text: str) -> str:
    """Return ``text``, with more than one speaker as "Speaker 1: ... Speaker 2: ..."."""
    if len({part.speaker for part in parts}) < 2:
        return text
    return " ".join(f"Speaker {part.speaker}: {part.text}" for part in parts)


def _joined(texts: Sequence[str]) -> str:
    joined = ""
    for text in texts:
        # Some vendors send punctuation marks as words of their own.
        joined += text if not joined or text in _CLOSING else f" {text}"
    return joined
