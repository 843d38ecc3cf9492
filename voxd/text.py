"""Prepares text for speech: removes markdown and cuts a reply into pieces, the first one short."""

import re

# Longer sentences are cut at a clause or a word: Piper needs 9 MiB per second of sound.
MAX_PIECE_CHARS = 240

# A first sentence longer than this is cut at its first clause, so that sound begins sooner.
FIRST_PIECE_CHARS = 60

# A shorter piece sounds chopped off.
MIN_CLAUSE_CHARS = 12

# An opened `[` that is not closed within so many characters is not a link; the text before it is spoken.
MAX_HELD_CHARS = 600

_ABBREVIATIONS = frozenset(
    ("mr mrs ms dr prof st sr jr vs etc e.g i.e a.m p.m approx inc ltd co mt ave dept fig").split(" ")  # noqa: SIM905
)
# "U.S" and "e.g": the full stop after them ends no sentence.
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_FENCE = re.compile(r"^\s*(?:```+|~~~+)[^`\n]*$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+)", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(r"`+")
_CLAUSE = re.compile(r"[,;:–—](?=\s)|\s-(?=\s)")  # noqa: RUF001
_CLOSERS = r"[\"')\]”’»*_`~]*"  # noqa: RUF001
_SENTENCE_END = re.compile(rf"[.!?…]+{_CLOSERS}$")
# Chinese and Japanese end a sentence without a space after it.
_IDEOGRAPHIC = re.compile(r"[。！？]+[\"')\]”’»]*$")  # noqa: RUF001
# After one of these a sentence may still get a closing quote or bracket.
_STILL_ENDING = "。！？\"')]”’»"  # noqa: RUF001
_CLAUSE_END = re.compile(rf"(?:[,;:–—]{_CLOSERS}|\s-)$")  # noqa: RUF001
_OPEN_LINK = re.compile(r"\[[^\]]*$|\[[^\]]*\]\([^)\s]*$")
_FENCE_LINE = re.compile(r"\s*(?:`{3,}|~{3,})[^`]*$")
_CELLS = re.compile(r"\s*\|\s*")
# Marks whose partner is missing: the model broke off, or the piece was cut inside the emphasis.
_LOOSE_MARKS = re.compile(r"(?<!\S)(?:\*{1,3}|_{1,3}|~~)(?=\w)|(?<=[^\s*_~])(?:\*{1,3}|_{1,3}|~~)(?!\w)")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)


def strip_markdown(text: str) -> str:
    """Return ``text`` as it would be read aloud: no fences, headings, bullets, emphasis or addresses."""
    text = _FENCE.sub("", text)
    text = link_texts(text)
    text = _RULE.sub("", text)
    text = _LINE_START.sub("", text)
    # Twice: emphasis may be nested, as in ***bold and italic*** or **a *b* c**.
    for _ in range(2):
        text = _EMPHASIS.sub(r"\2", text)
    return _CODE.sub("", text)


def link_texts(text: str) -> str:
    """Return ``text`` with the words of its links in place of their addresses."""
    return _LINK.sub(r"\1", text)


def sentences(text: str) -> list[str]:
    """Return the pieces of ``text`` in order, without markdown; each holds a letter or a digit."""
    splitter = ClauseSplitter(cut_first_clause=False)
    pieces = splitter.feed(text) + splitter.finish()
    if pieces and len(pieces[0]) > FIRST_PIECE_CHARS:
        pieces[:1] = _split_first(pieces[0])
    return pieces


def is_abbreviation(before: str) -> bool:
    """Whether the full stop after ``before`` belongs to a word, an initial or a list number."""
    words = before.split()
    if not words:
        return False
    word = words[-1].lstrip("(\"'“")
    if word.lower() in _ABBREVIATIONS or _INITIALS.fullmatch(word):
        return True
    # "I." ends a sentence ("So do I."); any other single capital is an initial.
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
    # A single word longer than the limit: cutting it is the only way to bound the engine's input.
    return at if at > 0 else limit


class ClauseSplitter:
    """Cuts a reply that is still being written into pieces to speak: a first clause, then sentences.

    `feed` it the text as it arrives, then `finish` it. It looks at one character after the other and never
    ahead, so the pieces do not depend on how the text was divided. Without ``cut_first_clause`` the first
    piece is a sentence too.
    """

    def __init__(self, *, cut_first_clause: bool = True) -> None:
        self._rest = ""
        self._is_line_start = True
        self._is_row = False
        self._cuts_clause = cut_first_clause

    @property
    def rest(self) -> str:
        """The text that is not part of a piece yet."""
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
        """Return what is left at the end of the reply."""
        return self._line()

    def _end(self, letter: str) -> list[str]:
        """Cut before ``letter``, the newest one, if a piece ends there."""
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
        if found := _SENTENCE_END.search(body):
            return not (found.group().startswith(".") and is_abbreviation(body[: found.start()]))
        return self._cuts_clause and len(body) >= MIN_CLAUSE_CHARS and bool(_CLAUSE_END.search(body))

    @property
    def _is_whole_line(self) -> bool:
        """Whether the line is a single piece: a row of a table, the fence of a code block."""
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
        """End the line, and with it a sentence, whatever it ends with."""
        body, self._rest = self._rest, ""
        is_row = self._is_whole_line_of(body)
        pieces = [] if self._is_line_start and _FENCE_LINE.match(body) else self._piece(body, is_row=is_row)
        self._is_line_start, self._is_row = True, False
        return pieces

    def _is_whole_line_of(self, body: str) -> bool:
        return self._is_row or (self._is_line_start and body.lstrip().startswith("|"))

    def _piece(self, body: str, *, is_row: bool | None = None) -> list[str]:
        self._is_line_start = False
        spoken = _spoken(body, is_row=self._is_row if is_row is None else is_row)
        if not any(letter.isalnum() for letter in spoken):
            return []
        self._cuts_clause = False
        return [spoken]


def _spoken(body: str, *, is_row: bool) -> str:
    """Return ``body`` as it is read aloud: words of links and cells, no marks, no emoji."""
    if is_row:
        body = ", ".join(cell for cell in _CELLS.split(body) if any(letter.isalnum() for letter in cell))
    body = _LOOSE_MARKS.sub("", strip_markdown(_EMOJI.sub("", body)))
    return " ".join(body.split())
