"""Turns a session's events of one turn into items of a reply, in order: words as whole sentences."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable

from voxd.errors import NO_ANSWER_CODES, ConnectionFailed, NoAnswer, ProviderError, StreamError, VoxdError
from voxd.frames import Clip
from voxd.providers import events
from voxd.providers.contract import (
    ActionTaken,
    LatencyStep,
    ReplyAudio,
    ReplyItem,
    ReplyText,
    StepReached,
    Transcript,
)
from voxd.providers.realtime.response_guard import HARMLESS, TOOL_CALLS

_log = logging.getLogger(__name__)

MAX_WAITING_S = 600.0
"""Audio of a reply that waits to be played; more than this is dropped and counted."""

# Reasons of a cancelled response that mean: the user continued to speak.
_SPOKEN_OVER = ("turn_detected", "interrupted")

_SENTENCE_END = re.compile(r"[.!?…][\"')\]”’»]*\s+|[。！？]\s*|\n+")  # noqa: RUF001
_CLOSING = "\"')]”’» "  # noqa: RUF001
_QUESTION = ("?", "？", "؟")  # noqa: RUF001


class Sentences:
    """Joins pieces of text into whole sentences."""

    def __init__(self) -> None:
        self.last = ""
        self._open = ""
        self._pieces = False

    def add(self, text: str, *, partial: bool) -> list[str]:
        """Return the sentences that ``text`` completes; a text that is not partial repeats all its pieces."""
        if partial:
            self._pieces = True
            self._open += text
        elif not self._pieces:
            self._open += text
        ends = [match.end() for match in _SENTENCE_END.finditer(self._open)]
        if not partial:
            self._pieces = False
            ends.append(len(self._open))
        whole = [self._open[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)]
        self._open = self._open[ends[-1] :] if ends else self._open
        found = [sentence for sentence in whole if sentence]
        self.last = found[-1] if found else self.last
        return found

    def rest(self) -> list[str]:
        """Return the incomplete sentence, if any."""
        return self.add("", partial=False) if self._open else []

    @property
    def is_question(self) -> bool:
        """Whether the last sentence is a question."""
        return self.last.rstrip(_CLOSING).endswith(_QUESTION)


class ReplyStream:
    """The events of one turn as items. ``engine`` names what transcribed the question.

    ``sound`` False leaves the audio out. ``detects_ends``: the vendor decides when the user has finished; it
    may then answer at any time, and cancel its response because the user goes on. ``acts`` is whether a tool
    has effects.
    """

    def __init__(
        self,
        engine: str,
        *,
        sound: bool,
        detects_ends: bool,
        acts: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.sentences = Sentences()
        self.question_sent = detects_ends
        self.complete = False
        self.understood = False
        self.error: VoxdError | None = None
        self.dropped_chunks = 0
        self.has_sound = False
        """Whether audio of the reply has come."""
        self.heard_s = 0.0
        """When all audio so far will have been heard, if it is played as it arrives (time of the loop)."""
        self.waiting_since_s: float | None = None
        """When the silence that the user hears began (time of the loop); None while no reply is due."""
        self._engine = engine
        self._sound = sound
        self._detects_ends = detects_ends
        self._acts = acts
        self._items: deque[ReplyItem] = deque()
        self._waiting_s = 0.0
        self._changed = asyncio.Event()
        self._response_id: str | None = None
        self._last_id: str | None = None
        # ``_said``: some of the reply has come, so its end is not an empty reply.
        self._begun = self._said = False
        self._calls = 0
        self._called = False

    @property
    def lacks_words(self) -> bool:
        """Whether audio has come without a word, which some vendors send later."""
        return self.has_sound and not self.sentences.last

    def speech_ended(self) -> None:
        """Note that the user has finished.

        The wait for the reply begins now, even if the vendor detects the end later.
        """
        self._expect_reply()

    def ask(self) -> None:
        """Note that the whole question was sent."""
        self.question_sent = True
        self._expect_reply()

    def reach(self, step: LatencyStep, at_s: float) -> None:
        """Note that ``step`` was reached."""
        self._put(StepReached(step, at_s))

    def fail(self, error: VoxdError) -> None:
        """End the reply with ``error``; a later error is ignored."""
        self.error = self.error or error
        self._changed.set()

    def pop(self) -> ReplyItem | None:
        """Return the next item, None while the queue is empty."""
        if not self._items:
            self._changed.clear()
            return None
        item = self._items.popleft()
        if isinstance(item, ReplyAudio):
            self._waiting_s -= item.clip.duration_s
        return item

    async def changed(self) -> None:
        """Wait until `pop`, ``complete`` or ``error`` have something new."""
        await self._changed.wait()

    def take(self, event: events.ProviderEvent) -> None:
        """Note one event of the session."""
        match event:
            case events.ResponseStarted() if self.question_sent:
                self._begun, self._response_id = True, event.response_id
                self.complete = False
            case events.TextTranscription(is_partial=False):
                self.understood = True
                self._put(Transcript(event.text, True, self._engine))
            # Output of an earlier response that is still arriving is not part of this reply.
            case events.TextOutput() if self._is_ours(event.response_id) or self._is_late(event):
                self._add_words(self.sentences.add(event.text, partial=event.is_partial))
            case events.AudioOutputChunk() if self._is_ours(event.response_id):
                self._add_audio(Clip(event.audio_data, event.sample_rate))
            case events.ToolCallInvoked():
                self._calls += 1
                # A third party may report the calls of a response after its completion.
                self._called, self.complete = self._called or self._begun, False
                self.waiting_since_s = None
                if self._acts(event.function_name):
                    self._put(ActionTaken())
            case events.ToolCallsStopped():
                # The calls are not run; a response without tools follows.
                self._called = True
            case events.ToolCallCompleted():
                self._calls -= 1
                self._restart_wait()
            case events.ResponseCompleted() if self._is_ours(event.response_id):
                self._complete_response(event.reason)
            case events.ResponseCancelled() if self._is_ours(event.response_id):
                goes_on = self._detects_ends and event.reason in _SPOKEN_OVER
                # A lost connection is reported next, with its code.
                if not goes_on and event.reason != "connection_lost":
                    self.fail(StreamError(f"the reply was broken off: {event.reason}"))
            case events.ConnectionLost():
                self.fail(ConnectionFailed(f"the session ended: {event.reason or 'closed'}", code=event.code))
            case events.ConnectionClosed():
                self.fail(ConnectionFailed(f"the session ended: {event.reason or 'closed'}"))
            case events.ErrorOccurred() if event.code not in HARMLESS:
                if self.question_sent and not self.complete:
                    kind = NoAnswer if event.code in NO_ANSWER_CODES else ProviderError
                    self.fail(kind(event.message, code=event.code, hint=event.hint))

    def _complete_response(self, reason: str) -> None:
        self._add_words(self.sentences.rest())
        self._last_id, self._response_id, self._begun = self._response_id, None, False
        if self._called or reason == TOOL_CALLS:
            # A response that calls tools is followed by one that uses their results.
            self._called = False
            self._restart_wait()
        elif self._said:
            self.complete = True
            self.waiting_since_s = None
            self._changed.set()
        else:
            self.fail(NoAnswer("the reply is empty"))

    def _add_words(self, sentences: list[str]) -> None:
        for sentence in sentences:
            self._say(ReplyText(sentence))

    def _add_audio(self, clip: Clip) -> None:
        if not self._sound:
            self._said = True
            self._restart_wait()
        elif self._waiting_s + clip.duration_s > MAX_WAITING_S:
            if not self.dropped_chunks:
                _log.warning("a reply is longer than %.0f s: the rest is dropped", MAX_WAITING_S)
            self.dropped_chunks += 1
        else:
            self._waiting_s += clip.duration_s
            self.has_sound = True
            self.heard_s = max(self.heard_s, asyncio.get_running_loop().time()) + clip.duration_s
            self._say(ReplyAudio(clip))

    def _say(self, item: ReplyItem) -> None:
        self._said = True
        self._restart_wait()
        self._put(item)

    def _restart_wait(self) -> None:
        if self.question_sent and self._calls <= 0:
            # Vendors send audio faster than it is played: no silence before it is over.
            self.waiting_since_s = max(asyncio.get_running_loop().time(), self.heard_s)
        self._changed.set()

    def _expect_reply(self) -> None:
        if self.waiting_since_s is None and self._calls <= 0 and not self.complete:
            self.waiting_since_s = asyncio.get_running_loop().time()
        self._changed.set()

    def _put(self, item: ReplyItem) -> None:
        self._items.append(item)
        self._changed.set()

    def _is_late(self, words: events.TextOutput) -> bool:
        # Of the response that is complete, whose words may come after its audio.
        return self.complete and words.response_id is not None and words.response_id == self._last_id

    def _is_ours(self, response_id: str | None) -> bool:
        # A third party need not number its responses.
        return self._begun and (None in (response_id, self._response_id) or response_id == self._response_id)
