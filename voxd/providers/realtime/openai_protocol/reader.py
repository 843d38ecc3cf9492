"""Turns what an OpenAI Realtime server says into events of voxd, and knows what may be said to it now.

It is pure: it takes frames and returns events and frames. The shell around it owns the socket. Rules kept
here: one response at a time, sound and words of a response that was given up are dropped, an item is never
truncated behind what arrived of it, and tools are called only when a response was completed.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from voxd.errors import ProviderError, StreamError
from voxd.net.faults import error_for_code
from voxd.providers.base import ProviderEvent
from voxd.providers.realtime.openai_protocol import events, frames, wire
from voxd.providers.usage import Usage

HARMLESS = frozenset({"response_cancel_not_active", "item_truncate_invalid_item_id"})
"""Complaints that only say that we were late."""

FATAL = frozenset({"session_expired", "invalid_api_key", "beta_api_shape_disabled"})
"""Complaints after which the session is of no use, whether or not the vendor closes it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one frame of the vendor leads to.

    ``frames`` are to be sent. ``type`` is the frame's, for whoever waits for it; ``error`` a complaint that
    is not harmless, which is raised instead of told when somebody waits for the frame of ours that it
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
    """What arrived of the sound of an item."""

    response_id: str
    item_id: str
    content_index: int
    size_bytes: int = 0
    stopped: bool = False
    odd: bytes = b""

    @property
    def duration_ms(self) -> float:
        return self.size_bytes / wire.BYTES_PER_MS

    def take(self, delta: bytes) -> bytes:
        """Return the whole samples that ``delta`` completes; half a sample waits for its other half."""
        pcm = self.odd + delta
        whole_bytes = len(pcm) & ~1
        self.odd = pcm[whole_bytes:]
        self.size_bytes += whole_bytes
        return pcm[:whole_bytes]

    def stop(self) -> list[ProviderEvent]:
        """Return what tells that no more comes, once."""
        if self.stopped:
            return []
        self.stopped = True
        return [events.sound_stopped(self.response_id, self.item_id, self.duration_ms)]


@dataclass(slots=True)
class _Response:
    """The response under way."""

    id: str
    given_up: bool


