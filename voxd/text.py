"""Prepares text for speech: removes what is not spoken and cuts a reply into pieces, the first one short.

All text that is spoken passes through `ClauseSplitter`.
"""

import re
from typing import NamedTuple

from voxd.spoken.speech_filter import SpeechFilter, Token

# Longer sentences are cut at a clause or a word: Piper needs 9 MiB per second of sound.
MAX_PIECE_CHARS = 240

# A first sentence longer than this is cut at its first clause, so that sound begins sooner.
FIRST_PIECE_CHARS = 60

# A shorter piece sounds chopped off.
MIN_CLAUSE_CHARS = 12

_ABBREVIATIONS = frozenset(
    ("mr mrs ms dr prof st sr jr vs etc e.g i.e a.m p.m approx inc ltd co mt ave dept fig").split(" ")  # noqa: SIM905
)
# "U.S" and "e.g": the full stop after them ends no sentence.
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+)", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*])")
_CLAUSE = re.compile(r"[,;:–—](?=\s)|\s-(?=\s)")  # noqa: RUF001
_CLOSERS = r"[\"')\]”’»*_`~]*"  # noqa: RUF001
_SENTENCE_END = re.compile(rf"[.!?…]+{_CLOSERS}$")
# Chinese and Japanese end a sentence without a space after it.
_IDEOGRAPHIC = re.compile(r"[。！？]+[\"')\]”’»]*$")  # noqa: RUF001
# After one of these a sentence may still get a closing quote or bracket.
_STILL_ENDING = "。！？\"')]”’»"  # noqa: RUF001
_CLAUSE_END = re.compile(rf"(?:[,;:–—]{_CLOSERS}|\s-)$")  # noqa: RUF001
_CELLS = re.compile(r"\s*\|\s*")
# Marks whose partner is missing: the model broke off, or the piece was cut inside the emphasis.
_LOOSE_MARKS = re.compile(r"(?<!\S)(?:\*{1,3}|_{1,3}|~~)(?=\w)|(?<=[^\s*_~])(?:\*{1,3}|_{1,3}|~~)(?!\w)")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u231a\u231b\u23e9-\u23fa\u25fb-\u25fe\u2b05-\u2b07\u2b1b\u2b1c\u2b50"
    "\u2b55\u3030\u303d\ufe0f\u200d\u20e3\U000e0020-\U000e007f]+"
)
# Characters without a sound: control codes, marks of direction and width, a byte order mark, what stands for
# a character that was lost. The joiners stay, for Persian and Indian scripts need them.
_SOUNDLESS = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\uffff\ud800-\udfff]"
)
# What is left where something was removed: a space before a mark, brackets and quotes around nothing.
_EMPTY = re.compile(r"\(\s*\)|\[\s*\]|\"\s*\"|“\s*”")
_GAP = re.compile(r"\s+(?=[,.;:!?](?:\s|$))")
_NUMBER_ONLY = re.compile(r"\s*\d+[.)]\s*")
# How the thoughts of a model begin whose server removed the tag before them, but not the one behind them.
_THOUGHT_WORDS = re.compile(
    r"\b[Tt]he user(?:'s (?:question|request|message|query|input|prompt)"
    r"| (?:is|was|wants?|ask(?:s|ed|ing)|has|had|sa(?:id|ys)|needs|might|may|just|would|seems|wrote|mentioned"
    r"|provided|greeted|sent|likely|probably))\b"
    r"|^\W*(?:[Hh]mm\b|analysis[A-Z])"
)


UNSPEAKABLE = "I cannot say this answer aloud. You find it in the transcript."
"""Spoken in place of an answer that has nothing to say aloud, such as code."""


class Piece(NamedTuple):
    """A piece of a reply: what is ``spoken``, and the text as it was ``written``, with what is not spoken."""

    spoken: str
    written: str


