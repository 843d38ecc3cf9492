"""The rule for every response of every vendor: it ends once, in time, with one of a few outcomes.

Those are: answered, cancelled, failed with a code. Vendors, local servers and third parties break it in many
ways: an end that never comes, or comes twice; a response that is complete and says nothing; output before the
beginning or after the end. `ResponseGuard` takes what a provider reports and the time, and returns what the
conversation is to see. It does no I/O.
"""

from collections import deque
from dataclasses import dataclass

import msgspec

from voxd.errors import NoAnswer
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    ProviderEvent,
    ReplyInterrupted,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
    ToolCallInvoked,
)

LONGEST_ANSWER_S = 30.0
"""A response that was requested has to begin within this time."""

STALL_LIMIT_S = 15.0
"""The longest silence in the middle of a response, counted from the last sound that the user hears."""

END_LIMIT_S = 3.0
"""How long the end of a response that is whole may be missing after its last sound; then it is answered."""

CUT_LIMIT_S = 2.0
"""How long a response may last after it was interrupted."""

RECENT = 64
"""Responses that are over and remembered, to recognise what arrives late."""

HARMLESS = frozenset({"transcription_failed", "bad_frame"})
"""Errors that do not keep a provider from answering."""

TOOL_CALLS = "tool_calls"
"""The reason of a completed response that calls tools: another one follows."""

NO_END = "no_end"
"""The reason of a response that was whole, and whose end did not come."""

# Reasons of a completed response, as the vendors name them, that explain why it has nothing to say.
_WHY_EMPTY = {
    "content_filter": "answer_filtered",
    "refusal": "answer_filtered",
    "safety": "answer_filtered",
    "max_output_tokens": "answer_cut_off",
    "max_tokens": "answer_cut_off",
    "length": "answer_cut_off",
}
_MESSAGES = {
    "empty_answer": "the response is empty",
    "answer_filtered": "the vendor withheld its response",
    "answer_cut_off": "the limit of output tokens was reached before the first word",
}
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "؟", "।")  # noqa: RUF001
_CLOSING = "\"')]”’»*` \n\t"  # noqa: RUF001

_Output = TextOutput | AudioOutputStarted | AudioOutputChunk | AudioOutputStopped
_End = ResponseCompleted | ResponseCancelled


