"""For vendors that transcribe a whole utterance at once: collect the audio, encode it, parse the response."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import msgspec

from voxd.audio import files
from voxd.errors import StreamError
from voxd.frames import SAMPLE_RATE_HZ, Clip, Frame
from voxd.net.transport import Access, HttpRequest, HttpResponse
from voxd.providers import lenient
from voxd.providers.pipeline.stages.contract import SpeechToText, Transcription, TranscriptionRequest
from voxd.tasks import in_thread

FLAC_TYPE = "audio/flac"

T = TypeVar("T")


class UploadSpeechToText(SpeechToText):
    """Uploads the utterance, as FLAC, when it has ended."""

    @abstractmethod
    def _call(self, request: TranscriptionRequest, sound: bytes, access: Access) -> HttpRequest:
        """Return the request that uploads ``sound``, the utterance as FLAC."""

    @abstractmethod
    def _read(self, answer: HttpResponse, clip: Clip) -> AsyncGenerator[Transcription]:
        """Yield the transcription in ``answer`` of the utterance ``clip``. Raises `ProviderError`."""

    @property
    def _first_byte_s(self) -> float | None:
        """How long the response may take to begin; None for the usual limit."""
        return None

    async def transcribe(
        self, audio: AsyncIterator[Frame], request: TranscriptionRequest
    ) -> AsyncGenerator[Transcription]:
        """Yield the text, partial ones first if the vendor streams them. Raises `ProviderError`."""
        # The length is limited where the utterance is recorded.
        clip = Clip(b"".join([frame.pcm async for frame in audio]), SAMPLE_RATE_HZ)
        if not clip.pcm:
            yield Transcription("", final=True)
            return
        sound = await encode_flac(clip)
        async with (
            self.transport.request(
                partial(self._call, request, sound),
                request.budget,
                kind="transcribe",
                read_refusal=self.refusal_reader,
                first_byte_s=self._first_byte_s,
            ) as answer,
            aclosing(self._read(answer, clip)) as transcriptions,
        ):
            async for each in transcriptions:
                yield each

    def prepare(self) -> None:
        """Open a connection while the user is still speaking."""
        # Nothing is sent yet: only the address of the request is used.
        self.transport.prepare(partial(self._call, TranscriptionRequest(), b""))


async def encode_flac(clip: Clip) -> bytes:
    """Return ``clip`` as FLAC. Raises `AudioError` when it is empty."""
    # Measured with six recordings: 17 to 66 % of the size of WAV, and 6 ms of an x86 core for 15 s of audio.
    # A block of captured audio may be delayed by 5 ms at most, so the encoder runs in a thread.
    return await in_thread(lambda: files.encode_flac(clip), name="encode an utterance")


def parse_answer(provider: str, answer: Any, kind: type[T]) -> T:
    """Return the JSON ``answer``, decoded or as text, as ``kind``. Raises `StreamError` when it differs."""
    try:
        if isinstance(answer, str):
            return lenient.decode(answer, kind)
        return lenient.convert(answer, kind)
    except (msgspec.DecodeError, RecursionError):
        raise StreamError(
            "the vendor's response is not a transcript", provider=provider, code="bad_answer"
        ) from None
