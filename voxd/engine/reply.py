"""Collects the whole reply to one question: its text, its audio and what it used."""

import asyncio
from dataclasses import dataclass

from voxd.engine.downlink import complete_error
from voxd.errors import AudioError, DeviceError, ProviderError, VoxdError
from voxd.frames import BYTES_PER_SAMPLE
from voxd.providers.contract import ReplyAudio
from voxd.providers.events import (
    ErrorOccurred,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
)
from voxd.providers.realtime.reply_stream import ReplyStream
from voxd.providers.usage import Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. ``audio`` is mono s16le PCM at ``sample_rate`` Hz, b"" for one in text only."""

    text: str
    audio: bytes
    sample_rate: int
    usage: Usage

    def __str__(self) -> str:
        return self.text

    @property
    def content(self) -> str:
        """The text, under the name that it has in APIs of language models."""
        return self.text

    @property
    def duration_s(self) -> float:
        """The length of the audio."""
        return len(self.audio) / BYTES_PER_SAMPLE / self.sample_rate


class ReplyCollector:
    """The events of one reply of provider ``name``, see `take`, and what they amount to."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = ReplyStream(name, sound=True, detects_ends=False)
        self._stream.ask()
        # The responses since the question; one with tool calls is followed by another.
        self._ids: set[str | None] = set()
        self._has_begun = False
        # Whole texts, and the pieces of one that is not whole yet.
        self._texts: list[str] = []
        self._pieces = ""
        # The last error that the provider reported.
        self._cause: VoxdError | None = None

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join([*self._texts, self._pieces]).strip()

    def take(self, event: ProviderEvent) -> None:
        """Note one event of the engine."""
        match event:
            case ResponseStarted():
                self._ids.add(event.response_id)
                self._has_begun = True
            case ResponseCompleted() | ResponseCancelled():
                self._has_begun = False
            # Words may come after the completion of their response, and those of earlier ones as well.
            case TextOutput() if event.response_id in self._ids or (event.response_id is None and self._ids):
                self._pieces = self._pieces + event.text if event.is_partial else ""
                self._texts += [] if event.is_partial else [event.text]
            case ErrorOccurred():
                error = self._error_of(event)
                # Of the microphone or the loudspeaker: it does not concern the reply.
                if isinstance(error, AudioError | DeviceError):
                    return
                self._cause = error
                # A reply that has begun may survive it; if not, it is cancelled.
                if self._has_begun and event.recoverable is True:
                    return
        self._stream.take(event)
        if self._stream.error is not None and self._cause is not None:
            # The cause itself, of its own class, and not only that the reply was broken off.
            self._stream.error = self._cause

    async def audio(self) -> bytes:
        """Wait for the end of the reply and return its audio. Raises `VoxdError` when it is broken off."""
        reply, pcm = self._stream, bytearray()
        while True:
            while (item := reply.pop()) is not None:
                if isinstance(item, ReplyAudio):
                    pcm += item.clip.pcm
            if reply.error is not None:
                raise reply.error
            if reply.complete:
                # A third party may report a tool call after the completion, before the loop's next turn.
                await asyncio.sleep(0)
                if reply.complete:
                    return bytes(pcm)
            await reply.changed()

    def _error_of(self, event: ErrorOccurred) -> VoxdError:
        completed = complete_error(event)
        error = completed.error
        if type(error) is VoxdError or not isinstance(error, VoxdError):
            cause = error if isinstance(error, Exception) and type(error) is not VoxdError else None
            error = ProviderError(completed.message, code=completed.code, hint=completed.hint)
            error.__cause__ = cause
        if isinstance(error, ProviderError):
            error.provider = error.provider or self._name
        return error