class Reader:
    """The state of one session as its frames tell it.

    ``server_answers`` says that the vendor begins a response by himself when the user has spoken, and
    ``server_interrupts`` that he gives one up when the user speaks.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._numbers = itertools.count(1)
        self._response: _Response | None = None
        self._sounds: list[_Sound] = []
        self._requested = False
        self._wanted = False
        self._automatic = False
        self._give_up = 0
        self.server_answers = False
        self.server_interrupts = False
        self.has_spoken = False
        self.session_id: str | None = None
        self.usage = Usage(total_sessions=1)

    @property
    def busy(self) -> bool:
        """Whether a response was asked for or is under way."""
        return self._requested or self._response is not None

    def event_id(self, kind: str) -> str:
        """Return a name for a frame of ours that no other frame of this session has."""
        return f"{kind}_{next(self._numbers)}"

    def request(self) -> tuple[wire.Frame, ...]:
        """Return the frame that asks for a response; nothing when one is under way: it follows then."""
        if self.busy:
            self._wanted = True
            return ()
        self._requested = True
        return (wire.create_response(self.event_id("create")),)

    def begin_turn(self) -> None:
        """The user has said something new: what was heard of earlier replies is settled."""
        self._sounds = []

    def interrupt(self, played_ms: float | None) -> Reading:
        """Give the reply up; of the last response with sound ``played_ms`` was heard (None: all of it)."""
        self._wanted = False
        out: list[wire.Frame] = []
        cut = ""
        if self._response is None:
            self._give_up = self._requested + self._automatic
        elif not self._response.given_up:
            self._response.given_up = True
            cut = self._response.id
            out.append(wire.cancel(self.event_id("cancel"), cut))
        for sound, heard_ms in _unheard(self._sounds, played_ms):
            cut = cut or sound.response_id
            name = self.event_id("truncate")
            out.append(wire.truncate(name, sound.item_id, sound.content_index, heard_ms))
        told = [event for sound in self._sounds for event in sound.stop()]
        self._sounds = []
        if cut:
            told.append(events.interrupted(played_ms, cut))
        return Reading(tuple(told), tuple(out))

    def read(self, text: str | bytes) -> Reading:
        """Return what the frame ``text`` leads to; one that is garbage is an event of type ``error``."""
        try:
            frame = frames.decode(text)
        except ValueError as error:
            broken = StreamError(str(error), provider=self._provider, code="bad_frame")
            return Reading((events.error(broken),))
        if frame is None:
            return Reading()
        kind = str(type(frame).__struct_config__.tag)
        match frame:
            case frames.ErrorFrame():
                return self._complaint(frame.error)
            case frames.ResponseCreated():
                return self._created(frame.response.id)
            case frames.ResponseDone():
                return self._done(frame.response)
            case frames.SessionCreated() | frames.SessionUpdated():
                self.session_id = frame.session.id or self.session_id
                return Reading(type=kind)
            case frames.AudioDelta() | frames.AudioDone():
                return Reading(self._sound(frame), type=kind)
            case frames.SpokenDelta() | frames.SpokenDone() | frames.TextDelta() | frames.TextDone():
                return Reading(self._words(frame), type=kind)
            case _:
                return Reading(self._heard(frame), type=kind)

    def _heard(self, frame: frames.ServerFrame) -> tuple[ProviderEvent, ...]:
        match frame:
            case frames.SpeechStarted():
                if self.server_interrupts and self._response is not None:
                    self._response.given_up = True
                return (events.turn(speaking=True, at_ms=frame.audio_start_ms),)
            case frames.SpeechStopped():
                return (events.turn(speaking=False, at_ms=frame.audio_end_ms),)
            case frames.Committed():
                self.begin_turn()
                self._automatic = self.server_answers
            case frames.TranscriptionDelta(delta=str(text)) if text:
                return (events.transcription(text, frame.item_id, partial=True),)
            case frames.TranscriptionCompleted():
                self.usage += frame.spent()
                words = events.transcription(frame.transcript, frame.item_id, partial=False)
                return (words, events.used(self._provider, self.usage))
            case frames.TranscriptionFailed():
                reason = frame.error.message
                return (events.error(error_for_code(self._provider, "transcription_failed", reason)),)
            case frames.RateLimits():
                return tuple(events.rate_limit(limit) for limit in frame.rate_limits)
        return ()

    def _created(self, response_id: str) -> Reading:
        response = _Response(response_id, self._give_up > 0)
        self._response = response
        self._give_up = max(self._give_up - 1, 0)
        # Vendors work in order: what follows an utterance they ended themselves is their own response.
        self._requested, self._automatic = self._requested and self._automatic, False
        if response.given_up:
            cancel = wire.cancel(self.event_id("cancel"), response_id)
            return Reading(frames=(cancel,), type="response.created")
        return Reading((events.started(response_id),), type="response.created")

    def _sound(self, frame: frames.AudioDelta | frames.AudioDone) -> tuple[ProviderEvent, ...]:
        if not self._under_way(frame.response_id):
            return ()
        sound = next((each for each in self._sounds if each.item_id == frame.item_id), None)
        if isinstance(frame, frames.AudioDone):
            return tuple(sound.stop()) if sound else ()
        told = []
        if sound is None:
            sound = _Sound(frame.response_id, frame.item_id, frame.content_index)
            self._sounds = [each for each in self._sounds if each.response_id == frame.response_id]
            self._sounds.append(sound)
            self.has_spoken = True
            told.append(events.sound_started(frame.response_id, frame.item_id))
        pcm = sound.take(frame.delta)
        if pcm:
            told.append(events.sound(pcm, frame.response_id, frame.item_id))
        return tuple(told)

    def _words(
        self, frame: frames.SpokenDelta | frames.SpokenDone | frames.TextDelta | frames.TextDone
    ) -> tuple[ProviderEvent, ...]:
        if not self._under_way(frame.response_id):
            return ()
        match frame:
            case frames.SpokenDone(transcript=text) | frames.TextDone(text=text):
                return (events.words(text, frame.response_id, partial=False),)
            case frames.SpokenDelta(delta=text) | frames.TextDelta(delta=text):
                return (events.words(text, frame.response_id, partial=True),)

    def _done(self, response: frames.Response) -> Reading:
        spent = response.spent()
        self.usage += spent
        told = [events.used(self._provider, self.usage)]
        for sound in self._sounds:
            told += sound.stop() if sound.response_id == response.id else ()
        given_up = False
        if self._response is not None and self._response.id == response.id:
            given_up, self._response, self._automatic = self._response.given_up, None, False
        details = response.status_details or frames.StatusDetails()
        if response.status == "failed":
            complaint = details.error or frames.Complaint(code="response_failed")
            told.append(events.error(error_for_code(self._provider, complaint.code, complaint.message)))
            told.append(events.cancelled(response.id, "failed"))
        elif response.status == "cancelled" or given_up:
            told.append(events.cancelled(response.id, details.reason or "client_cancelled"))
        else:
            told += events.calls(response) if response.status == "completed" else ()
            told.append(events.completed(response.id, spent))
        return Reading(tuple(told), self._next(), type="response.done")

    def _next(self) -> tuple[wire.Frame, ...]:
        if not self._wanted or self.busy:
            return ()
        self._wanted = False
        return self.request()

    def _complaint(self, complaint: frames.Complaint) -> Reading:
        code, concerns = complaint.code or "", complaint.event_id or ""
        if concerns.startswith("create_"):
            self._requested, self._give_up = False, 0
        if code == "conversation_already_has_active_response":
            # The vendor began one by himself before our request arrived; ours follows when it is done.
            self._requested, self._wanted = False, not self._give_up
            return Reading(type="error")
        if code in HARMLESS or concerns.startswith(("cancel_", "truncate_")):
            return Reading(type="error")
        error = error_for_code(self._provider, code, complaint.message)
        fatal = code if code in FATAL else ""
        return Reading(() if fatal else (events.error(error),), (), "error", error, concerns, fatal)

    def _under_way(self, response_id: str) -> bool:
        response = self._response
        return response is not None and not response.given_up and response.id == response_id


def _unheard(sounds: Sequence[_Sound], played_ms: float | None) -> list[tuple[_Sound, int]]:
    """Return the items that were not heard to their end, with the milliseconds that were.

    Never more than arrived: the vendor refuses to truncate behind what he has generated.
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
