"""Turns what a text-to-speech vendor sends into clips: recognised by its content, decoded, or refused.

Every stage passes its bytes through `SoundDecoder`, whatever carried them. A vendor that was asked for raw
PCM may send a WAV file (many OpenAI-compatible servers do), MP3, or the JSON of an error with status 200; its
label says little about which. Anything but raw samples is proved by its content, so quiet sound is never
refused.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

from voxd.audio.formats.packed import PackedReader
from voxd.audio.formats.recognise import NOISE_BYTES, Format, find_frames, is_noise, recognise
from voxd.audio.formats.samples import TOLERATED_BYTES, Encoding, SampleReader, UnusableSound
from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.net.faults import RefusalReader, redact
from voxd.tasks import in_thread

MAX_MESSAGE_BYTES = 64 * 1024
"""How much of a text is read that came in place of sound."""

_RATE = re.compile(r"\brate=(\d{4,6})\b")
# A proxy repeats the status of the vendor in the body of a response that succeeded.
_STATUS = re.compile(rb'"(?:code|status|status_code|http_status)"\s*:\s*"?([45]\d\d)\b')
_STATE = re.compile(rb'"status"\s*:\s*"([^"]*)"')
_CHANNELS = re.compile(r"\bchannels=([1-8])\b")
# RFC 3551, sections 4.5.14: PCMU and PCMA; RFC 2046, section 4.2: audio/basic is mu-law at 8 kHz.
_G711: Mapping[str, str] = {
    "basic": "mulaw",
    "mulaw": "mulaw",
    "x-mulaw": "mulaw",
    "ulaw": "mulaw",
    "x-ulaw": "mulaw",
    "mu-law": "mulaw",
    "pcmu": "mulaw",
    "g711-ulaw": "mulaw",
    "alaw": "alaw",
    "x-alaw": "alaw",
    "a-law": "alaw",
    "x-alaw-basic": "alaw",
    "pcma": "alaw",
    "g711-alaw": "alaw",
}
_G711_RATE_HZ = 8000
# Labels of formats that have a beginning of their own: when it is missing, more is looked at.
_PACKED_LABELS = ("mpeg", "mp3", "mp4", "ogg", "opus", "aac", "flac", "webm", "m4a")


def encoding_of(content_type: str, rate_hz: int) -> Encoding:
    """Return the encoding of raw samples labelled ``content_type``, when ``rate_hz`` was requested."""
    kind, _, parameters = content_type.lower().partition(";")
    name = kind.strip().rpartition("/")[2]
    rate, channels = _RATE.search(parameters), _CHANNELS.search(parameters)
    count = int(channels[1]) if channels else 1
    if law := _G711.get(name):
        return Encoding(int(rate[1]) if rate else _G711_RATE_HZ, law, 1, count)
    return Encoding(int(rate[1]) if rate else rate_hz, channels=count)


class SoundDecoder:
    """Cuts sound that arrives in pieces of any length into clips.

    ``encoding`` is that of raw samples; what a file says about itself wins over it. ``label`` is the content
    type, if any; ``read_refusal`` reads the JSON of an error, from which ``key`` is removed.
    """

    def __init__(
        self,
        provider: str,
        encoding: Encoding,
        *,
        label: str = "",
        read_refusal: RefusalReader | None = None,
        key: str = "",
    ) -> None:
        self.provider = provider
        self.encoding = encoding
        self.has_begun = False
        """Whether any audio was decoded."""
        self._read_refusal = read_refusal
        self._key = key
        self._is_doubted = any(name in label.lower() for name in _PACKED_LABELS)
        self._form: Format | None = None
        # What has arrived, as long as it is needed to recognise the format or to report a message.
        self._head = b""
        # Only 16-bit samples have an order that compressed data lacks; one byte of mu-law has none either.
        self._is_judged = encoding.width == 1
        self._samples = SampleReader(encoding)
        self._packed: PackedReader | None = None

    async def feed(self, data: bytes) -> list[Clip]:
        """Return the clips that ``data`` completes. Raises `ProviderError` when it is not audio."""
        return self._noted(await self._read(data, is_last=False))

    async def finish(self) -> list[Clip]:
        """Return the remaining clips; no data follows.

        Raises `StreamError` when there was no audio, or less of it than its header promised.
        """
        clips = self._noted(await self._read(b"", is_last=True))
        if self._packed is not None:
            clips += self._noted(await self._unpack(self._packed.finish))
        else:
            clips += self._noted(self._samples.finish())
            if self._samples.missing_bytes > TOLERATED_BYTES:
                msg = "the audio ended too early"
                raise StreamError(msg, provider=self.provider, code="truncated")
        if not self.has_begun:
            raise StreamError("the vendor sent no audio", provider=self.provider, code="no_sound")
        return clips

    def _noted(self, clips: list[Clip]) -> list[Clip]:
        self.has_begun = self.has_begun or bool(clips)
        return clips

    async def _read(self, data: bytes, *, is_last: bool) -> list[Clip]:
        if self._form is None or self._form.is_text or not self._is_judged:
            self._head += data
        if self._form is None:
            self._form, data = recognise(self._head, is_whole=is_last), self._head
        if self._form is None:
            return []
        if self._form.is_text:
            # The message may still be arriving; a web page needs none.
            if is_last or self._form is Format.HTML or len(self._head) > MAX_MESSAGE_BYTES:
                raise self._message_error(self._form)
            return []
        if self._form is Format.SAMPLES and not self._is_judged:
            data = self._judge(data, is_last=is_last)
        if self._form.is_packed:
            self._packed = self._packed or PackedReader(self._form)
            return await self._unpack(partial(self._packed.feed, data))
        if self._form not in {Format.SAMPLES, Format.WAV}:
            raise self._not_pcm(self._form.value)
        try:
            return self._samples.feed(data)
        except UnusableSound as error:
            raise self._not_pcm(str(error)) from None

    def _judge(self, data: bytes, *, is_last: bool) -> bytes:
        """Return what to play of ``data``: all of it while nothing is suspicious, none while more is needed.

        Raises `StreamError` when what seemed to be samples is compressed data.
        """
        if len(self._head) < NOISE_BYTES and not is_last:
            return b"" if self._is_doubted else data
        self._is_judged = True
        # Frames behind something else: padding, a broken frame at the beginning, an unknown tag.
        found = find_frames(self._head)
        if found is Format.MP3 and not self.has_begun:
            self._form = found
            return self._head
        if found is not None or is_noise(self._head):
            raise self._not_pcm(found.value if found else "compressed data")
        return self._head if self._is_doubted else data

    async def _unpack(self, work: Callable[[], Clip | None]) -> list[Clip]:
        try:
            clip = await in_thread(work, name="decode speech")
        except UnusableSound as error:
            raise self._not_pcm(f"damaged sound: {error}") from None
        return [] if clip is None else [clip]

    def _message_error(self, form: Format) -> ProviderError:
        """Return the error that the vendor sent in place of sound."""
        if form is Format.HTML:
            # The log-in page of a network answers every request, with status 200.
            return faults.captive_portal(self.provider)
        body = redact(self._head, self._key)
        named = faults.parse_refusal({}, body) if form is Format.JSON else faults.RefusalText()
        state = _STATE.search(body)
        # The state of a job ("queued") is no error.
        is_state = state is not None and state[1].decode(errors="replace") == named.name
        says_why = named.message or (named.name and not is_state)
        if self._read_refusal is None or not says_why:
            return self._not_pcm(form.value)
        status = _STATUS.search(body)
        return self._read_refusal(self.provider, int(status[1]) if status else 400, {}, body)

    def _not_pcm(self, what: str) -> ProviderError:
        hint = "set the provider's endpoint and model to ones that send PCM, WAV, MP3, Ogg or FLAC"
        error = StreamError(
            f"the vendor sent {what} instead of sound", provider=self.provider, code="not_pcm", hint=hint
        )
        # Another attempt would get the same format.
        error.retryable = False
        return error
