"""What was said so far, as a model is told it: of the answers only what was heard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from voxd.providers.history import text_played
from voxd.providers.pipeline.stages.contract import ChatMessage, Completion, ToolCall

MAX_LINES = 256
"""Lines kept; no context is worth more of them, and whole exchanges go at once."""

USUAL_MS_PER_LETTER = 65.0
"""People speak about 15 letters a second."""

NOT_RUN = "not run: the user went on"
"""The result of a call whose answer never came: vendors refuse a call without one."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """A piece of an answer, with the space before it, and how long its sound is so far: 0 for writing.

    ``whole`` is whether all of its sound has come.
    """

    text: str
    sound_ms: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class SpokenAnswer:
    """What became of an answer: the clauses that were said, and what the model sent beside them."""

    spoken: list[SpokenPiece] = field(default_factory=list)
    calls: tuple[ToolCall, ...] = ()
    raw: Any = None
    raw_of: str = ""

    @property
    def text(self) -> str:
        """All its words."""
        return "".join(each.text for each in self.spoken)

    @property
    def sound_ms(self) -> float:
        """The length of all its sound."""
        return sum(each.sound_ms for each in self.spoken)

    def completed(self, end: Completion, vendor: str) -> None:
        """The model has finished; what it sent can be given back to ``vendor`` as it is."""
        self.calls, self.raw, self.raw_of = end.calls, end.raw, vendor

    def message(self) -> ChatMessage:
        """Return the line for the model."""
        return ChatMessage(
            "assistant", heard_of(self.spoken), calls=self.calls, raw=self.raw, raw_of=self.raw_of
        )


def heard_of(spoken: Sequence[SpokenPiece], played_ms: float = float("inf")) -> str:
    """Return the words that were heard when ``played_ms`` of the sound of ``spoken`` were played.

    Clauses are exact; one that was cut is taken as evenly spoken (`voxd.providers.history.text_played`), and
    one whose sound had not all come as about as long as the others make likely. Pieces without sound were
    read, and count as far as those around them.
    """
    whole = [clause for clause in spoken if clause.whole and clause.sound_ms]
    letters = sum(len(clause.text) for clause in whole)
    ms_per_letter = sum(clause.sound_ms for clause in whole) / letters if letters else USUAL_MS_PER_LETTER
    words, left_ms = "", played_ms
    for clause in spoken:
        if left_ms <= 0 and clause.sound_ms > 0:
            break
        all_ms = clause.sound_ms
        if all_ms and not clause.whole:
            all_ms = max(all_ms, len(clause.text) * ms_per_letter)
        words += text_played(clause.text, min(left_ms, clause.sound_ms), all_ms)
        left_ms -= clause.sound_ms
    return words.strip()


class ChatHistory:
    """The lines of one session, the oldest first."""

    def __init__(self) -> None:
        self.summary = ""
        """What was said before the first line, in short."""
        self._lines: list[ChatMessage] = []
        self._results: dict[str, ChatMessage] = {}
        self._last: SpokenAnswer | None = None

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """Return the lines with the result of every call right behind it, as vendors want it."""
        found: list[ChatMessage] = []
        for line in self._lines:
            found.append(line)
            found += [self._results.get(call.id) or _unanswered(call) for call in line.calls]
        return tuple(found)

    def add(self, role: str, text: str) -> None:
        """Add a line that was said before this session."""
        self._append(ChatMessage("user" if role == "user" else "assistant", text))

    def asked(self, text: str) -> None:
        """The user said ``text``."""
        self._append(ChatMessage("user", text))

    def answered(self, answer: SpokenAnswer) -> None:
        """The assistant said ``answer``, or as much of it as there is."""
        if answer.spoken or answer.calls:
            self._append(answer.message())
            self._last = answer

    def result(self, call_id: str, output: str, *, ok: bool = True) -> None:
        """A tool came to ``output``; for a call nobody made it is dropped."""
        call = next((call for line in self._lines for call in line.calls if call.id == call_id), None)
        if call is not None:
            self._results[call_id] = ChatMessage("tool", output, call_id=call_id, tool=call.name, ok=ok)

    def heard(self, played_ms: float) -> None:
        """Only ``played_ms`` of the last answer were heard; once another line follows it is not cut."""
        answer = self._last
        if answer is None or not self._lines or played_ms >= answer.sound_ms:
            return
        # A signed thought belongs to the whole answer: what is left of it is text like any other.
        text = heard_of(answer.spoken, max(played_ms, 0.0))
        at = len(self._lines) - 1
        if text or answer.calls:
            self._lines[at] = replace(self._lines[at], text=text, raw=None, raw_of="")
        else:
            del self._lines[at]
        self._last = None

    def shorten(self, messages: int, summary: str) -> None:
        """The oldest ``messages`` (as `messages` counts) are now told by ``summary``."""
        while messages > 0 and self._lines:
            line = self._lines.pop(0)
            messages -= 1 + len(line.calls)
            self._forget_results(line)
        self.summary = summary

    def _append(self, message: ChatMessage) -> None:
        self._lines.append(message)
        self._last = None
        if len(self._lines) > MAX_LINES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._forget_results(self._lines.pop(0))
        while self._lines and self._lines[0].role != "user":
            self._forget_results(self._lines.pop(0))

    def _forget_results(self, line: ChatMessage) -> None:
        for call in line.calls:
            self._results.pop(call.id, None)


def for_vendor(messages: Sequence[ChatMessage], vendor: str) -> tuple[ChatMessage, ...]:
    """Return ``messages`` with what other vendors sent for themselves taken out."""
    return tuple(
        message if message.raw is None or message.raw_of == vendor else replace(message, raw=None, raw_of="")
        for message in messages
    )


def instructed(instructions: str, summary: str) -> str:
    """Return the instructions, and what was said before the lines that are still known."""
    return f"{instructions}\n\nWhat was said before, in short: {summary}".strip() if summary else instructions


def arguments_of(call: ToolCall) -> Mapping[str, Any] | str:
    """Return the object the model wrote, or its text when that is none: the tool box answers for it."""
    try:
        return msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return call.arguments


def _unanswered(call: ToolCall) -> ChatMessage:
    return ChatMessage("tool", NOT_RUN, call_id=call.id, tool=call.name, ok=False)
