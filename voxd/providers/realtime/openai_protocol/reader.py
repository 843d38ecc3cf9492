"""Turns the frames of an OpenAI Realtime server into events, and tracks what may be sent to it now.

It does no I/O: it takes frames and returns events and frames; `provider` owns the socket. Its rules: one
response at a time, audio and text of a cancelled response are dropped, an item is never truncated beyond what
arrived of it, and tools are called only when a response was completed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from voxd.errors import ProviderError, StreamError
from voxd.net.faults import error_for_code
from voxd.providers import events
from voxd.providers.events import ProviderEvent
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
    ``concerns``; ``fatal`` is its code when the session is over.
    """

    events: tuple[ProviderEvent, ...] = ()
    frames: tuple[wire.Frame, ...] = ()
    type: str = ""
    error: ProviderError | None = None
    concerns: str = ""
    fatal: str = ""


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
        self._requested = False
        # A response that has to wait for the end of the present one.
        self._wanted = False
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
        return self._requested or self._response is not None

    def event_id(self, kind: str) -> str:
        """Return an ``event_id`` that no other frame of this session has."""
        return f"{kind}_{next(self._numbers)}"

    def request(self) -> tuple[wire.Frame, ...]:
        """Return the frame that requests a response; while one is in progress, none: it follows later."""
        if self.busy:
            # A second `response.create` is refused: conversation_already_has_active_response.
            self._wanted = True
            return ()
        self._requested = True
        return (wire.create_response(self.event_id("create")),)

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
            self._give_up = self._requested + self._automatic
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
            case frames.AudioDelta() | frames.AudioDone():
                return FrameOutcome(self._sound(frame), type=kind)
            case frames.SpokenDelta() | frames.SpokenDone() | frames.TextDelta() | frames.TextDone():
                return FrameOutcome(self._words(frame), type=kind)
            case _:
                return FrameOutcome(self._other(frame), type=kind)

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
                return tuple(
                    events.RateLimitUpdated(each.name, each.limit, each.remaining, each.reset_seconds)
                    for each in frame.rate_limits
                )
        return ()

    def _created(self, response_id: str) -> FrameOutcome:
        response = _Response(response_id, self._give_up > 0)
        self._response = response
        self._give_up = max(self._give_up - 1, 0)
        # The server works in order: after an utterance that it ended itself comes its own response first.
        self._requested, self._automatic = self._requested and self._automatic, False
        if response.given_up:
            cancel = wire.cancel(self.event_id("cancel"), response_id)
            return FrameOutcome(frames=(cancel,), type="response.created")
        return FrameOutcome((events.ResponseStarted(response_id),), type="response.created")

    def _sound(self, frame: frames.AudioDelta | frames.AudioDone) -> tuple[ProviderEvent, ...]:
        if not self._under_way(frame.response_id):
            return ()
        sound = next((each for each in self._sounds if each.item_id == frame.item_id), None)
        if isinstance(frame, frames.AudioDone):
            return tuple(sound.stop()) if sound else ()
        found: list[ProviderEvent] = []
        if sound is None:
            sound = _Sound(frame.response_id, frame.item_id, frame.content_index)
            # Items of earlier responses were played, or truncated, before this one began.
            self._sounds = [each for each in self._sounds if each.response_id == frame.response_id]
            self._sounds.append(sound)
            self.has_spoken = True
            found.append(events.AudioOutputStarted(wire.RATE_HZ, frame.response_id, frame.item_id))
        pcm = sound.take(frame.delta)
        if pcm:
            found.append(events.AudioOutputChunk(pcm, wire.RATE_HZ, 1, frame.response_id, frame.item_id))
        return tuple(found)

    def _words(
        self, frame: frames.SpokenDelta | frames.SpokenDone | frames.TextDelta | frames.TextDone
    ) -> tuple[ProviderEvent, ...]:
        if not self._under_way(frame.response_id):
            return ()
        match frame:
            case frames.SpokenDone(transcript=text) | frames.TextDone(text=text):
                return (events.TextOutput(text, False, frame.response_id),)
            case frames.SpokenDelta(delta=text) | frames.TextDelta(delta=text):
                return (events.TextOutput(text, True, frame.response_id),)

    def _done(self, response: frames.Response) -> FrameOutcome:
        spent = response.spent()
        self.usage += spent
        found: list[ProviderEvent] = [events.UsageUpdated(self.usage, self._provider)]
        for sound in self._sounds:
            found += sound.stop() if sound.response_id == response.id else ()
        given_up = False
        if self._response is not None and self._response.id == response.id:
            given_up, self._response, self._automatic = self._response.given_up, None, False
        details = response.status_details or frames.StatusDetails()
        if response.status == "failed":
            cause = details.error or frames.ErrorDetails(code="response_failed")
            found.append(events.ErrorOccurred.of(error_for_code(self._provider, cause.code, cause.message)))
            found.append(events.ResponseCancelled(response.id, "failed"))
        elif response.status == "cancelled" or given_up:
            found.append(events.ResponseCancelled(response.id, details.reason or "client_cancelled"))
        else:
            found += _tool_calls(response) if response.status == "completed" else ()
            found.append(events.ResponseCompleted(response.id, spent))
        return FrameOutcome(tuple(found), self._next(), type="response.done")

    def _next(self) -> tuple[wire.Frame, ...]:
        if not self._wanted or self.busy:
            return ()
        self._wanted = False
        return self.request()

    def _error(self, details: frames.ErrorDetails) -> FrameOutcome:
        code, concerns = details.code or "", details.event_id or ""
        # The vendor refused our request: no response of ours will begin.
        if concerns.startswith("create_"):
            self._requested, self._give_up = False, 0
        if code == "conversation_already_has_active_response":
            # The vendor began one by itself before our request arrived; ours follows when that is done.
            self._requested, self._wanted = False, not self._give_up
            return FrameOutcome(type="error")
        if code in HARMLESS or concerns.startswith(("cancel_", "truncate_")):
            return FrameOutcome(type="error")
        error = error_for_code(self._provider, code, details.message)
        fatal = code if code in FATAL else ""
        return FrameOutcome(
            () if fatal else (events.ErrorOccurred.of(error),), (), "error", error, concerns, fatal
        )

    def _under_way(self, response_id: str) -> bool:
        response = self._response
        return response is not None and not response.given_up and response.id == response_id


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


def _tool_calls(response: frames.Response) -> list[ProviderEvent]:
    return [
        events.ToolCallInvoked(item.name or "", _arguments(item), item.call_id)
        for item in response.output or ()
        # A call of an incomplete response has status "incomplete"; some servers send no status at all.
        if item.type == "function_call" and item.call_id and item.status in {"completed", None}
    ]


def _arguments(call: frames.OutputItem) -> dict[str, Any]:
    """Return the arguments; text that is not a JSON object becomes one that no tool accepts."""
    try:
        return msgspec.json.decode(call.arguments or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return {"malformed_json": call.arguments}
