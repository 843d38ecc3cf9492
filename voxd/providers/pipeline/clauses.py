"""Cuts an answer that is still being written into pieces to speak: a first clause, then sentences.

It looks at one letter after the other and never ahead, so the pieces are the same however the letters come.
"""

import re

from voxd.text import (
    MAX_PIECE_CHARS,
    MIN_CLAUSE_CHARS,
    cut_at,
    is_abbreviation,
    link_texts,
    strip_markdown,
)

MAX_HELD_CHARS = 600
"""A link that is not closed by then is none, and what stands before it is spoken."""

_CLOSERS = r"[\"')\]”’»*_`~]*"  # noqa: RUF001
_SENTENCE = re.compile(rf"[.!?…]+{_CLOSERS}$")
_IDEOGRAPHIC = re.compile(r"[。！？]+[\"')\]”’»]*$")  # noqa: RUF001
_STILL_ENDING = "。！？\"')]”’»"  # noqa: RUF001
_CLAUSE = re.compile(rf"(?:[,;:–—]{_CLOSERS}|\s-)$")  # noqa: RUF001
_OPEN_LINK = re.compile(r"\[[^\]]*$|\[[^\]]*\]\([^)\s]*$")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})[^`]*$")
_CELLS = re.compile(r"\s*\|\s*")
_LOOSE_MARKS = re.compile(r"(?<!\S)(?:\*{1,3}|_{1,3}|~~)(?=\w)|(?<=[^\s*_~])(?:\*{1,3}|_{1,3}|~~)(?!\w)")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)


class Clauses:
    """Feed it the words of one answer as they come, then `finish` it."""

    def __init__(self) -> None:
        self._rest = ""
        self._is_line_start = True
        self._is_row = False
        self._is_first = True

    @property
    def rest(self) -> str:
        """What has come and is not cut off yet."""
        return self._rest.strip()

    def feed(self, text: str) -> list[str]:
        """Return the pieces that ``text`` completes, without markup; each holds a letter or a digit."""
        pieces: list[str] = []
        for letter in text:
            if letter == "\n":
                pieces += self._line()
                continue
            self._rest += letter
            if letter == ")":
                self._rest = link_texts(self._rest)
            elif not letter.isascii() or letter.isspace():
                pieces += self._end(letter)
            if len(self._rest) > MAX_PIECE_CHARS:
                pieces += self._overlong()
        return pieces

    def finish(self) -> list[str]:
        """Return what was left: the answer is over."""
        return self._line()

    def _end(self, letter: str) -> list[str]:
        """Cut before ``letter``, the last that came, if something ends there."""
        body = self._rest[:-1]
        if not body.strip():
            self._rest = self._rest.lstrip()
            return []
        if self._is_whole_line or _OPEN_LINK.search(body) or not self._ends(body, letter):
            return []
        self._rest = letter.lstrip()
        return self._piece(body)

    def _ends(self, body: str, letter: str) -> bool:
        if letter not in _STILL_ENDING and _IDEOGRAPHIC.search(body):
            return True
        if not letter.isspace():
            return False
        if found := _SENTENCE.search(body):
            return not (found.group().startswith(".") and is_abbreviation(body[: found.start()]))
        return self._is_first and len(body) >= MIN_CLAUSE_CHARS and bool(_CLAUSE.search(body))

    @property
    def _is_whole_line(self) -> bool:
        """Whether the line is one that only its end ends: a row of a table, the fence of a block of code."""
        if self._is_line_start:
            self._is_row = self._rest.lstrip().startswith("|")
        return self._is_row or (self._is_line_start and self._rest.lstrip().startswith(("```", "~~~")))

    def _overlong(self) -> list[str]:
        if _OPEN_LINK.search(self._rest) and len(self._rest) <= MAX_HELD_CHARS:
            return []
        is_row = self._is_whole_line and self._is_row
        at = cut_at(self._rest, MAX_PIECE_CHARS)
        body, self._rest = self._rest[:at], self._rest[at:].lstrip()
        pieces = self._piece(body)
        self._is_row = is_row
        return pieces

    def _line(self) -> list[str]:
        """The line is over, and with it a sentence, whatever it ends with."""
        body, self._rest = self._rest, ""
        is_row = self._is_whole_line_of(body)
        pieces = [] if self._is_line_start and _FENCE.match(body) else self._piece(body, is_row=is_row)
        self._is_line_start, self._is_row = True, False
        return pieces

    def _is_whole_line_of(self, body: str) -> bool:
        return self._is_row or (self._is_line_start and body.lstrip().startswith("|"))

    def _piece(self, body: str, *, is_row: bool | None = None) -> list[str]:
        self._is_line_start = False
        spoken = _spoken(body, is_row=self._is_row if is_row is None else is_row)
        if not any(letter.isalnum() for letter in spoken):
            return []
        self._is_first = False
        return [spoken]


def _spoken(body: str, *, is_row: bool) -> str:
    """Return ``body`` as it is read aloud: words of links and cells, no marks, no pictures."""
    if is_row:
        body = ", ".join(cell for cell in _CELLS.split(body) if any(letter.isalnum() for letter in cell))
    body = _LOOSE_MARKS.sub("", strip_markdown(_EMOJI.sub("", body)))
    return " ".join(body.split())
