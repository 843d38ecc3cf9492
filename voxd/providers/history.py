"""Keeps a conversation as text, so that another session, or another vendor, can continue it."""

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant"]

MAX_ENTRIES = 64
"""Messages kept; the oldest is dropped. Every new session pays for the tokens of all of them."""


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One message of the conversation."""

    role: Role
    text: str


@dataclass(slots=True, eq=False)
class _Entry:
    role: Role
    text: str = ""
    partial: str = ""
    sound_ms: float = 0.0
    played_ms: float | None = None
    open: bool = False

    @property
    def words(self) -> str:
        words = f"{self.text} {self.partial}".strip() if self.partial else self.text.strip()
        return words if self.played_ms is None else text_played(words, self.played_ms, self.sound_ms)


class ConversationHistory:
    """The messages in order, and of the replies only what was played.

    The transcript of a spoken question comes late, often after the reply has begun: `expect_user` keeps its
    place.
    """

    def __init__(self, *, limit: int = MAX_ENTRIES) -> None:
        self._entries: deque[_Entry] = deque(maxlen=limit)

    @property
    def messages(self) -> tuple[HistoryMessage, ...]:
        """The messages known so far, the oldest first."""
        return tuple(HistoryMessage(entry.role, entry.words) for entry in self._entries if entry.words)

    def add_transcript(self, text: str) -> None:
        """Add the user's words where `expect_user` kept a place, else before a reply in progress."""
        place = next((entry for entry in self._entries if entry.role == "user" and entry.open), None)
        if place is not None:
            place.text, place.open = text, False
            return
        reply = self._open_reply()
        entry = _Entry("user", text)
        # `deque.insert` raises IndexError when the deque is full; `append` drops the oldest entry instead.
        if reply is None or len(self._entries) == self._entries.maxlen:
            self._entries.append(entry)
        else:
            self._entries.insert(self._entries.index(reply), entry)

    def expect_user(self) -> None:
        """Keep a place for a question whose transcript comes later. Only the last such place is kept."""
        self.expect_nothing()
        self._entries.append(_Entry("user", open=True))

    def expect_nothing(self) -> None:
        """Drop the place: no transcript will come."""
        for entry in [entry for entry in self._entries if entry.role == "user" and entry.open]:
            self._entries.remove(entry)

    def reply_begins(self) -> None:
        """Begin a reply of the assistant."""
        self.reply_ends()
        self._entries.append(_Entry("assistant", open=True))

    def reply_text(self, text: str, *, whole: bool, late: bool = False) -> None:
        """Add a piece of the reply's text; the ``whole`` stands for the pieces since the last whole.

        ``late``: it belongs to the last reply, which has ended.
        """
        replies = (each for each in reversed(self._entries) if late and each.role == "assistant")
        entry = next(replies, None) or self._reply()
        if whole:
            entry.text, entry.partial = f"{entry.text} {text}".strip(), ""
        else:
            entry.partial += text

    def reply_sound(self, duration_ms: float) -> None:
        """Add ``duration_ms`` of the reply's audio."""
        self._reply().sound_ms += duration_ms

    def reply_ends(self) -> None:
        """End the reply; how much of it is played may still change."""
        reply = self._open_reply()
        if reply is not None:
            reply.open = False

    def truncate(self, played_ms: float | None) -> bool:
        """Keep the first ``played_ms`` of the last reply (None: all); True if that is less than before."""
        self.reply_ends()
        # A reply that only called tools has no words and is skipped: the one before may still be playing.
        # After the user's next question the reply before it stays whole.
        replies = itertools.takewhile(lambda entry: entry.role == "assistant", reversed(self._entries))
        reply = next((entry for entry in replies if entry.text or entry.partial or entry.sound_ms), None)
        if reply is None or played_ms is None:
            return False
        if played_ms >= (reply.sound_ms if reply.played_ms is None else reply.played_ms):
            return False
        reply.played_ms = max(played_ms, 0.0)
        return True

    def add(self, role: Role, text: str) -> None:
        """Add a complete message at the end."""
        self._entries.append(_Entry(role, text))

    def clear(self) -> None:
        """Drop every message."""
        self._entries.clear()

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
    """Return the words of ``text`` that were spoken when ``played_ms`` of its ``sound_ms`` were played.

    OpenAI's ``conversation.item.truncate`` deletes the whole transcript of the item on the server; here the
    part that was played is kept.
    """
    # A reply without audio was read, and stays whole.
    if sound_ms <= 0 or played_ms >= sound_ms:
        return text
    # No vendor reports the time of each word, so speech is assumed to be even: the same share of the letters
    # as of the audio. Text and audio arrive interleaved, so this also holds while a reply is still arriving.
    end = int(len(text) * max(0.0, played_ms) / sound_ms)
    # Back to a word boundary: a word that was broken off was not understood.
    if end < len(text) and not text[end].isspace():
        end = max((at + 1 for at in range(end) if text[at].isspace()), default=0)
    return text[:end].rstrip()
