"""Follows a conversation through a provider's events: what is under way, what is late, what is kept."""

from collections import deque

from voxd.events import EventType as E
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers.base import ProviderEvent
from voxd.providers.history import ConversationHistory

CUT_REPLIES = 16
"""So many interrupted replies are recognised when more of them arrives."""

_OUTPUT = (E.TEXT_OUTPUT, E.AUDIO_OUTPUT_STARTED, E.AUDIO_OUTPUT_CHUNK, E.AUDIO_OUTPUT_STOPPED)

SESSION_EVENTS = frozenset(
    {
        E.CONNECTION_STARTING,
        E.CONNECTION_ESTABLISHED,
        E.CONNECTION_FAILED,
        E.CONNECTION_CLOSED,
        E.TEXT_INPUT,
        E.FUNCTION_CALL_COMPLETED,
        E.CONVERSATION_STARTED,
        E.CONVERSATION_ENDED,
    }
)
"""What the session says itself, for every provider alike; a provider that says it too is not repeated."""

REPLY_STARTS = (E.RESPONSE_STARTED, E.TEXT_OUTPUT, E.AUDIO_OUTPUT_CHUNK)
"""What shows that a reply has begun."""


class ResponseTracker:
    """The state of the conversation. It holds no provider and survives every change of one."""

    def __init__(self) -> None:
        self.history = ConversationHistory()
        self.responding = False
        self.speaking = False
        self.response_id: str | None = None
        self.turns = 0
        self.late_events = 0
        self._interrupted = False
        self._silenced = False
        self._cut: deque[str] = deque(maxlen=CUT_REPLIES)

    def take(self, event: ProviderEvent) -> bool:
        """Note ``event``; False when it is late, part of a reply that was given up, and to be dropped."""
        if event.type in _OUTPUT and self._is_late(event):
            self.late_events += 1
            return False
        match event.type:
            case E.RESPONSE_STARTED:
                self._begin(event.data.get("response_id"))
            case E.RESPONSE_COMPLETED | E.RESPONSE_CANCELLED:
                if event.data.get("response_id") in (None, self.response_id):
                    self.responding = False
                    self.history.reply_ends()
            case E.TEXT_OUTPUT:
                whole = not event.data.get("is_partial", False)
                self.history.reply_text(event.data["text"], whole=whole)
            case E.AUDIO_OUTPUT_CHUNK:
                self.history.reply_sound(sound_ms(event))
            case E.TEXT_TRANSCRIPTION if not event.data.get("is_partial", False):
                self.history.user(event.data["text"])
            case E.CONVERSATION_TURN_DETECTED:
                self.speaking = bool(event.data.get("speaking"))
                if not self.speaking:
                    self.asked()
            case E.CONVERSATION_INTERRUPTED:
                self._give_up()
        return True

    def asked(self, text: str | None = None) -> None:
        """The user asked: ``text``, or something spoken that will be known later."""
        self._silenced = False
        self.turns += 1
        if text is None:
            self.history.expect_user()
        else:
            self.history.reply_ends()
            self.history.add("user", text)

    def not_asked(self) -> None:
        """The spoken question came to nothing."""
        self.turns -= 1
        self.history.expect_nothing()

    def interrupt(self, played_ms: float | None) -> bool:
        """Keep of the last reply what was heard; True when this cut it short for the first time."""
        cut = self.history.heard(played_ms) or self.responding
        first = not self._interrupted
        self._give_up()
        return cut and first

    def broken(self) -> bool:
        """The provider is gone; returns whether a reply was under way."""
        responding, self.responding, self.speaking = self.responding, False, False
        self.history.reply_ends()
        return responding

    def _begin(self, response_id: str | None) -> None:
        self.responding = True
        self.response_id = response_id
        self._interrupted = self._silenced = False
        self.history.reply_begins()

    def _give_up(self) -> None:
        self._interrupted = self._silenced = True
        if self.response_id is not None and self.response_id not in self._cut:
            self._cut.append(self.response_id)

    def _is_late(self, event: ProviderEvent) -> bool:
        return self._silenced or event.data.get("response_id") in self._cut


def sound_ms(event: ProviderEvent) -> float:
    """Return the length of the sound in an ``audio.output_chunk``."""
    data = event.data
    frame_bytes = BYTES_PER_SAMPLE * int(data.get("channels", 1))
    return len(data["audio_data"]) * 1000 / frame_bytes / float(data["sample_rate"])
