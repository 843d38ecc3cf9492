"""Turns the frames of an OpenAI Realtime server into events, and tracks what may be sent to it now.

It does no I/O: it takes frames and returns events and frames; `provider` owns the socket. Its rules: one
response at a time, audio and text of a cancelled response are dropped, an item is never truncated beyond what
arrived of it, and tools are called only when a response was completed. A server need not announce a response,
nor number its frames.
"""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from voxd.errors import ProviderError, RateLimited, StreamError
from voxd.events import EventType as E
from voxd.net.faults import error_for_code
from voxd.providers import events
from voxd.providers.arguments import read_arguments
from voxd.providers.events import OtherEvent, ProviderEvent
from voxd.providers.realtime.openai_protocol import frames, wire
from voxd.providers.usage import Usage

HARMLESS = frozenset({"response_cancel_not_active", "item_truncate_invalid_item_id"})
"""Errors that only say that our frame came too late: the response or item had ended by then."""

FATAL = frozenset({"session_expired", "invalid_api_key", "beta_api_shape_disabled"})
"""Errors after which the session is unusable, whether or not the vendor closes it."""


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What one frame of the vendor leads to.

    ``frames`` are to be sent. ``type`` is the frame's, for a caller that waits for it; ``error`` an error
    that is not harmless, raised instead of reported where a caller waits for the reply to our frame
    ``concerns`` (``is_guess``: the vendor did not say so); ``fatal`` is its code when the session is over.
    """

    events: tuple[ProviderEvent, ...] = ()
    frames: tuple[wire.Frame, ...] = ()
    type: str = ""
    error: ProviderError | None = None
    concerns: str = ""
    fatal: str = ""
    is_guess: bool = False


@dataclass(slots=True)
class _Sound:
    """What arrived of the audio of an item."""

    response_id: str
    item_id: str
    content_index: int
    size_bytes: int = 0
    stopped: bool = False
    # A sample may be split over two frames.
    odd: bytes = b""

    @property
    def duration_ms(self) -> float:
        return self.size_bytes / wire.BYTES_PER_MS

    def take(self, delta: bytes) -> bytes:
        """Return the whole samples that ``delta`` completes; an odd byte waits for its other half."""
        pcm = self.odd + delta
        whole_bytes = len(pcm) & ~1
        self.odd = pcm[whole_bytes:]
        self.size_bytes += whole_bytes
        return pcm[:whole_bytes]

    def stop(self) -> list[ProviderEvent]:
        """Return the event that no more follows, once."""
        if self.stopped:
            return []
        self.stopped = True
        return [events.AudioOutputStopped(self.duration_ms, self.response_id, self.item_id)]


@dataclass(slots=True)
class _Response:
    """The response in progress."""

    id: str
    given_up: bool
    said: bool = False
    # Calls that were complete before the end, by the id of the call or of its item.
    calls: dict[str, frames.OutputItem] = field(default_factory=dict)


_Output = (
    frames.AudioDelta
    | frames.AudioDone
    | frames.SpokenDelta
    | frames.SpokenDone
    | frames.TextDelta
    | frames.TextDone
    | frames.OutputItemDone
    | frames.ArgumentsDone
)

OVER = 32
"""Responses that are over and remembered: frames of them may still come."""


class RealtimeReader:
    """The state of one session, by its frames.

    ``server_answers``: the vendor begins a response by itself when the user has spoken;
    ``server_interrupts``: it cancels the response when the user speaks.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._numbers = itertools.count(1)
        self._response: _Response | None = None
        self._sounds: list[_Sound] = []
        self._over: deque[str] = deque(maxlen=OVER)
        # The ``event_id`` of our request, "" without one.
        self._requested = ""
        # A response that has to wait for the end of the present one, and whether it may call tools.
        self._wanted = False
        self._wants_tools = True
        # The vendor will begin one by itself: the user has finished.
        self._automatic = False
        # Responses that were abandoned before they began.
        self._give_up = 0
        self.server_answers = False
        self.server_interrupts = False
        self.has_spoken = False
        self.session_id: str | None = None
        self.usage = Usage(total_sessions=1)

    @property
    def busy(self) -> bool:
        """Whether a response was requested or is in progress."""
        return bool(self._requested) or self._response is not None

    def event_id(self, kind: str) -> str:
        """Return an ``event_id`` that no other frame of this session has."""
        return f"{kind}_{next(self._numbers)}"

    def request(self, *, tools: bool = True) -> tuple[wire.Frame, ...]:
        """Return the frame that requests a response; while one is in progress, none: it follows later.

        ``tools`` False: the response may call none.
        """
        self._wants_tools = tools
        if self.busy:
            # A second `response.create` is refused: conversation_already_has_active_response.
            self._wanted = True
            return ()
        self._requested = self.event_id("create")
        return (wire.create_response(self._requested, tools=tools),)

    def abandon(self) -> tuple[wire.Frame, ...]:
        """Regard the response in progress, or requested, as over; return the frames to send."""
        response, self._response = self._response, None
        self._requested, self._automatic, self._wanted = "", False, False
        if response is None:
            return ()
        self._over.append(response.id)
        return (wire.cancel(self.event_id("cancel"), response.id),)

    def begin_turn(self) -> None:
        """The user began a new turn: earlier replies cannot be truncated any more."""
        self._sounds = []

    def interrupt(self, played_ms: float | None) -> FrameOutcome:
        """Cancel the reply; of the last response with audio ``played_ms`` were played (None: all)."""
        self._wanted = False
        out: list[wire.Frame] = []
        cut = ""
        if self._response is None:
            # Nothing to cancel yet; the responses to come are cancelled when they begin.
            self._give_up = bool(self._requested) + self._automatic
        elif not self._response.given_up:
            self._response.given_up = True
            cut = self._response.id
            out.append(wire.cancel(self.event_id("cancel"), cut))
        for sound, played_to_ms in _unplayed(self._sounds, played_ms):
            cut = cut or sound.response_id
            name = self.event_id("truncate")
            out.append(wire.truncate(name, sound.item_id, sound.content_index, played_to_ms))
        found: list[ProviderEvent] = [event for sound in self._sounds for event in sound.stop()]
        self._sounds = []
        if cut:
            found.append(events.ReplyInterrupted(played_ms, cut))
        return FrameOutcome(tuple(found), tuple(out))

    def read(self, text: str | bytes) -> FrameOutcome:
        """Return what the frame ``text`` leads to; a malformed one is an event of type ``error``."""
        try:
            frame = frames.decode(text)
        except ValueError as error:
            broken = StreamError(str(error), provider=self._provider, code="bad_frame")
            return FrameOutcome((events.ErrorOccurred.of(broken),))
        if frame is None:
            return FrameOutcome()
        kind = str(type(frame).__struct_config__.tag)
        match frame:
            case frames.ErrorFrame():
                return self._error(frame.error)
            case frames.ResponseCreated():
                return self._created(frame.response.id)
            case frames.ResponseDone():
                return self._done(frame.response)
            case frames.SessionCreated() | frames.SessionUpdated():
                self.session_id = frame.session.id or self.session_id
                return FrameOutcome(type=kind)
            case _ if isinstance(frame, _Output):
                return self._output(frame, kind)
            case _:
                return FrameOutcome(self._other(frame), type=kind)

    def _output(self, frame: _Output, kind: str) -> FrameOutcome:
        begun = FrameOutcome(type=kind)
        is_due = bool(self._requested) or self._automatic or bool(frame.response_id)
        if self._response is None and is_due and frame.response_id not in self._over:
            # Some servers do not announce a response.
            begun = self._created(frame.response_id)
        match frame:
            case frames.OutputItemDone():
                self._note_call(frame.item, frame.response_id)
                return begun
            case frames.ArgumentsDone():
                self._note_call(frame, frame.response_id)
                return begun
            case frames.AudioDelta() | frames.AudioDone():
                found = self._sound(frame)
            case _:
                found = self._words(frame)
        return replace(begun, events=(*begun.events, *found))

    def _note_call(self, item: frames.OutputItem | frames.ArgumentsDone, response_id: str) -> None:
        response = self._under_way(response_id)
        if response is None:
            return
        if isinstance(item, frames.ArgumentsDone):
            known = response.calls.get(item.call_id or item.item_id)
            item = frames.OutputItem(
                id=item.item_id,
                type="function_call",
                name=item.name or (known.name if known else None),
                call_id=item.call_id or (known.call_id if known else None),
                arguments=item.arguments,
            )
        if item.type == "function_call":
            response.calls[item.call_id or item.id] = item

    def _other(self, frame: frames.ServerFrame) -> tuple[ProviderEvent, ...]:
        match frame:
            case frames.InputSpeechStarted():
                if self.server_interrupts and self._response is not None:
                    self._response.given_up = True
                return (events.TurnDetected(True, frame.audio_start_ms),)
            case frames.InputSpeechStopped():
                return (events.TurnDetected(False, frame.audio_end_ms),)
            case frames.Committed():
                self.begin_turn()
                self._automatic = self.server_answers
            case frames.TranscriptionDelta(delta=str(text)) if text:
                return (events.TextTranscription(text, True, frame.item_id),)
            case frames.TranscriptionCompleted():
                self.usage += frame.spent()
                words = events.TextTranscription(frame.transcript, False, frame.item_id)
                return (words, events.UsageUpdated(self.usage, self._provider))
            case frames.TranscriptionFailed():
                reason = frame.error.message
                return (
                    events.ErrorOccurred.of(error_for_code(self._provider, "transcription_failed", reason)),
                )
            case frames.RateLimitsUpdated():
                return tuple(event for each in frame.rate_limits for event in self._limit(each))
        return ()

    def _limit(self, limit: frames.RateLimitFrame) -> list[ProviderEvent]:
        found: list[ProviderEvent] = [
            events.RateLimitUpdated(limit.name, limit.limit, limit.remaining, limit.reset_seconds)
        ]
        if limit.remaining is not None and limit.remaining <= 0:
            # Nothing is left: the next request has to wait, or is refused.
            found.append(self._limited(limit.name, limit.reset_seconds))
        return found

    def _limited(self, limit: str, wait_s: float | None) -> ProviderEvent:
        wait = {"provider": self._provider, "limit": limit or "vendor", "wait_s": wait_s}
        return OtherEvent(E.RATE_LIMITED, wait)

    def _reported(self, error: ProviderError) -> list[ProviderEvent]:
        limited = [self._limited("vendor", error.retry_after_s)] if isinstance(error, RateLimited) else []
        return [*limited, events.ErrorOccurred.of(error)]

    def _created(self, response_id: str) -> FrameOutcome:
        if self._response is not None and response_id in ("", self._response.id):
            # Announced after its first output.
            return FrameOutcome(type="response.created")
        # It needs a name for what is to come of it.
        response_id = response_id or self.event_id("response")
        response = _Response(response_id, self._give_up > 0)
        self._response = response
        self._give_up = max(self._give_up - 1, 0)
        # The server works in order: after an utterance that it ended itself comes its own response first.
        self._requested, self._automatic = self._requested if self._automatic else "", False
        if response.given_up:
            cancel = wire.cancel(self.event_id("cancel"), response_id)
            return FrameOutcome(frames=(cancel,), type="response.created")
        return FrameOutcome((events.ResponseStarted(response_id),), type="response.created")

    def _sound(self, frame: frames.AudioDelta | frames.AudioDone) -> tuple[ProviderEvent, ...]:
        response = self._under_way(frame.response_id)
        if response is None:
            return ()
        sound = next((each for each in self._sounds if each.item_id == frame.item_id), None)
        if isinstance(frame, frames.AudioDone):
            return tuple(sound.stop()) if sound else ()
        found: list[ProviderEvent] = []
        if sound is None or sound.response_id != response.id:
            sound = _Sound(response.id, frame.item_id, frame.content_index)
            # Items of earlier responses were played, or truncated, before this one began.
            self._sounds = [each for each in self._sounds if each.response_id == response.id]
            self._sounds.append(sound)
            self.has_spoken = response.said = True
            found.append(events.AudioOutputStarted(wire.RATE_HZ, response.id, frame.item_id))
        pcm = sound.take(frame.delta)
        if pcm:
            found.append(events.AudioOutputChunk(pcm, wire.RATE_HZ, 1, response.id, frame.item_id))
        return tuple(found)

    def _words(
        self, frame: frames.SpokenDelta | frames.SpokenDone | frames.TextDelta | frames.TextDone
    ) -> tuple[ProviderEvent, ...]:
        response = self._under_way(frame.response_id)
        if response is None:
            return ()
        response.said = True
        match frame:
            case frames.SpokenDone(transcript=text) | frames.TextDone(text=text):
                return (events.TextOutput(text, False, response.id),)
            case frames.SpokenDelta(delta=text) | frames.TextDelta(delta=text):
                return (events.TextOutput(text, True, response.id),)

    def _done(self, done: frames.Response) -> FrameOutcome:
        if done.id in self._over:
            return FrameOutcome(type="response.done")
        spent = done.spent()
        self.usage += spent
        begun = FrameOutcome()
        if self._response is None and (self._requested or self._automatic):
            # Some servers do not announce a response that they refuse.
            begun = self._created(done.id)
        response = self._response
        found: list[ProviderEvent] = [*begun.events, events.UsageUpdated(self.usage, self._provider)]
        if response is None or done.id not in ("", response.id):
            # Of another response: the present one goes on.
            return FrameOutcome(tuple(found), begun.frames, type="response.done")
        for sound in self._sounds:
            found += sound.stop() if sound.response_id == response.id else ()
        self._over.append(response.id)
        self._response, self._automatic = None, False
        found += self._end_of(response, done, spent)
        return FrameOutcome(tuple(found), (*begun.frames, *self._next()), type="response.done")

    def _end_of(self, response: _Response, done: frames.Response, spent: Usage) -> list[ProviderEvent]:
        details = done.status_details or frames.StatusDetails()
        # Not every server sends a status; an unknown one of what is done means that it is complete.
        status = (done.status or "completed").lower()
        if status == "failed":
            cause = details.error or frames.ErrorDetails()
            code = cause.code or cause.type or "response_failed"
            error = error_for_code(self._provider, code, cause.message)
            return [*self._reported(error), events.ResponseCancelled(response.id, "failed")]
        if status in {"cancelled", "canceled"} or response.given_up:
            return [events.ResponseCancelled(response.id, details.reason or "client_cancelled")]
        if status == "incomplete":
            # Tools are not called: their arguments may have been cut off.
            reason = details.reason or "incomplete"
            return [*_whole(response, done), events.ResponseCompleted(response.id, spent, reason)]
        calls = [item for item in done.output or () if item.type == "function_call"]
        return [
            *_whole(response, done),
            *_tool_calls(calls or list(response.calls.values()), self.event_id),
            events.ResponseCompleted(response.id, spent),
        ]

    def _next(self) -> tuple[wire.Frame, ...]:
        if not self._wanted or self.busy:
            return ()
        self._wanted = False
        return self.request(tools=self._wants_tools)

    def _error(self, details: frames.ErrorDetails) -> FrameOutcome:
        code, concerns = details.code or "", details.event_id or ""
        requested, is_harmless, is_guess = self._requested, code in HARMLESS, False
        if not concerns and requested and self._response is None and not is_harmless:
            # Many servers do not name the frame that they refuse: it can only be the request.
            concerns, is_guess = requested, True
        # The vendor refused our request: no response of ours will begin.
        if concerns.startswith("create_"):
            self._requested, self._give_up = "", 0
        if code == "conversation_already_has_active_response":
            # The vendor began one by itself before our request arrived; ours follows when that is done.
            self._requested, self._wanted = "", not self._give_up
            return FrameOutcome(type="error")
        if is_harmless or concerns.startswith(("cancel_", "truncate_")):
            return FrameOutcome(type="error")
        error = error_for_code(self._provider, code, details.message)
        fatal = code if code in FATAL else ""
        reported = () if fatal else tuple(self._reported(error))
        return FrameOutcome(reported, (), "error", error, concerns, fatal, is_guess)

    def _under_way(self, response_id: str) -> _Response | None:
        """Return the response in progress if ``response_id`` is not another's, and it was not given up."""
        response = self._response
        is_other = response_id in self._over and response_id != ""
        return None if response is None or response.given_up or is_other else response


