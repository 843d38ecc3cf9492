"""Turns what a session tells during one turn into items of a reply, in order: words as whole sentences."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from voxd.errors import ConnectionFailed, ProviderError, StreamError, VoxdError
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.contract import (
    ActionTaken,
    LatencyStep,
    ReplyAudio,
    ReplyItem,
    ReplyText,
    StepReached,
    Transcript,
)

_log = logging.getLogger(__name__)

MAX_WAITING_S = 600.0
"""Sound of a reply that waits to be played; more than this is dropped and counted."""

HARMLESS = frozenset({"transcription_failed", "bad_frame"})
"""Faults that a provider tells and that need not keep it from answering."""

_SPOKEN_OVER = ("turn_detected", "interrupted")

_SENTENCE_END = re.compile(r"[.!?…][\"')\]”’»]*\s+|[。！？]\s*|\n+")  # noqa: RUF001
_CLOSING = "\"')]”’» "  # noqa: RUF001
_QUESTION = ("?", "？", "؟")  # noqa: RUF001


class Sentences:
    """Gathers pieces of text into whole sentences."""

    def __init__(self) -> None:
        self.last = ""
        self._open = ""
        self._pieces = False

    def add(self, text: str, *, partial: bool) -> list[str]:
        """Return the sentences that ``text`` completes; one that is not partial stands for all its pieces."""
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
        """Return what has no end yet."""
        return self.add("", partial=False) if self._open else []

    @property
    def is_question(self) -> bool:
        """Whether the last sentence asks something."""
        return self.last.rstrip(_CLOSING).endswith(_QUESTION)


class ReplyStream:
    """The events of one turn. ``engine`` is who understood the words; ``sound`` False leaves the sound out.

    ``hears_ends`` is whether the vendor decides when the user has finished: then he may answer at any time,
    and give an answer up because the user goes on. ``acts`` says whether a tool does something.
    """

    def __init__(
        self,
        engine: str,
        *,
        sound: bool,
        hears_ends: bool,
        acts: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.sentences = Sentences()
        self.asked = hears_ends
        self.complete = False
        self.understood = False
        self.error: VoxdError | None = None
        self.dropped_chunks = 0
        self.waiting_since_s: float | None = None
        """When the provider's silence began (time of the loop); None while it need not answer."""
        self._engine = engine
        self._sound = sound
        self._hears_ends = hears_ends
        self._acts = acts
        self._items: deque[ReplyItem] = deque()
        self._waiting_s = 0.0
        self._changed = asyncio.Event()
        self._response_id: str | None = None
        self._begun = self._said = False
        self._calls = 0
        self._called = False

    @property
    def begun(self) -> bool:
        """Whether the provider began to answer."""
        return self._begun

    def spoken(self) -> None:
        """The user has finished: from now on he waits, whether or not the vendor knows it yet."""
        self._await()

    def ask(self) -> None:
        """The question is complete, and the vendor was told so."""
        self.asked = True
        self._await()

    def reached(self, step: LatencyStep, at_s: float) -> None:
        """Note ``step``."""
        self._put(StepReached(step, at_s))

    def fail(self, error: VoxdError) -> None:
        """There will be no (further) reply."""
        self.error = self.error or error
        self._changed.set()

    def pop(self) -> ReplyItem | None:
        """Return the next item, None while there is none."""
        if not self._items:
            self._changed.clear()
            return None
        item = self._items.popleft()
        if isinstance(item, ReplyAudio):
            self._waiting_s -= item.clip.duration_s
        return item

    async def changed(self) -> None:
        """Wait until `pop`, ``complete`` or ``error`` say something new."""
        await self._changed.wait()

    def take(self, type: str, data: dict[str, Any]) -> None:
        """Note one event of the session."""
        match type:
            case E.RESPONSE_STARTED if self.asked:
                self._begun, self._response_id = True, data.get("response_id")
                self.complete = False
            case E.TEXT_TRANSCRIPTION if not data.get("is_partial", False):
                self.understood = True
                self._put(Transcript(data["text"], True, self._engine))
            case E.TEXT_OUTPUT:
                self._words(self.sentences.add(data["text"], partial=data.get("is_partial", False)))
            case E.AUDIO_OUTPUT_CHUNK:
                self._chunk(Clip(data["audio_data"], int(data["sample_rate"])))
            case E.FUNCTION_CALL_INVOKED:
                self._calls += 1
                self._called = True
                self.waiting_since_s = None
                if self._acts(str(data["function_name"])):
                    self._put(ActionTaken())
            case E.FUNCTION_CALL_COMPLETED:
                self._calls -= 1
                self._expect()
            case E.RESPONSE_COMPLETED if self._is_ours(data):
                self._completed()
            case E.RESPONSE_CANCELLED if self._is_ours(data):
                self._cancelled(str(data.get("reason", "")))
            case E.CONNECTION_LOST | E.CONNECTION_CLOSED | E.ERROR_GENERAL:
                self._fault(type, data)

    def _cancelled(self, reason: str) -> None:
        goes_on = self._hears_ends and reason in _SPOKEN_OVER
        if not goes_on and reason != "connection_lost":  # which is told next, with its code
            self.fail(StreamError(f"the reply was broken off: {reason}"))

    def _fault(self, type: str, data: dict[str, Any]) -> None:
        code = str(data.get("code", ""))
        if type != E.ERROR_GENERAL:
            reason = str(data.get("reason", "")) or "closed"
            self.fail(ConnectionFailed(f"the session ended: {reason}", code=code))
        elif self.asked and not self.complete and code not in HARMLESS:
            message, hint = str(data.get("message", "")), str(data.get("hint", ""))
            self.fail(ProviderError(message, code=code, hint=hint))

    def _completed(self) -> None:
        self._words(self.sentences.rest())
        self._response_id, self._begun = None, False
        if self._called:
            # A response that calls tools is followed by the one that tells their results.
            self._called, self._said = False, True
            self._expect()
        elif self._said:
            self.complete = True
            self.waiting_since_s = None
            self._changed.set()
        else:
            self.fail(StreamError("the reply is empty"))

    def _words(self, sentences: list[str]) -> None:
        for sentence in sentences:
            self._say(ReplyText(sentence))

    def _chunk(self, clip: Clip) -> None:
        if not self._sound:
            self._said = True
            self._expect()
        elif self._waiting_s + clip.duration_s > MAX_WAITING_S:
            if not self.dropped_chunks:
                _log.warning("a reply is longer than %.0f s: the rest is dropped", MAX_WAITING_S)
            self.dropped_chunks += 1
        else:
            self._waiting_s += clip.duration_s
            self._say(ReplyAudio(clip))

    def _say(self, item: ReplyItem) -> None:
        self._said = True
        self._expect()
        self._put(item)

    def _expect(self) -> None:
        if self.asked and self._calls <= 0:
            self.waiting_since_s = asyncio.get_running_loop().time()
        self._changed.set()

    def _await(self) -> None:
        if self.waiting_since_s is None and self._calls <= 0 and not self.complete:
            self.waiting_since_s = asyncio.get_running_loop().time()
        self._changed.set()

    def _put(self, item: ReplyItem) -> None:
        self._items.append(item)
        self._changed.set()

    def _is_ours(self, data: dict[str, Any]) -> bool:
        return self._begun and data.get("response_id") in (None, self._response_id)
