"""Tracks a conversation by a provider's events: what is in progress, what is late, and the history."""

from collections import deque

from voxd.events import EventType as E
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ProviderEvent,
    ReplyInterrupted,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
    TextTranscription,
    TurnDetected,
)
from voxd.providers.history import ConversationHistory

CUT_REPLIES = 16
"""How many interrupted responses are remembered, to recognise output of them that arrives late."""

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
"""Types that the session itself reports, for every provider alike; those of a provider are not repeated."""

_Output = TextOutput | AudioOutputStarted | AudioOutputChunk | AudioOutputStopped


class ResponseTracker:
    """The state of the conversation. It holds no provider and survives every change of one."""

    def __init__(self) -> None:
        self.history = ConversationHistory()
        self.responding = False
        self.speaking = False
        self.response_id: str | None = None
        self.turns = 0
        self.late_events = 0
        # Of the present response: a second `interrupt` of it reports nothing.
        self._interrupted = False
        # Output is dropped until the next response, also of one that has no id.
        self._silenced = False
        self._cut: deque[str] = deque(maxlen=CUT_REPLIES)
        # The last response that has ended: words of it may still come.
        self._over: tuple[str | None, ...] = ()

    def take(self, event: ProviderEvent) -> bool:
        """Note ``event``; returns False for one of an abandoned response, to be dropped."""
        # Audio is on its way when a response is cancelled: played, it would be heard after the
        # interruption.
        if isinstance(event, _Output) and (self._silenced or event.response_id in self._cut):
            self.late_events += 1
            return False
        match event:
            case ResponseStarted():
                self.responding, self._over = True, ()
                self.response_id = event.response_id
                self._interrupted = self._silenced = False
                # A place in the history before the first word: the transcript of the question goes before
                # it.
                self.history.reply_begins()
            case ResponseCompleted() | ResponseCancelled() if event.response_id in (None, self.response_id):
                self.responding = False
                self._over = (None, event.response_id)
                self.history.reply_ends()
            case TextOutput():
                late = not self.responding and event.response_id in self._over
                self.history.reply_text(event.text, whole=not event.is_partial, late=late)
            case AudioOutputChunk():
                self.history.reply_sound(event.duration_ms)
            case TextTranscription(is_partial=False):
                self.history.add_transcript(event.text)
            case TurnDetected():
                self.speaking = event.speaking
                if not self.speaking:
                    self.begin_turn()
            case ReplyInterrupted():
                self._abandon()
        return True

    def begin_turn(self, text: str | None = None) -> None:
        """Begin a turn of the user: ``text``, or a spoken question whose transcript comes later."""
        self._silenced = False
        # What has no id belongs to the reply to come.
        self._over = tuple(each for each in self._over if each is not None)
        self.turns += 1
        if text is None:
            self.history.expect_user()
        else:
            self.history.reply_ends()
            self.history.add("user", text)

    def begin_reply(self) -> None:
        """Note that a reply was requested without a question."""
        self._silenced = False

    def withdraw_turn(self) -> None:
        """Take back the turn: the spoken question could not be sent."""
        self.turns -= 1
        self.history.expect_nothing()

    def interrupt(self, played_ms: float | None) -> bool:
        """Keep what was played of the last reply; True when this cut it short for the first time."""
        # A reply that was generated, but not played to its end, is cut as well.
        cut = self.history.truncate(played_ms) or self.responding
        first = not self._interrupted
        self._abandon()
        return cut and first

    def provider_gone(self) -> bool:
        """Note that the provider is gone; returns whether a response was in progress."""
        responding, self.responding, self.speaking = self.responding, False, False
        self.history.reply_ends()
        return responding

    def _abandon(self) -> None:
        self._interrupted = self._silenced = True
        if self.response_id is not None and self.response_id not in self._cut:
            self._cut.append(self.response_id)
