"""Turns what Gemini Live sends into the events every provider tells, as a rule without a socket.

The vendor numbers nothing: responses get their names here. A response ends at its tool calls, as with
the other vendors, and what is said once the results are in is the next one.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from voxd.events import EventType
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers.base import ProviderEvent
from voxd.providers.usage import Usage
from voxd.providers.vendors.google.live_usage import usage_of
from voxd.providers.vendors.google.live_wire import NAME, OUTPUT_RATE_HZ, Message

_FINE = frozenset({"", "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"})
"""Reasons of a complete turn that are no fault."""


class Turns:
    """One session's state, as far as its events need it.

    `feed` takes what the server sent, the other methods what we did; they return the events that follow.
    ``sound`` False leaves the reply's sound out (the caller wants text). ``detects`` says that the vendor
    decides when the user speaks.
    """

    def __init__(self, *, sound: bool = True, detects: bool = False) -> None:
        self.sound = sound
        self.detects = detects
        self._numbers = itertools.count(1)
        self._response = self._item = ""
        self._said: list[str] = []
        self._heard: list[str] = []
        self._odd = b""
        self._sound_bytes = 0
        self._sound_rate_hz = 0
        self._muted = False
        self._asked = False
        self._owed = False
        self._speaking = False
        self._tail = False
        self._spent = Usage()
        self.calls: dict[str, str] = {}
        self._unwanted: set[str] = set()
        self.usage = Usage(total_sessions=1)

    @property
    def busy(self) -> bool:
        """Whether somebody speaks, or an answer is due, under way or waits for a tool."""
        return bool(self._response or self._asked or self._owed or self._speaking or self.calls)

    def feed(self, message: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return what ``message`` tells; parts nobody knows are passed over."""
        content = _object(message.get("serverContent"))
        counted = _object(message.get("usageMetadata"))
        if counted:
            self._spend(usage_of(counted))
        events = [
            *self._voice_activity(_object(message.get("voiceActivity"))),
            *self._transcript(_object(content.get("inputTranscription"))),
            *self._output(content),
            *self._tool_calls(_object(message.get("toolCall"))),
        ]
        for call_id in _list(_object(message.get("toolCallCancellation")).get("ids")):
            self.calls.pop(str(call_id), None)
            self._unwanted.discard(str(call_id))
        events += self._end(content)
        if counted:
            events.append(_event(EventType.USAGE_UPDATED, provider=NAME, usage=self.usage))
        return events

    def asked(self) -> None:
        """Note that an answer was asked for."""
        if self._muted and not self._response:
            # What was given up had not begun, and now never will: the next answer is another one.
            self._muted = False
        self._asked, self._owed = True, False

    def answered(self, call_id: str) -> tuple[str, bool] | None:
        """Return the tool whose call is answered now and whether it is still of interest.

        None means that the vendor has withdrawn the call.
        """
        name = self.calls.pop(call_id, None)
        if name is None:
            return None
        wanted = call_id not in self._unwanted
        self._unwanted.discard(call_id)
        self._owed = self._owed or wanted
        return name, wanted

    def give_up(self, played_ms: float | None) -> list[ProviderEvent]:
        """Return the end of the response under way; what still comes of it is dropped.

        The vendor has no message for it: the next thing the user says or types stops the generation.
        """
        self._unwanted |= set(self.calls)
        if self._muted or not self._response:
            self._muted = self._muted or self._asked
            return []
        self._muted = True
        return [*self._silence(), *self._cut("client_cancelled", played_ms)]

    def drop(self) -> list[ProviderEvent]:
        """Return the end of everything under way: the connection is gone."""
        open_and_heard = self._response and not self._muted
        events = [*self._silence(), self._cancelled("connection_lost")] if open_and_heard else []
        self._forget()
        self._asked = self._owed = self._speaking = self._tail = False
        self.calls.clear()
        self._unwanted.clear()
        self._heard.clear()
        return events

    def _output(self, content: Message) -> Iterator[ProviderEvent]:
        for part in _list(_object(content.get("modelTurn")).get("parts")):
            data = _object(_object(part).get("inlineData"))
            if str(data.get("mimeType", "")).startswith("audio/"):
                yield from self._chunk(data)
        said = _object(content.get("outputTranscription")).get("text")
        if isinstance(said, str) and said:
            yield from self._begin()
            if not self._muted:
                self._said.append(said)
                yield _event(EventType.TEXT_OUTPUT, text=said, is_partial=True, response_id=self._response)

    def _chunk(self, data: Message) -> Iterator[ProviderEvent]:
        try:
            pcm = self._odd + base64.b64decode(data.get("data") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            yield _error("bad_frame", "the vendor sent sound that cannot be read")
            return
        yield from self._begin()
        even = len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        if self._muted or not self.sound or not even:
            return
        self._odd = pcm[even:]
        if not self._sound_bytes:
            rate = re.search(r"rate=(\d{4,6})\b", str(data["mimeType"]))
            self._sound_rate_hz = int(rate[1]) if rate else OUTPUT_RATE_HZ
            yield _event(EventType.AUDIO_OUTPUT_STARTED, **self._ids(), sample_rate=self._sound_rate_hz)
        self._sound_bytes += even
        rate_hz = self._sound_rate_hz
        chunk = {"audio_data": pcm[:even], "sample_rate": rate_hz, "channels": 1, **self._ids()}
        yield ProviderEvent(EventType.AUDIO_OUTPUT_CHUNK, chunk)

    def _begin(self) -> Iterator[ProviderEvent]:
        if self._response:
            return
        number = next(self._numbers)
        self._response, self._item = f"response-{number}", f"item-{number}"
        self._asked = self._owed = self._tail = False
        yield from self._spoke(speaking=False)
        yield from self._whole_transcript()
        if not self._muted:
            yield _event(EventType.RESPONSE_STARTED, response_id=self._response)

    def _transcript(self, transcription: Message) -> Iterator[ProviderEvent]:
        text = transcription.get("text")
        if isinstance(text, str) and text:
            if not self._response:
                yield from self._spoke(speaking=True)
            self._heard.append(text)
            yield _event(EventType.TEXT_TRANSCRIPTION, text=text, is_partial=True, item_id="")
        if transcription.get("finished"):
            yield from self._whole_transcript()

    def _whole_transcript(self) -> Iterator[ProviderEvent]:
        # Few models mark the last piece: the answer's beginning, or else its end, is the end of the question.
        if text := "".join(self._heard).strip():
            yield _event(EventType.TEXT_TRANSCRIPTION, text=text, is_partial=False, item_id="")
        self._heard.clear()

    def _tool_calls(self, message: Message) -> Iterator[ProviderEvent]:
        calls = [_object(call) for call in _list(message.get("functionCalls"))]
        if not calls:
            return
        if self._muted:
            # The user has moved on: an answer to what he gave up is not begun by a tool.
            self._response = ""
            return
        yield from self._begin()
        for call in calls:
            call_id, name = str(call.get("id") or ""), str(call.get("name") or "")
            self.calls[call_id] = name
            data = {"function_name": name, "arguments": _object(call.get("args")), "call_id": call_id}
            yield ProviderEvent(EventType.FUNCTION_CALL_INVOKED, data)
        yield from self._complete()

    def _voice_activity(self, activity: Message) -> Iterator[ProviderEvent]:
        kind = activity.get("voiceActivityType")
        if kind in ("ACTIVITY_START", "ACTIVITY_END"):
            at = re.match(r"\d+(?:\.\d+)?", str(activity.get("audioOffset", "")))
            at_ms = float(at[0]) * 1000 if at else None
            yield from self._spoke(speaking=kind == "ACTIVITY_START", at_ms=at_ms)

    def _spoke(self, *, speaking: bool, at_ms: float | None = None) -> Iterator[ProviderEvent]:
        # Not every model tells when it hears somebody: the first words heard, or the answer, tell it too.
        if self.detects and speaking != self._speaking:
            self._speaking = speaking
            yield _event(EventType.CONVERSATION_TURN_DETECTED, speaking=speaking, at_ms=at_ms)

    def _end(self, content: Message) -> Iterator[ProviderEvent]:
        if content.get("interrupted"):
            yield from self._spoke(speaking=True)
            if self._response and not self._muted:
                yield from self._silence()
                yield from self._cut("interrupted", None)
            self._forget()
            # A `turnComplete` still follows (types.LiveServerContent.generation_complete).
            self._tail = True
        if content.get("generationComplete"):
            yield from self._silence()
        if content.get("turnComplete"):
            yield from self._turn_complete(content)

    def _turn_complete(self, content: Message) -> Iterator[ProviderEvent]:
        if self._tail:
            self._tail = False
        elif self._muted or not self._continues(content):
            if self._asked and not self._muted:
                # The model may decide to say nothing; whoever waits has to know.
                yield from self._begin()
            reason = str(content.get("turnCompleteReason") or "")
            yield from self._complete("" if reason in _FINE else reason.lower())

    def _continues(self, content: Message) -> bool:
        """Return whether the answer goes on after this turn: a function runs beside it."""
        status = content.get("interactionStatus") or "INTERACTION_STATUS_UNSPECIFIED"
        if status == "INTERACTION_STATUS_UNSPECIFIED":
            return bool(self.calls)
        return bool(status != "IDLE")

    def _complete(self, fault: str = "") -> Iterator[ProviderEvent]:
        yield from self._whole_transcript()
        if self._response and not self._muted:
            yield from self._silence()
            if text := "".join(self._said).strip():
                yield _event(EventType.TEXT_OUTPUT, text=text, is_partial=False, response_id=self._response)
            if fault:
                yield _error("response_failed", f"the vendor broke its answer off: {fault}")
                yield self._cancelled(fault)
            else:
                self._spend(Usage(responses=1))
                yield _event(EventType.RESPONSE_COMPLETED, response_id=self._response, usage=self._spent)
        self._forget()

    def _silence(self) -> Iterator[ProviderEvent]:
        if self._sound_bytes:
            duration_ms = self._sound_bytes / BYTES_PER_SAMPLE * 1000 / self._sound_rate_hz
            self._sound_bytes, self._odd = 0, b""
            yield _event(EventType.AUDIO_OUTPUT_STOPPED, **self._ids(), duration_ms=duration_ms)

    def _cut(self, reason: str, played_ms: float | None) -> tuple[ProviderEvent, ...]:
        ids = {"played_ms": played_ms, "response_id": self._response}
        return ProviderEvent(EventType.CONVERSATION_INTERRUPTED, ids), self._cancelled(reason)

    def _cancelled(self, reason: str) -> ProviderEvent:
        return _event(EventType.RESPONSE_CANCELLED, response_id=self._response, reason=reason)

    def _ids(self) -> dict[str, str]:
        return {"response_id": self._response, "item_id": self._item}

    def _spend(self, usage: Usage) -> None:
        self.usage += usage
        self._spent += usage

    def _forget(self) -> None:
        self._response = self._item = ""
        self._said.clear()
        self._sound_bytes, self._odd = 0, b""
        self._spent = Usage()
        self._muted = False


def _event(type: EventType, **data: Any) -> ProviderEvent:
    return ProviderEvent(type, data)


def _error(code: str, message: str) -> ProviderEvent:
    return ProviderEvent(EventType.ERROR_GENERAL, {"code": code, "message": message, "hint": ""})


def _object(value: object) -> Message:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
