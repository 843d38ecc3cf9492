"""Remembers a conversation as texts, so that another session, or another vendor, can go on with it."""

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant"]

MAX_ENTRIES = 64
"""Entries remembered; the oldest is forgotten. A replay of more would cost more than it tells."""


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """Who said what."""

    role: Role
    text: str


@dataclass(slots=True, eq=False)
class _Entry:
    role: Role
    text: str = ""
    partial: str = ""
    sound_ms: float = 0.0
    heard_ms: float | None = None
    open: bool = False

    @property
    def words(self) -> str:
        words = f"{self.text} {self.partial}".strip() if self.partial else self.text.strip()
        return words if self.heard_ms is None else text_played(words, self.heard_ms, self.sound_ms)


class ConversationHistory:
    """What was said in order, and of the replies only what was heard.

    The text of a spoken question comes late, often after the reply has begun: `expect_user` keeps its place.
    """

    def __init__(self, *, limit: int = MAX_ENTRIES) -> None:
        self._entries: deque[_Entry] = deque(maxlen=limit)

    @property
    def lines(self) -> tuple[HistoryMessage, ...]:
        """What is known so far, the oldest first."""
        return tuple(HistoryMessage(entry.role, entry.words) for entry in self._entries if entry.words)

    def user(self, text: str) -> None:
        """The user said ``text``: it belongs where `expect_user` kept a place, else before a reply begun."""
        place = next((entry for entry in self._entries if entry.role == "user" and entry.open), None)
        if place is not None:
            place.text, place.open = text, False
            return
        reply = self._open_reply()
        entry = _Entry("user", text)
        if reply is None or len(self._entries) == self._entries.maxlen:
            self._entries.append(entry)
        else:
            self._entries.insert(self._entries.index(reply), entry)

    def expect_user(self) -> None:
        """The user has spoken; what he said will be known later. Only the last such place is kept."""
        self.expect_nothing()
        self._entries.append(_Entry("user", open=True))

    def expect_nothing(self) -> None:
        """What the user has said will not be known."""
        for entry in [entry for entry in self._entries if entry.role == "user" and entry.open]:
            self._entries.remove(entry)

    def reply_begins(self) -> None:
        """The assistant begins to answer."""
        self.reply_ends()
        self._entries.append(_Entry("assistant", open=True))

    def reply_text(self, text: str, *, whole: bool) -> None:
        """Add a piece of the reply's text; the ``whole`` stands for the pieces since the last whole."""
        entry = self._reply()
        if whole:
            entry.text, entry.partial = f"{entry.text} {text}".strip(), ""
        else:
            entry.partial += text

    def reply_sound(self, duration_ms: float) -> None:
        """Add ``duration_ms`` of the reply's sound."""
        self._reply().sound_ms += duration_ms

    def reply_ends(self) -> None:
        """The reply is complete; how much of it is heard may still change."""
        reply = self._open_reply()
        if reply is not None:
            reply.open = False

    def heard(self, played_ms: float | None) -> bool:
        """Only ``played_ms`` of the last reply's sound was heard (None: all of it); returns if it was less.

        A reply that only called tools has no words and is passed over: the one before may still be playing.
        Once the user's next question is there, the reply before it is not cut any more.
        """
        self.reply_ends()
        reply = self._latest_reply()
        if reply is None or played_ms is None:
            return False
        if played_ms >= (reply.sound_ms if reply.heard_ms is None else reply.heard_ms):
            return False
        reply.heard_ms = max(played_ms, 0.0)
        return True

    def add(self, role: Role, text: str) -> None:
        """Add a finished line at the end."""
        self._entries.append(_Entry(role, text))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def _latest_reply(self) -> _Entry | None:
        replies = itertools.takewhile(lambda entry: entry.role == "assistant", reversed(self._entries))
        return next((entry for entry in replies if entry.text or entry.partial), None)

    def _reply(self) -> _Entry:
        reply = self._open_reply()
        if reply is None:
            reply = _Entry("assistant", open=True)
            self._entries.append(reply)
        return reply

    def _open_reply(self) -> _Entry | None:
        return next(
            (entry for entry in reversed(self._entries) if entry.role == "assistant" and entry.open), None
        )


def text_played(text: str, played_ms: float, sound_ms: float) -> str:
    """Return the words of ``text`` that were heard when ``played_ms`` of its ``sound_ms`` were played.

    No vendor tells when each word is spoken, so speech is taken as even: the same part of the letters as of
    the sound, cut back to a word boundary, for a word that was broken off was not heard. Text and sound come
    interleaved, so the rule also holds while a reply is still arriving. OpenAI deletes the whole transcript
    of an item that is truncated (reference/providers.md, section 1, Interruption); this keeps what it had.
    A reply without sound was read, not heard, and stays whole.
    """
    if sound_ms <= 0 or played_ms >= sound_ms:
        return text
    end = int(len(text) * max(0.0, played_ms) / sound_ms)
    if end < len(text) and not text[end].isspace():
        end = max((at + 1 for at in range(end) if text[at].isspace()), default=0)
    return text[:end].rstrip()
