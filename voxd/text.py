"""Cuts a reply into pieces that can be spoken one after the other, the first one short."""

import re

MAX_PIECE_CHARS = 240
"""Longer sentences are cut at a clause or a word: Piper needs 9 MiB per second of sound."""

FIRST_PIECE_CHARS = 60
"""A first sentence longer than this is cut at its first clause, so that sound begins sooner."""

MIN_CLAUSE_CHARS = 12
"""A shorter piece sounds chopped off."""

_ABBREVIATIONS = frozenset(
    ("mr mrs ms dr prof st sr jr vs etc e.g i.e a.m p.m approx inc ltd co mt ave dept fig").split(" ")  # noqa: SIM905
)
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_FENCE = re.compile(r"^\s*(?:```+|~~~+)[^`\n]*$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+)", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(r"`+")
_END = re.compile(r"[.!?…。！？]+[\"')\]”’»]*(?=\s|$)|[。！？]+|\n\s*\n|\n(?=\s*(?:\d+[.)]|\S))")  # noqa: RUF001
_CLAUSE = re.compile(r"[,;:–—](?=\s)|\s-(?=\s)")  # noqa: RUF001


def strip_markdown(text: str) -> str:
    """Return ``text`` as it would be read aloud: no fences, headings, bullets, emphasis or addresses."""
    text = _FENCE.sub("", text)
    text = link_texts(text)
    text = _RULE.sub("", text)
    text = _LINE_START.sub("", text)
    for _ in range(2):
        text = _EMPHASIS.sub(r"\2", text)
    return _CODE.sub("", text)


def link_texts(text: str) -> str:
    """Return ``text`` with the words of its links in place of their addresses."""
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Return the pieces of ``text`` in order, without markdown; only pieces with a letter or digit.

    Joined by spaces they hold every word of the text.
    """
    pieces: list[str] = []
    carried = ""
    for sentence in _sentences(strip_markdown(text)):
        sentence = f"{carried} {sentence}".strip()
        carried = ""
        if not any(letter.isalnum() for letter in sentence):
            carried = sentence
            continue
        pieces.extend(_cut(sentence, MAX_PIECE_CHARS))
    if pieces and len(pieces[0]) > FIRST_PIECE_CHARS:
        pieces[:1] = _split_first(pieces[0])
    return [piece for piece in pieces if any(letter.isalnum() for letter in piece)]


def _sentences(text: str) -> list[str]:
    found = []
    start = 0
    for match in _END.finditer(text):
        if match.group().startswith(".") and is_abbreviation(text[start : match.start()]):
            continue
        found.append(" ".join(text[start : match.end()].split()))
        start = match.end()
    found.append(" ".join(text[start:].split()))
    return [sentence for sentence in found if sentence]


def is_abbreviation(before: str) -> bool:
    """Whether the full stop after ``before`` belongs to a word, an initial or a list number."""
    words = before.split()
    if not words:
        return False
    word = words[-1].lstrip("(\"'“")
    if word.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(word):
        return True
    return (len(word) == 1 and word.isupper() and word != "I") or (len(words) == 1 and word.isdigit())


def _split_first(sentence: str) -> list[str]:
    for match in _CLAUSE.finditer(sentence):
        if match.end() >= MIN_CLAUSE_CHARS and len(sentence) - match.end() >= MIN_CLAUSE_CHARS:
            return [sentence[: match.end()].strip(), sentence[match.end() :].strip()]
    return [sentence]


def cut_at(sentence: str, limit: int) -> int:
    """Return where to cut what is longer than ``limit``: behind a clause, else a word, as late as may be."""
    clauses = [match.end() for match in _CLAUSE.finditer(sentence, 0, limit)]
    at = clauses[-1] if clauses and clauses[-1] > limit // 3 else sentence.rfind(" ", 1, limit)
    # One endless word: cutting it is the only way to bound what an engine is given.
    return at if at > 0 else limit


def _cut(sentence: str, limit: int) -> list[str]:
    pieces = []
    while len(sentence) > limit:
        at = cut_at(sentence, limit)
        pieces.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*pieces, sentence] if sentence else pieces
