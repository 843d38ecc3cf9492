"""Turns the messages of Gemini Live into events. It does no I/O.

The vendor sends no ids of responses or items: they are made here. A response ends at its tool calls, as with
other vendors, and what the model says once it has the results is the next response.

Transcriptions have no order among the other messages (https://ai.google.dev/api/live,
BidiGenerateContentTranscription). After the first response they show neither that the user speaks nor that a
response begins, except that the words of a response that is due may come before its audio.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers import events
from voxd.providers.arguments import read_arguments
from voxd.providers.events import ProviderEvent
from voxd.providers.json_fields import count, mapping, rows
from voxd.providers.usage import Usage
from voxd.providers.vendors.google.live_wire import NAME, OUTPUT_RATE_HZ, OWN_CALL, Message

# Values of ``turnCompleteReason`` that are not errors.
_FINE = frozenset({"", "TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"})
# Those that mean that a filter withheld the response.
_FILTERED = re.compile(r"REJECTED|PROHIBITED|SAFETY|BLOCK|RECITATION|SPII|FILTER")


class GeminiReader:
    """The state of one session, as far as its events need it.

    `read` takes a message of the server, the other methods what voxd did; they return the events that follow.
    ``sound`` False leaves the reply's audio out (only text is wanted). ``detects``: the vendor detects when
    the user speaks.
    """

    def __init__(self, *, sound: bool = True, detects: bool = False) -> None:
        self.sound = sound
        self.detects = detects
        self._numbers = itertools.count(1)
        self._response = self._item = ""
        # The last response that has ended: words of it may still come.
        self._last = ""
        self._reply_words: list[str] = []
        self._question_words: list[str] = []
        self._late_words: list[str] = []
        # A sample may be split over two messages.
        self._odd = b""
        self._sound_bytes = 0
        self._sound_rate_hz = 0
        # What still arrives of an abandoned response is dropped.
        self._muted = False
        self._requested = False
        # The user's words came since the last response began.
        self._has_heard = self._sends_activity = False
        # A tool has its result: the model speaks next without being asked.
        self._owed = False
        self._speaking = False
        # A `turnComplete` of an interrupted response still follows.
        self._tail = False
        self._spent = Usage()
        self.calls: dict[str, str] = {}
        # Calls of an abandoned response: their results are sent, but nothing is to be said about them.
        self._unwanted: set[str] = set()
        self.usage = Usage(total_sessions=1)

    @property
    def busy(self) -> bool:
        """Whether the user speaks, or a response is due, in progress or waits for a tool."""
        hears = self.detects and bool(self._question_words)
        return bool(self._response or self._requested or self._owed or self._speaking or hears or self._runs)

    @property
    def _runs(self) -> bool:
        """Whether a tool runs whose result is wanted."""
        return bool(self.calls.keys() - self._unwanted)

    def read(self, message: Mapping[str, Any]) -> list[ProviderEvent]:
        """Return the events of ``message``; unknown parts are ignored."""
        content = mapping(message.get("serverContent"))
        # Several parts may share a message; they are read in the order in which they happened.
        counted = mapping(message.get("usageMetadata"))
        if counted:
            self._spend(usage_of(counted))
        found = [
            *self._voice_activity(mapping(message.get("voiceActivity"))),
            *self._transcript(mapping(content.get("inputTranscription"))),
            *self._output(content),
            *self._tool_calls(_function_calls(message, content)),
        ]
        withdrawn = mapping(message.get("toolCallCancellation")).get("ids")
        for call_id in withdrawn if isinstance(withdrawn, list) else ():
            self.calls.pop(str(call_id), None)
            self._unwanted.discard(str(call_id))
        found += self._end(content)
        if counted:
            found.append(events.UsageUpdated(self.usage, NAME))
        return found

    @property
    def has_late_words(self) -> bool:
        """Whether words have come outside of a response; `late_words` ends them when no more follow."""
        return bool((self._question_words and not self._response) or self._late_words)

    def late_words(self) -> list[ProviderEvent]:
        """Return the whole of the words that came outside of a response."""
        transcript = [] if self._response else self._whole_transcript()
        return [*transcript, *self._words_of_last()]

    def _words_of_last(self) -> Iterator[ProviderEvent]:
        text = "".join(self._late_words).strip()
        self._late_words.clear()
        if text:
            yield events.TextOutput(text, False, self._last)

    def response_requested(self) -> None:
        """Note that a response was requested."""
        if self._muted and not self._response:
            # The abandoned response had not begun and never will: the next one is another.
            self._muted = False
        self._requested, self._owed = True, False

    def take_call(self, call_id: str) -> tuple[str, bool] | None:
        """Return the tool whose result is sent now, and whether its response is still wanted.

        None: the vendor has withdrawn the call.
        """
        name = self.calls.pop(call_id, None)
        if name is None:
            return None
        wanted = call_id not in self._unwanted
        self._unwanted.discard(call_id)
        self._owed = self._owed or wanted
        return name, wanted

    def give_up(self, played_ms: float | None) -> list[ProviderEvent]:
        """Return the end of the response in progress; what still arrives of it is dropped.

        The protocol has no message for it: the next speech or text of the user stops the generation.
        """
        self._unwanted |= set(self.calls)
        if self._muted or not self._response:
            self._muted = self._muted or self._requested
            return []
        self._muted = True
        return [*self._stop_audio(), *self._cut("client_cancelled", played_ms)]

    def abandon(self) -> None:
        """Forget the response in progress or due, whose end did not come."""
        if self._response:
            self._forget()
            self._tail = True
        self._requested = self._owed = False

    def drop(self) -> list[ProviderEvent]:
        """Return the end of everything in progress: the connection is gone."""
        is_open = self._response and not self._muted
        found = [*self._stop_audio(), self._cancelled("connection_lost")] if is_open else []
        self._forget()
        self._requested = self._owed = self._speaking = self._tail = False
        self._late_words.clear()
        self.calls.clear()
        self._unwanted.clear()
        self._question_words.clear()
        return found

    def _output(self, content: Message) -> Iterator[ProviderEvent]:
        for part in rows(mapping(content.get("modelTurn")).get("parts")):
            data = mapping(part.get("inlineData"))
            if str(data.get("mimeType", "")).startswith("audio/"):
                yield from self._chunk(data)
        text = mapping(content.get("outputTranscription")).get("text")
        if isinstance(text, str) and text:
            yield from self._spoken(text)

    def _spoken(self, text: str) -> Iterator[ProviderEvent]:
        is_due = self._requested or self._owed or self._speaking or self._runs
        if self._last and not self._response and not is_due:
            # Of the response before, which has ended; or of one that the vendor is about to begin.
            if not self._muted:
                self._late_words.append(text)
            return
        yield from self._begin()
        if not self._muted:
            self._reply_words.append(text)
            yield events.TextOutput(text, True, self._response)

    def _chunk(self, data: Message) -> Iterator[ProviderEvent]:
        try:
            pcm = self._odd + base64.b64decode(data.get("data") or "", validate=True)
        except (binascii.Error, TypeError, ValueError):
            yield events.ErrorOccurred("bad_frame", "the vendor sent audio that is not valid base64")
            return
        yield from self._begin()
        even = len(pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        if self._muted or not self.sound or not even:
            return
        self._odd = pcm[even:]
        if not self._sound_bytes:
            rate = re.search(r"rate=(\d{4,6})\b", str(data["mimeType"]))
            # "audio/pcm;rate=24000".
            self._sound_rate_hz = int(rate[1]) if rate else OUTPUT_RATE_HZ
            yield events.AudioOutputStarted(self._sound_rate_hz, self._response, self._item)
        self._sound_bytes += even
        yield events.AudioOutputChunk(pcm[:even], self._sound_rate_hz, 1, self._response, self._item)

    def _begin(self) -> Iterator[ProviderEvent]:
        if self._response:
            return
        number = next(self._numbers)
        early = []
        if self._question_words:
            # Words after a question are those of its answer.
            early, self._late_words = self._late_words, []
        yield from self._words_of_last()
        # Not every model sends `voiceActivity`: words, and a response that we did not request, show it too.
        is_spontaneous = not (self._requested or self._owed or self._sends_activity)
        has_asked = self._speaking or (self._has_heard and is_spontaneous)
        self._response, self._item = f"response-{number}", f"item-{number}"
        self._requested = self._owed = self._tail = False
        self._has_heard = False
        if self.detects and has_asked:
            self._speaking = False
            yield events.TurnDetected(False)
        yield from self._whole_transcript()
        if not self._muted:
            yield events.ResponseStarted(self._response)
            self._reply_words += early
            yield from (events.TextOutput(text, True, self._response) for text in early)

    def _transcript(self, transcription: Message) -> Iterator[ProviderEvent]:
        text = transcription.get("text")
        if isinstance(text, str) and text:
            if not self._response:
                self._has_heard = True
                if not self._last:
                    yield from self._detect(speaking=True)
            self._question_words.append(text)
            yield events.TextTranscription(text, True, "")
        if transcription.get("finished"):
            yield from self._whole_transcript()

    def _whole_transcript(self) -> Iterator[ProviderEvent]:
        # Few models set `finished`: the response's beginning or end is the end of the question, or a pause.
        if text := "".join(self._question_words).strip():
            yield events.TextTranscription(text, False, "")
        self._question_words.clear()

    def _tool_calls(self, calls: list[Message]) -> Iterator[ProviderEvent]:
        if not calls:
            return
        if self._muted:
            # A call of an abandoned response must not begin another response.
            self._response = ""
            return
        yield from self._begin()
        for call in calls:
            name = str(call.get("name") or "")
            # Vertex AI sends no ids; there the result goes by its name.
            call_id = str(call.get("id") or f"{OWN_CALL}{next(self._numbers)}")
            self.calls[call_id] = name
            yield events.ToolCallInvoked(name, read_arguments(call.get("args")), call_id)
        yield from self._complete()

    def _voice_activity(self, activity: Message) -> Iterator[ProviderEvent]:
        kind = activity.get("voiceActivityType")
        if kind in ("ACTIVITY_START", "ACTIVITY_END"):
            self._sends_activity = True
            at = re.match(r"\d+(?:\.\d+)?", str(activity.get("audioOffset", "")))
            at_ms = float(at[0]) * 1000 if at else None
            yield from self._detect(speaking=kind == "ACTIVITY_START", at_ms=at_ms)

    def _detect(self, *, speaking: bool, at_ms: float | None = None) -> Iterator[ProviderEvent]:
        if self.detects and speaking != self._speaking:
            self._speaking = speaking
            yield events.TurnDetected(speaking, at_ms)

    def _end(self, content: Message) -> Iterator[ProviderEvent]:
        if content.get("interrupted"):
            yield from self._detect(speaking=True)
            if self._response and not self._muted:
                yield from self._stop_audio()
                yield from self._cut("interrupted", None)
            self._forget()
            # A `turnComplete` still follows (types.LiveServerContent.generation_complete).
            self._tail = True
        if content.get("generationComplete"):
            yield from self._stop_audio()
        if content.get("turnComplete"):
            yield from self._turn_complete(content)

    def _turn_complete(self, content: Message) -> Iterator[ProviderEvent]:
        if self._tail:
            self._tail = False
        elif self._muted or not self._continues(content):
            reason = str(content.get("turnCompleteReason") or "")
            fault = "" if reason in _FINE else reason
            if (self._requested or fault) and not self._muted:
                # The model may decide to say nothing; a response that was requested must still end.
                yield from self._begin()
            yield from self._complete(fault)

    def _continues(self, content: Message) -> bool:
        """Return whether the response continues after this turn: a function runs beside it."""
        # Models that do not send it go on only while a function runs.
        status = content.get("interactionStatus") or "INTERACTION_STATUS_UNSPECIFIED"
        if status == "INTERACTION_STATUS_UNSPECIFIED":
            return self._runs
        return bool(status != "IDLE")

    def _complete(self, fault: str = "") -> Iterator[ProviderEvent]:
        yield from self._whole_transcript()
        if self._response and not self._muted:
            yield from self._stop_audio()
            if text := "".join(self._reply_words).strip():
                yield events.TextOutput(text, False, self._response)
            if fault and not _FILTERED.search(fault):
                message = f"the vendor broke off its response: {fault.lower()}"
                yield events.ErrorOccurred("response_failed", message)
                yield self._cancelled(fault.lower())
            else:
                self._spend(Usage(responses=1))
                reason = "content_filter" if fault else ""
                yield events.ResponseCompleted(self._response, self._spent, reason)
        self._forget()

    def _stop_audio(self) -> Iterator[ProviderEvent]:
        if self._sound_bytes:
            duration_ms = self._sound_bytes / BYTES_PER_SAMPLE * 1000 / self._sound_rate_hz
            self._sound_bytes, self._odd = 0, b""
            yield events.AudioOutputStopped(duration_ms, self._response, self._item)

    def _cut(self, reason: str, played_ms: float | None) -> tuple[ProviderEvent, ...]:
        return events.ReplyInterrupted(played_ms, self._response), self._cancelled(reason)

    def _cancelled(self, reason: str) -> ProviderEvent:
        return events.ResponseCancelled(self._response, reason)

    def _spend(self, usage: Usage) -> None:
        self.usage += usage
        self._spent += usage

    def _forget(self) -> None:
        self._last = self._response or self._last
        self._response = self._item = ""
        self._reply_words.clear()
        self._sound_bytes, self._odd = 0, b""
        self._spent = Usage()
        self._muted = False


def _function_calls(message: Mapping[str, Any], content: Message) -> list[Message]:
    """Return the calls of ``message``: in its own field, or as parts of the model's turn."""
    # As `generateContent` of the same API sends them, in its parts; some gateways pass that on.
    parts = rows(mapping(content.get("modelTurn")).get("parts"))
    calls = rows(mapping(message.get("toolCall")).get("functionCalls"))
    return [call for call in [*calls, *(mapping(part.get("functionCall")) for part in parts)] if call]


def usage_of(counted: Mapping[str, Any]) -> Usage:
    """Return one report of tokens. Thoughts, and every modality but audio, count as text.

    Fields: https://ai.google.dev/api/live, UsageMetadata. What is not a number counts as zero.
    """
    prompt = count(counted.get("promptTokenCount")) + count(counted.get("toolUsePromptTokenCount"))
    reply = count(counted.get("responseTokenCount")) + count(counted.get("thoughtsTokenCount"))
    cached = count(counted.get("cachedContentTokenCount"))
    audio_in, audio_out = _sound(counted, "promptTokensDetails"), _sound(counted, "responseTokensDetails")
    cached_audio = _sound(counted, "cacheTokensDetails")
    return Usage(
        input_text_tokens=max(0, prompt - audio_in),
        input_audio_tokens=audio_in,
        cached_text_tokens=max(0, cached - cached_audio),
        cached_audio_tokens=cached_audio,
        output_text_tokens=max(0, reply - audio_out),
        output_audio_tokens=audio_out,
    )


def _sound(counted: Mapping[str, Any], name: str) -> int:
    return sum(
        count(row.get("tokenCount")) for row in rows(counted.get(name)) if row.get("modality") == "AUDIO"
    )
