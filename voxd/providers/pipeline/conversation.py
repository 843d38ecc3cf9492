"""The conversation of one session as messages for a model; answers contain only what was played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from voxd.providers.arguments import read_arguments
from voxd.providers.history import text_played
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, ToolCall
from voxd.providers.pipeline.stages.tool_calls import new_id

MAX_MESSAGES = 256
"""Messages kept; beyond them the oldest exchange is removed as a whole."""

DEFAULT_MS_PER_LETTER = 65.0
"""Speech has about 15 letters a second."""

NOT_RUN = "not run: the user went on"
"""The result of a call that never got one: vendors refuse a call without a result."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """A piece of an answer with the space before it, and the length of its audio so far (0 for text only).

    ``whole``: all of its audio has arrived.
    """

    text: str
    sound_ms: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class SpokenAnswer:
    """An answer as it was spoken, with the calls and the vendor's own data of the model."""

    spoken: list[SpokenPiece] = field(default_factory=list)
    calls: tuple[ToolCall, ...] = ()
    raw: Any = None
    raw_of: str = ""

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(each.text for each in self.spoken)

    @property
    def sound_ms(self) -> float:
        """The length of the whole audio."""
        return sum(each.sound_ms for each in self.spoken)

    def complete(self, completion: Completion, provider: str) -> None:
        """Take the end of the model's answer; its raw data goes back to ``provider`` only."""
        self.calls, self.raw, self.raw_of = completion.calls, completion.raw, provider

    def message(self) -> ChatMessage:
        """Return the message for a model."""
        text = played_text(self.spoken)
        return ChatMessage("assistant", text, calls=self.calls, raw=self.raw, raw_of=self.raw_of)


def played_text(pieces: Sequence[SpokenPiece], played_ms: float = float("inf")) -> str:
    """Return the words of ``pieces`` that were audible after ``played_ms`` of their audio.

    Clauses are exact; a clause that was cut is split evenly (`voxd.providers.history.text_played`).
    """
    # Voices and languages differ in speed, so it is measured by the clauses that have arrived whole.
    whole = [piece for piece in pieces if piece.whole and piece.sound_ms]
    letters = sum(len(piece.text) for piece in whole)
    ms_per_letter = sum(piece.sound_ms for piece in whole) / letters if letters else DEFAULT_MS_PER_LETTER
    words, left_ms = "", played_ms
    for piece in pieces:
        # A piece without audio counts as far as those around it.
        if left_ms <= 0 and piece.sound_ms > 0:
            break
        length_ms = piece.sound_ms
        # Only a part of its audio has arrived, but all of its text.
        if length_ms and not piece.whole:
            length_ms = max(length_ms, len(piece.text) * ms_per_letter)
        words += text_played(piece.text, min(left_ms, piece.sound_ms), length_ms)
        left_ms -= piece.sound_ms
    return words.strip()


class ChatHistory:
    """The messages of one session, the oldest first."""

    def __init__(self) -> None:
        self.summary = ""
        """A summary of what preceded the first message."""
        self._messages: list[ChatMessage] = []
        # Apart from the messages: a result may arrive after the next question, but has its place behind the
        # call.
        self._results: dict[str, ChatMessage] = {}
        self._last: SpokenAnswer | None = None

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """The messages; the result of every call directly follows it, as vendors require."""
        found: list[ChatMessage] = []
        for message in self._messages:
            found.append(message)
            for call in message.calls:
                missing = ChatMessage("tool", NOT_RUN, call_id=call.id, tool=call.name, ok=False)
                found.append(self._results.get(call.id, missing))
        return tuple(found)

    def add(self, role: str, text: str) -> None:
        """Add a message of an earlier session."""
        self._append(ChatMessage("user" if role == "user" else "assistant", text))

    def add_question(self, text: str) -> None:
        """Add a question of the user."""
        self._append(ChatMessage("user", text))

    def with_new_ids(self, calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
        """Return ``calls`` with another id for each that an earlier call of the session has."""
        # Local servers begin to count again in every reply; the results would get mixed up.
        used = {call.id for message in self._messages for call in message.calls}
        return tuple(replace(call, id=new_id()) if call.id in used else call for call in calls)

    def add_answer(self, answer: SpokenAnswer) -> None:
        """Add an answer, or as much of it as was spoken."""
        # An answer of which nothing was audible did not happen for the user.
        if answer.spoken or answer.calls:
            self._append(answer.message())
            self._last = answer

    def add_result(self, call_id: str, output: str, *, ok: bool = True) -> None:
        """Add the result of a tool; one for an unknown call is dropped."""
        call = next(
            (call for message in self._messages for call in message.calls if call.id == call_id), None
        )
        if call is not None:
            self._results[call_id] = ChatMessage("tool", output, call_id=call_id, tool=call.name, ok=ok)

    def truncate(self, played_ms: float) -> None:
        """Cut the last answer to ``played_ms`` of its audio, unless another message follows it."""
        answer = self._last
        if answer is None or not self._messages or played_ms >= answer.sound_ms:
            return
        text = played_text(answer.spoken, max(played_ms, 0.0))
        at = len(self._messages) - 1
        if text or answer.calls:
            # Raw data, such as signed reasoning, belongs to the whole answer. It stays with calls only, which
            # the vendor would refuse without it.
            cut = replace(self._messages[at], text=text)
            self._messages[at] = cut if answer.calls else replace(cut, raw=None, raw_of="")
        else:
            del self._messages[at]
        self._last = None

    def replace_oldest(self, count: int, summary: str) -> None:
        """Replace the oldest ``count`` of `messages` by ``summary``."""
        while count > 0 and self._messages:
            # Each call has its result in `messages`, but not in the list.
            count -= 1 + len(self._remove_oldest().calls)
        self.summary = summary

    def _append(self, message: ChatMessage) -> None:
        self._messages.append(message)
        self._last = None
        if len(self._messages) > MAX_MESSAGES:
            # What remains begins with a question, not with the answer to one that was removed.
            self._remove_oldest()
            while self._messages and self._messages[0].role != "user":
                self._remove_oldest()

    def _remove_oldest(self) -> ChatMessage:
        message = self._messages.pop(0)
        for call in message.calls:
            self._results.pop(call.id, None)
        return message


def add_summary(instructions: str, summary: str) -> str:
    """Return ``instructions`` with the summary of the earlier conversation."""
    return f"{instructions}\n\nWhat was said before, in short: {summary}".strip() if summary else instructions


def call_arguments(call: ToolCall) -> Mapping[str, Any] | str:
    """Return the arguments as an object, or as text when they are invalid: the tool box reports that."""
    return read_arguments(call.arguments)