def strip_markdown(text: str) -> str:
    """Return ``text`` as it would be read aloud: no headings, bullets or emphasis."""
    text = _RULE.sub("", text)
    text = _LINE_START.sub("", text)
    # Twice: emphasis may be nested, as in ***bold and italic*** or **a *b* c**.
    for _ in range(2):
        text = _EMPHASIS.sub(r"\2", text)
    return text


def sentences(text: str) -> list[str]:
    """Return the pieces of ``text`` to speak, in order; each holds a letter or a digit.

    `UNSPEAKABLE` stands for a text that has words, but none to say aloud.
    """
    splitter = ClauseSplitter(cut_first_clause=False)
    pieces = splitter.feed(text) + splitter.finish()
    spoken = [piece.spoken for piece in pieces]
    if not spoken and splitter.has_unspoken_answer:
        return [UNSPEAKABLE]
    if spoken and len(spoken[0]) > FIRST_PIECE_CHARS:
        spoken[:1] = _split_first(spoken[0])
    return spoken


def speakable(text: str) -> str:
    """Return what is spoken of ``text``, "" for nothing."""
    splitter = ClauseSplitter(cut_first_clause=False)
    return " ".join(piece.spoken for piece in splitter.feed(text) + splitter.finish())


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


class _Line:
    """The text that is not part of a piece yet, in parallel: what is spoken of it, and what was written."""

    def __init__(self) -> None:
        self.spoken = ""
        # Each token's written text, and where its spoken text ends.
        self._written: list[tuple[int, str]] = []
        self.has_gap = False

    def add(self, token: Token) -> None:
        self.spoken += token.spoken
        self._written.append((len(self.spoken), token.written))
        self.has_gap = self.has_gap or (not token.spoken and not token.written.isspace())

    def cut(self, at: int) -> Piece:
        """Remove and return the first ``at`` characters, and the space that follows them."""
        body, rest = self.spoken[:at], self.spoken[at:].lstrip()
        end = len(self.spoken) - len(rest)
        written = "".join(text for until, text in self._written if until <= end)
        self._written = [(until - end, text) for until, text in self._written if until > end]
        self.spoken = rest
        return Piece(body, written)