@dataclass(slots=True)
class _Response:
    """The response in progress. ``said``: words or sound came; ``called``: it waits for results of tools."""

    id: str | None
    last_s: float
    said: bool = False
    called: bool = False
    has_results: bool = False
    cut: bool = False
    # The vendor has marked the end of the words or of the sound.
    marked: bool = False
    words: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing seems to be missing but the end."""
        is_sentence = self.words.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)
        return self.said and not self.called and (self.marked or is_sentence)


class ResponseGuard:
    """The response in progress and the one that is due. Times are of one monotonic clock, in seconds.

    After every call `deadline_s` says when `expire` has to be called; None: nothing is due.
    """

    def __init__(self) -> None:
        self.late_events = 0
        self._open: _Response | None = None
        self._ended: deque[str] = deque(maxlen=RECENT)
        # When a response was requested; None when none is due.
        self._asked_s: float | None = None
        # The user waits for it: its absence is an error. A vendor that detects turns may also hear a cough.
        self._owed = False
        # When the user will have heard all sound so far, if it is played as it arrives.
        self._heard_s = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the response in progress lacks nothing but its end, which `deadline_s` bounds."""
        return self._open is not None and self._open.is_whole

    @property
    def is_open(self) -> bool:
        """Whether a response is in progress."""
        return self._open is not None

    @property
    def deadline_s(self) -> float | None:
        """When the response in progress, or the beginning of the one that is due, is too late."""
        response = self._open
        if response is None:
            return None if self._asked_s is None else self._asked_s + LONGEST_ANSWER_S
        if response.cut:
            return response.last_s + CUT_LIMIT_S
        limit_s = END_LIMIT_S if response.is_whole else STALL_LIMIT_S
        return max(response.last_s, self._heard_s) + limit_s

    def is_awaiting(self, now_s: float) -> bool:
        """Whether a response is due that has not begun."""
        return self._asked_s is not None and now_s < self._asked_s + LONGEST_ANSWER_S

    def ask(self, now_s: float, *, owed: bool) -> None:
        """Note that a response is due; ``owed``: that it does not come is an error."""
        self._asked_s, self._owed = now_s, owed or (self._owed and self._asked_s is not None)

    def withdraw(self) -> None:
        """Note that no response is due any more."""
        self._asked_s, self._owed = None, False

    def results_sent(self, now_s: float) -> None:
        """Note that every tool has its result: what the same response says from now on is its answer."""
        if self._open is not None:
            self._open.last_s, self._open.has_results = now_s, True

    def interrupt(self, now_s: float) -> None:
        """Note that the response in progress is cut and none is due any more."""
        self.withdraw()
        if self._open is not None and not self._open.cut:
            self._open.cut, self._open.last_s = True, now_s
        self._heard_s = now_s

    def drop(self) -> None:
        """Forget everything: the provider is gone."""
        self.withdraw()
        self._open = None
        self._heard_s = 0.0

    def take(self, event: ProviderEvent, now_s: float) -> list[ProviderEvent]:
        """Return what the conversation is to see of ``event``: nothing, itself, or more."""
        match event:
            case ResponseStarted():
                return self._started(event, now_s)
            case ResponseCompleted() | ResponseCancelled():
                return self._ends(event, now_s)
            case TextOutput() | AudioOutputStarted() | AudioOutputChunk() | AudioOutputStopped():
                return self._output(event, now_s)
            case ToolCallInvoked() if self._open is not None:
                self._open.called, self._open.last_s = True, now_s
            case ReplyInterrupted():
                self.interrupt(now_s)
            case ErrorOccurred() if event.code not in HARMLESS:
                # The user learns of it now: that no response follows is not a second error.
                self._owed = False
        return [event]

    def expire(self, now_s: float) -> list[ProviderEvent]:
        """Return the end of what is overdue at ``now_s``; nothing before `deadline_s`."""
        if self.deadline_s is None or now_s < self.deadline_s:
            return []
        response, self._open = self._open, None
        if response is None:
            owed = self._owed
            self.withdraw()
            message = f"no response began within {LONGEST_ANSWER_S:g} s"
            return [ErrorOccurred("timeout", message)] if owed else []
        self._close(response, now_s)
        if response.cut:
            return [ResponseCancelled(response.id, "client_cancelled")]
        if response.is_whole:
            return [ResponseCompleted(response.id, reason=NO_END)]
        error = ErrorOccurred("timeout", f"nothing more of the response came for {STALL_LIMIT_S:g} s")
        return [error, ResponseCancelled(response.id, "timeout")]

    def _started(self, event: ResponseStarted, now_s: float) -> list[ProviderEvent]:
        before = self._open
        is_same = before is not None and event.response_id in (None, before.id)
        if before is not None and is_same and not before.cut and self._asked_s is None:
            # Reported twice, or after its first output.
            return []
        found: list[ProviderEvent] = []
        if before is not None:
            self._close(before, now_s)
            is_answer = before.said and not before.cut
            found.append(
                ResponseCompleted(before.id, reason=TOOL_CALLS if before.called else NO_END)
                if is_answer or before.called
                else ResponseCancelled(before.id, "superseded")
            )
        return [*found, self._begin(event.response_id, now_s)]

    def _begin(self, response_id: str | None, now_s: float) -> ResponseStarted:
        self._open = _Response(response_id, now_s)
        if response_id is not None and response_id in self._ended:
            # A third party may use an id again.
            self._ended.remove(response_id)
        self.withdraw()
        return ResponseStarted(response_id)

    def _output(self, event: _Output, now_s: float) -> list[ProviderEvent]:
        response, found = self._open, list[ProviderEvent]()
        if response is None or (event.response_id != response.id and event.response_id in self._ended):
            # A third party need not number its responses; of one response at a time all output is its own.
            is_late = event.response_id in self._ended or (
                event.response_id is None and self._asked_s is None
            )
            if is_late or isinstance(event, AudioOutputStopped):
                return self._late(event)
            found.append(self._begin(event.response_id, now_s))
            response = self._open
        assert response is not None
        if event.response_id not in (None, response.id):
            event = msgspec.structs.replace(event, response_id=response.id)
        self._note(response, event, now_s)
        return [*found, event]

    def _note(self, response: _Response, event: _Output, now_s: float) -> None:
        if not response.cut:
            response.last_s = now_s
        match event:
            case AudioOutputChunk() if event.audio_data:
                response.said, response.marked = True, False
                response.called = response.called and not response.has_results
                self._heard_s = max(self._heard_s, now_s) + event.duration_ms / 1000
            case TextOutput() if event.text.strip():
                response.said = True
                response.called = response.called and not response.has_results
                response.words = event.text if not event.is_partial else (response.words + event.text)[-80:]
                response.marked = response.marked or not event.is_partial
            case AudioOutputStarted():
                response.marked = False
            case AudioOutputStopped():
                response.marked = True

    def _late(self, event: _Output) -> list[ProviderEvent]:
        # Words complete the transcript of what was heard; sound would be heard out of place.
        if isinstance(event, TextOutput):
            return [event]
        self.late_events += 1
        return []

    def _ends(self, event: _End, now_s: float) -> list[ProviderEvent]:
        response, found = self._open, list[ProviderEvent]()
        if response is None:
            if event.response_id in self._ended or self._asked_s is None:
                return []
            # It began and ended in one, as a refused one does.
            found.append(self._begin(event.response_id, now_s))
            response = self._open
        assert response is not None
        if None not in (event.response_id, response.id) and event.response_id != response.id:
            return []
        if event.response_id != response.id:
            event = msgspec.structs.replace(event, response_id=response.id)
        self._close(response, now_s)
        if isinstance(event, ResponseCancelled) or response.cut:
            return [*found, event]
        if response.called:
            return [*found, msgspec.structs.replace(event, reason=TOOL_CALLS)]
        if response.said:
            return [*found, event]
        code = _WHY_EMPTY.get(event.reason.lower(), NoAnswer.code)
        error = ErrorOccurred.of(NoAnswer(_MESSAGES[code], code=code))
        return [*found, error, ResponseCancelled(response.id, code)]

    def _close(self, response: _Response, now_s: float) -> None:
        self._open = None
        if response.id is not None:
            self._ended.append(response.id)
        if self._asked_s is not None:
            # The next one could not begin before.
            self._asked_s = max(now_s, self._heard_s)
