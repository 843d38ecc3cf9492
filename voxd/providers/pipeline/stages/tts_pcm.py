"""Decodes PCM from a text-to-speech vendor into clips of whole samples, and detects audio that is too slow.

A vendor that was asked for raw PCM may send a WAV file anyway (many OpenAI-compatible servers do): its header
is removed, and its sample rate used. Other formats would be played as noise, so they are detected by content
type or first bytes, and rejected.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from voxd.errors import ProviderError, StreamError
from voxd.frames import BYTES_PER_SAMPLE, Clip
from voxd.net import faults

MAX_HEADER_BYTES = 64 * 1024
"""How much of a WAV file may precede its audio."""

# "RIFF", the size of the file, "WAVE".
_RIFF_BYTES = 12
# The length of a streamed WAV file is not known; servers write 0, 0x7FFFxxxx or 0xFFFFFFFF.
_SIZE_UNKNOWN = 0x7FFF0000

# WAVE_FORMAT_PCM, and WAVE_FORMAT_EXTENSIBLE, which many encoders write for PCM too.
_PCM_TAGS = frozenset({1, 0xFFFE})
_FILES: Mapping[bytes, str] = {
    b"ID3": "an MP3 file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"<!DO": "a web page",
    b"<htm": "a web page",
    b"<HTM": "a web page",
}
_NOT_AUDIO = ("text/", "application/json", "application/xml", "application/problem", "application/xhtml")
_PACKED = ("audio/mpeg", "audio/mp3", "audio/ogg", "audio/opus", "audio/aac", "audio/flac", "audio/webm")


def check_type(provider: str, content_type: str) -> None:
    """Raise `ProviderError` when ``content_type`` cannot be PCM; a missing one ("") can."""
    kind = content_type.partition(";")[0].strip().lower()
    # The log-in page of a network answers every request, with status 200.
    if kind == "text/html":
        raise faults.captive_portal(provider)
    if kind.startswith(_NOT_AUDIO) or kind in _PACKED:
        raise _not_pcm(provider, kind)


class PcmDecoder:
    """Cuts audio that arrives in pieces of any length into clips; ``rate_hz`` is the requested rate."""

    def __init__(self, provider: str, rate_hz: int) -> None:
        self.provider = provider
        self.rate_hz = rate_hz
        self._held = b""
        self._known = False
        self._remaining_bytes: int | None = None
        self._spoken_bytes = 0

    @property
    def has_begun(self) -> bool:
        """Whether any audio was decoded."""
        return self._spoken_bytes > 0

    def feed(self, data: bytes) -> Clip | None:
        """Return the whole samples that ``data`` completes, None when there are none.

        Raises `ProviderError` when the data is not PCM.
        """
        self._held += data
        if not self._known and not self._detect_format():
            return None
        return self._cut()

    def finish(self) -> Clip | None:
        """Return the remaining samples; no data follows.

        Raises `StreamError` when there was no audio, or when it ended within a sample.
        """
        if not self._known:
            if self._held.startswith(b"RIFF"):
                raise _broken(self.provider)
            self._known = True
        clip = self._cut()
        if self._held and self._remaining_bytes != 0:
            raise _broken(self.provider)
        if not self._spoken_bytes:
            raise StreamError("the vendor sent no audio", provider=self.provider, code="no_sound")
        return clip

    def _cut(self) -> Clip | None:
        pcm = self._held
        if self._remaining_bytes is not None:
            pcm = pcm[: self._remaining_bytes]
        whole_bytes = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
        if self._remaining_bytes is not None:
            self._remaining_bytes -= whole_bytes
        self._held = b"" if self._remaining_bytes == 0 else self._held[whole_bytes:]
        if not whole_bytes:
            return None
        self._spoken_bytes += whole_bytes
        return Clip(pcm[:whole_bytes], self.rate_hz)

    def _detect_format(self) -> bool:
        """Whether the format is known; removes a WAV header."""
        head = self._held
        for magic, name in _FILES.items():
            if head.startswith(magic):
                raise (
                    faults.captive_portal(self.provider)
                    if name == "a web page"
                    else _not_pcm(self.provider, name)
                )
            # Not enough bytes yet to tell a file from samples.
            if len(head) < len(magic) and magic.startswith(head):
                return False
        maybe = head.startswith(b"RIFF") or b"RIFF".startswith(head)
        if maybe and len(head) < _RIFF_BYTES:
            return False
        self._known = self._remove_header() if maybe and head[8:12] == b"WAVE" else True
        return self._known

    def _remove_header(self) -> bool:
        """Remove a WAV header when all of it has arrived."""
        at = _RIFF_BYTES
        while len(self._held) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._held, at)
            at += 8
            if name == b"data":
                self._remaining_bytes = size if 0 < size < _SIZE_UNKNOWN else None
                self._held = self._held[at:]
                return True
            if name == b"fmt " and len(self._held) >= at + 16:
                tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", self._held, at)
                if tag not in _PCM_TAGS or channels != 1 or bits != 8 * BYTES_PER_SAMPLE or not rate_hz:
                    raise _not_pcm(self.provider, f"a WAV file of {channels} x {bits} bit")
                self.rate_hz = rate_hz
            # RIFF pads every chunk to an even length; the pad byte is not part of its size.
            at += size + size % 2
        if len(self._held) > MAX_HEADER_BYTES:
            raise _not_pcm(self.provider, "a WAV file with too long a header")
        return False


def _not_pcm(provider: str, what: str) -> ProviderError:
    hint = "check the provider's endpoint and options: the vendor must send PCM"
    error = StreamError(
        f"the vendor sent {what} instead of PCM", provider=provider, code="not_pcm", hint=hint
    )
    # Another attempt would get the same format.
    error.retryable = False
    return error


def _broken(provider: str) -> ProviderError:
    return StreamError("the audio ended within a sample", provider=provider, code="truncated")


GRACE_S = 2.0
"""How long playback may be interrupted, by default."""

T = TypeVar("T")


class PlaybackLead:
    """How far received audio is ahead of playback, which may be interrupted for ``grace_s`` (None:
    `GRACE_S`).

    The first audio may take ``first_s``; None means no longer than any other.
    """

    # A deadline for the whole would be wrong for a long text and late for a short one, and a deadline for
    # each chunk lets a vendor send a byte at a time. So the duration of the audio received is compared with
    # the time spent waiting for it; time in which the caller was busy with earlier audio does not count.

    def __init__(self, provider: str, *, first_s: float | None = None, grace_s: float | None = None) -> None:
        self._provider = provider
        self._grace_s = GRACE_S if grace_s is None else grace_s
        self._ahead_s = self._grace_s if first_s is None else max(first_s, 0.0)
        self._has_begun = False

    @property
    def allowed_s(self) -> float:
        """How long the next chunk may take, in seconds."""
        return self._ahead_s

    def add(self, clip: Clip) -> None:
        """Count ``clip`` as received."""
        if not self._has_begun:
            self._has_begun = True
            self._ahead_s = self._grace_s
        self._ahead_s += clip.duration_s

    def waited(self, seconds: float) -> None:
        """Count ``seconds`` of waiting."""
        self._ahead_s = max(self._ahead_s - seconds, 0.0)

    async def wait_for(self, piece: Awaitable[T]) -> T:
        """Return the result of ``piece``. Raises `ProviderError` when it takes too long."""
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self.allowed_s):
                return await piece
        except TimeoutError as error:
            if not self._has_begun:
                raise faults.connect_error(self._provider, error) from None
            msg = "the audio arrives slower than real time"
            raise StreamError(msg, provider=self._provider, code="too_slow") from None
        finally:
            self.waited(time.monotonic() - began_s)