class ClauseSplitter:
    """Cuts a reply that is still being written into pieces to speak: a first clause, then sentences.

    `feed` it the text as it arrives, then `finish` it. It looks at one character after the other and never
    ahead, so the pieces do not depend on how the text was divided. Without ``cut_first_clause`` the first
    piece is a sentence too.
    """

    def __init__(self, *, cut_first_clause: bool = True) -> None:
        self._filter = SpeechFilter()
        self._line = _Line()
        self._is_line_start = True
        self._is_row = False
        self._cuts_first = self._cuts_clause = cut_first_clause
        self._pieces: list[Piece] = []
        # A first piece that may be a thought holds back the others, until the reply is over or says so.
        self._is_doubtful: bool | None = None
        self.unspoken = ""
        """The written text behind the last piece, of which nothing is spoken."""
        self.retractions = 0
        """How often the reply said that everything before was a thought: pieces given out before that are not
        to be spoken any more."""
        self.has_unspoken_answer = False
        """Whether something of the answer itself is not spoken, such as code."""

    @property
    def rest(self) -> str:
        """The text that is not part of a piece yet."""
        return self._line.spoken.strip()

    def feed(self, text: str) -> list[Piece]:
        """Return the pieces that ``text`` completes; each has a letter or a digit to say."""
        for letter in text:
            for token in self._filter.feed(letter):
                self._take(token)
        return [] if self._is_doubtful else self._given()

    def finish(self) -> list[Piece]:
        """Return what is left at the end of the reply."""
        for token in self._filter.finish():
            self._take(token)
        self._end_line()
        return self._given()

    def _given(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces

    def _take(self, token: Token) -> None:
        if token.retracts:
            self._retract(token)
        elif token.spoken == "\n":
            self._line.add(token._replace(spoken=""))
            self._end_line()
        else:
            if not token.spoken and not token.is_inner and any(letter.isalnum() for letter in token.written):
                self.has_unspoken_answer = True
            self._line.add(token)
            # Words of a link or of code are not looked into: a piece ends at a character of the text itself.
            letter = token.spoken
            if len(letter) == 1 and (not letter.isascii() or letter.isspace()):
                self._end_before(letter)
            if len(self._line.spoken) > MAX_PIECE_CHARS:
                self._cut_overlong()

    def _retract(self, token: Token) -> None:
        """Everything so far was a thought."""
        self._line.add(token._replace(spoken=""))
        thought = self._line.cut(len(self._line.spoken)).written
        self.unspoken = "".join(piece.written for piece in self._pieces) + self.unspoken + thought
        self._pieces, self._is_doubtful = [], None
        self._is_line_start, self._is_row, self._cuts_clause = True, False, self._cuts_first
        self.has_unspoken_answer = False
        self.retractions += 1

    def _end_before(self, letter: str) -> None:
        """Cut before ``letter``, the newest one, if a piece ends there."""
        body = self._line.spoken[:-1]
        if not body.strip():
            # Leading space is written, but not spoken.
            self.unspoken += self._line.cut(0).written
        elif not self._is_table_row and self._ends(body, letter):
            self._add_piece(self._line.cut(len(body)), is_row=self._is_row)

    def _ends(self, body: str, letter: str) -> bool:
        if letter not in _STILL_ENDING and _IDEOGRAPHIC.search(body):
            return True
        if not letter.isspace():
            return False
        if found := _SENTENCE_END.search(body):
            return not (found.group().startswith(".") and is_abbreviation(body[: found.start()]))
        return self._cuts_clause and len(body) >= MIN_CLAUSE_CHARS and bool(_CLAUSE_END.search(body))

    @property
    def _is_table_row(self) -> bool:
        """Whether the line is a row of a table, which is a single piece."""
        if self._is_line_start:
            self._is_row = self._line.spoken.lstrip().startswith("|")
        return self._is_row

    def _cut_overlong(self) -> None:
        is_row = self._is_table_row
        self._add_piece(self._line.cut(cut_at(self._line.spoken, MAX_PIECE_CHARS)), is_row=is_row)
        self._is_row = is_row

    def _end_line(self) -> None:
        """End the line, and with it a sentence, whatever it ends with."""
        is_row = self._is_table_row
        self._add_piece(self._line.cut(len(self._line.spoken)), is_row=is_row)
        self._is_line_start, self._is_row = True, False

    def _add_piece(self, cut: Piece, *, is_row: bool) -> None:
        self._is_line_start = False
        has_gap, self._line.has_gap = self._line.has_gap, False
        spoken = _spoken(cut.spoken, is_row=is_row, has_gap=has_gap)
        written, self.unspoken = self.unspoken + cut.written, ""
        if not any(letter.isalnum() for letter in spoken):
            self.unspoken = written
            self.has_unspoken_answer = self.has_unspoken_answer or bool(_EMOJI.search(cut.spoken))
            return
        self._cuts_clause = False
        if self._is_doubtful is None:
            self._is_doubtful = _THOUGHT_WORDS.search(spoken) is not None
        self._pieces.append(Piece(spoken, written))


def _spoken(body: str, *, is_row: bool, has_gap: bool) -> str:
    """Return ``body`` as it is read aloud: words of cells, no marks, no emoji, no gaps."""
    if is_row:
        body = ", ".join(cell for cell in _CELLS.split(body) if any(letter.isalnum() for letter in cell))
    body = _LOOSE_MARKS.sub("", strip_markdown(_EMOJI.sub("", _SOUNDLESS.sub("", body))))
    if has_gap:
        body = _GAP.sub("", _EMPTY.sub("", body))
        # Of a list of addresses only the numbers are left.
        body = "" if _NUMBER_ONLY.fullmatch(body) else body
    return " ".join(body.split())
