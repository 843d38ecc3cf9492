"""Removes what must not be spoken from a text that is still being written: thoughts, calls, code, markup.

Models write for a screen, and leak what their server should have taken out. `SpeechFilter` takes one
character after the other and never looks ahead, so its result does not depend on how the text was divided.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from voxd.spoken.markup import JUDGES
from voxd.spoken.model_tokens import JSON, WAIT, MarkupVerdict

MAX_HELD_CHARS = 600
"""What was opened and is not closed within so many characters is text."""

MAX_BLOCK_TAIL_CHARS = 80
"""How much of a dropped block is kept to find its end."""


class Token(NamedTuple):
    """A piece of the text as it was ``written``, and what is ``spoken`` of it.

    ``is_inner``: thoughts, calls of tools and control tokens, which are no part of the answer. ``retracts``:
    everything before it was a thought, too.
    """

    written: str
    spoken: str
    is_inner: bool = False
    retracts: bool = False


class SpeechFilter:
    """Feed it the text, character by character, then finish it; it yields tokens in order."""

    def __init__(self) -> None:
        self._held = ""
        self._line = ""
        # What of a block has been dropped, in pieces: a thought may be longer than the answer.
        self._block: list[str] = []
        self._until: re.Pattern[str] | None = None
        self._is_inner = False
        self._json: JsonScanner | None = None

    def feed(self, letter: str) -> Iterator[Token]:
        """Yield what ``letter`` decides."""
        self._held += letter
        yield from self._decide(is_last=False)

    def finish(self) -> Iterator[Token]:
        """Yield the rest. A block that was not closed is dropped, any other open construct is text."""
        yield from self._decide(is_last=True)
        if written := self._end_block(len(self._held)):
            yield Token(written, "", self._is_inner)

    def _decide(self, *, is_last: bool) -> Iterator[Token]:
        while self._held:
            if self._until is not None or self._json is not None:
                ended = self._in_block(is_last=is_last)
                if ended is None:
                    return
                yield ended
                continue
            verdict = self._judge(is_last=is_last)
            if verdict is WAIT:
                return
            if verdict is None:
                yield self._token(1, self._held[0])
            elif verdict.until is not None:
                self._begin_block(verdict)
            else:
                yield self._token(verdict.length, verdict.spoken, verdict.is_inner, verdict.retracts)

    def _judge(self, *, is_last: bool) -> MarkupVerdict | None:
        judges = JUDGES.get(self._held[0])
        if judges is None:
            return None
        must_end = is_last or len(self._held) > MAX_HELD_CHARS
        for judge in judges:
            verdict = judge(self._held, self._line, must_end)
            if verdict is not None:
                return verdict
        return None

    def _begin_block(self, verdict: MarkupVerdict) -> None:
        self._is_inner = verdict.is_inner
        if verdict.until is JSON:
            # The scanner counts the brackets from the first one on.
            self._json = JsonScanner()
        else:
            self._block, self._held = [self._held[: verdict.length]], self._held[verdict.length :]
            self._until = verdict.until

    def _in_block(self, *, is_last: bool) -> Token | None:
        """Return the token of the block when it ends in what is held."""
        if self._json is not None:
            end = self._json.feed(self._held)
            keep = 0
        else:
            found = self._until.search(self._held) if self._until is not None else None
            end = found.end() if found else -1
            keep = MAX_BLOCK_TAIL_CHARS
        if end < 0:
            if len(self._held) > keep and not is_last:
                cut = len(self._held) - keep
                self._block.append(self._held[:cut])
                self._held = self._held[cut:]
            return None
        written = self._end_block(end)
        self._note(written)
        return Token(written, "", self._is_inner)

    def _end_block(self, end: int) -> str:
        """Return what was written of the block, which ends at ``end`` of what is held."""
        written, self._held = "".join([*self._block, self._held[:end]]), self._held[end:]
        self._block, self._until, self._json = [], None, None
        return written

    def _token(self, length: int, spoken: str, is_inner: bool = False, retracts: bool = False) -> Token:
        written, self._held = self._held[:length], self._held[length:]
        self._note(written)
        return Token(written, spoken, is_inner, retracts)

    def _note(self, written: str) -> None:
        self._line = (self._line + written).rpartition("\n")[2][-80:]


class JsonScanner:
    """Finds the end of a JSON value by its brackets."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""
        self._is_escaped = False

    def feed(self, text: str) -> int:
        """Return where the value ends in ``text``, -1 when it does not."""
        for at, letter in enumerate(text):
            if self._is_escaped:
                self._is_escaped = False
            elif self._quote:
                self._is_escaped = letter == "\\"
                self._quote = "" if letter == self._quote else self._quote
            elif letter == '"':
                self._quote = letter
            elif letter in "{[":
                self._depth += 1
            elif letter in "}]":
                self._depth -= 1
                if self._depth <= 0:
                    return at + 1
        return -1