def _unplayed(sounds: Sequence[_Sound], played_ms: float | None) -> list[tuple[_Sound, int]]:
    """Return the items that were not played to their end, with the milliseconds that were.

    Never more than arrived: the vendor refuses an ``audio_end_ms`` beyond what it has generated.
    """
    if played_ms is None:
        return []
    found = []
    left_ms = max(played_ms, 0.0)
    for sound in sounds:
        if left_ms < sound.duration_ms:
            found.append((sound, int(left_ms)))
        left_ms = max(left_ms - sound.duration_ms, 0.0)
    return found


def _whole(response: _Response, done: frames.Response) -> list[ProviderEvent]:
    """Return the words of ``done`` where no piece of them came before, as some servers send a refusal."""
    words = " ".join(item.words for item in done.output or () if item.words)
    return [events.TextOutput(words, False, response.id)] if words and not response.said else []


def _tool_calls(items: Sequence[frames.OutputItem], new_id: Callable[[str], str]) -> list[ProviderEvent]:
    return [
        events.ToolCallInvoked(
            item.name or "", read_arguments(item.arguments), item.call_id or item.id or new_id("call")
        )
        for item in items
        # A call of an incomplete response has status "incomplete"; some servers send no status at all.
        if item.status in {"completed", None}
    ]
