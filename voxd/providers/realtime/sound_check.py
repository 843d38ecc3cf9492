"""Checks by its content that the sound of a reply is what its provider says: mono or stereo 16-bit samples.

Servers that imitate a vendor send WAV files, MP3 or the JSON of an error in place of samples, which would be
heard as noise. Samples pass at once and unchanged.
"""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from voxd.audio.formats.recognise import MAX_HEAD_BYTES, NOISE_BYTES, WAV_IDS, Format, is_noise, recognise
from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    ProviderEvent,
    ReplyInterrupted,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
)

if TYPE_CHECKING:
    # They load numpy and soxr, which only a vendor that sends files needs.
    from voxd.audio.formats.samples import SampleReader
    from voxd.audio.sound import Resampler

# Fewer printable bytes may be samples.
_TEXT_BYTES = 16


class SoundCheck:
    """The sound of one response after the other; every provider's events pass through `take`."""

    def __init__(self) -> None:
        self._refused = False
        self._forget()

    def take(self, event: ProviderEvent) -> list[ProviderEvent]:
        """Return ``event``, or what is to be played of it: none of it while its format is not known."""
        match event:
            case AudioOutputChunk():
                return self._chunk(event)
            case AudioOutputStarted() | AudioOutputStopped() | ResponseCompleted():
                return [*self._finish(), event]
            case ResponseStarted() | ResponseCancelled() | ReplyInterrupted():
                self._refused = False
                self._forget()
        return [event]

    def _forget(self) -> None:
        self._form: Format | None = None
        self._held: AudioOutputChunk | None = None
        self._samples: SampleReader | None = None
        self._resampler: Resampler | None = None
        self._last: AudioOutputChunk | None = None

    def _chunk(self, chunk: AudioOutputChunk) -> list[ProviderEvent]:
        if self._refused:
            return []
        last = self._last
        if last is not None and (chunk.response_id, chunk.item_id) != (last.response_id, last.item_id):
            rest = self._finish()
            return [*rest, *self._chunk(chunk)]
        self._last = chunk
        if self._form is Format.SAMPLES and not chunk.audio_data.startswith(WAV_IDS):
            return [chunk]
        return self._recognised(chunk, is_whole=False)

    def _recognised(self, chunk: AudioOutputChunk, *, is_whole: bool) -> list[ProviderEvent]:
        if self._samples is not None:
            return self._unwrapped(chunk)
        before = b"" if self._held is None else self._held.audio_data
        chunk = replace(chunk, audio_data=before + chunk.audio_data)
        head = chunk.audio_data[:MAX_HEAD_BYTES]
        self._form, self._held = recognise(head, is_whole=is_whole), None
        if self._form is Format.SAMPLES and len(before) >= _TEXT_BYTES:
            # A short message that samples follow is still one.
            alone = recognise(before, is_whole=True)
            self._form = alone if alone is not None and alone.is_text else self._form
        if self._form is None:
            self._held = chunk
            return []
        if self._form is Format.WAV:
            from voxd.audio.formats.samples import Encoding, SampleReader

            self._samples = SampleReader(Encoding(chunk.sample_rate, channels=chunk.channels))
            return self._unwrapped(chunk)
        if self._form is not Format.SAMPLES:
            return self._refuse(self._form.value)
        if len(head) >= NOISE_BYTES and is_noise(head[:NOISE_BYTES]):
            return self._refuse("compressed data")
        return [chunk]

    def _unwrapped(self, chunk: AudioOutputChunk) -> list[ProviderEvent]:
        """Return the samples of a WAV file, at the rate that was announced."""
        assert self._samples is not None
        try:
            clips = self._samples.feed(chunk.audio_data)
        except ValueError as error:
            # `UnusableSound`: the header is broken, or names an encoding that cannot be read.
            return self._refuse(str(error))
        found = [self._converted(clip, chunk) for clip in clips]
        return [each for each in found if each.audio_data]

    def _converted(self, clip: Clip, chunk: AudioOutputChunk) -> AudioOutputChunk:
        pcm = clip.pcm
        if clip.rate_hz != chunk.sample_rate:
            from voxd.audio.sound import Resampler

            self._resampler = self._resampler or Resampler(clip.rate_hz, chunk.sample_rate)
            pcm = self._resampler.feed(pcm)
        return replace(chunk, audio_data=pcm, channels=1)

    def _finish(self) -> list[ProviderEvent]:
        """Return what was held back; no more of this sound follows."""
        held, last = self._held, self._last
        found: list[ProviderEvent] = []
        if held is not None:
            self._held = None
            found = self._recognised(held, is_whole=True)
        if self._samples is not None and last is not None:
            found += [self._converted(clip, last) for clip in self._samples.finish()]
            if self._resampler is not None:
                found.append(replace(last, audio_data=self._resampler.feed(b"", last=True), channels=1))
        self._forget()
        return [each for each in found if not isinstance(each, AudioOutputChunk) or each.audio_data]

    def _refuse(self, what: str) -> list[ProviderEvent]:
        # Once for each response; the rest of its sound is dropped.
        self._refused = True
        self._forget()
        hint = "set the provider's endpoint and model to ones that send PCM or WAV"
        error: ProviderError = StreamError(
            f"the vendor sent {what} instead of sound", code="not_pcm", hint=hint
        )
        error.retryable = False
        return [ErrorOccurred.of(error)]
