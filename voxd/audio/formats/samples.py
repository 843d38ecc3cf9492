"""Samples of any encoding as mono 16-bit sound, with WAV headers removed wherever they are in a stream.

A header may come once, with every piece, or in the middle; its length may be unknown, wrong, or that of one
piece only. What it says about rate and encoding wins over what was expected.
"""

import struct
from dataclasses import dataclass

import numpy as np

from voxd.audio.formats.recognise import RIFX, WAV_IDS
from voxd.frames import BYTES_PER_SAMPLE, Clip

MAX_HEADER_BYTES = 64 * 1024
"""How much of a WAV file may precede its audio."""

TOLERATED_BYTES = 512
"""How much less than promised may arrive: some servers count the header as audio."""

# A header of unknown length says 0, 0x7FFFxxxx or 0xFFFFFFFF; a length that is never sent means the same.
_UNKNOWN_BYTES = 0x4000_0000
# An id, the size of the file, "WAVE".
_RIFF_BYTES = 12
# Chunks that may follow the audio of a WAV file; anything else there is more audio.
_CHUNKS = frozenset(
    (
        b"LIST",
        b"id3 ",
        b"ID3 ",
        b"fact",
        b"cue ",
        b"smpl",
        b"bext",
        b"JUNK",
        b"junk",
        b"PAD ",
        b"inst",
        b"iXML",
    )
) | {b"data", b"fmt ", b"PEAK", b"plst", b"acid", b"_PMX", b"FLLR", b"axml", b"chna", b"afsp", b"DISP"}

_PCM, _FLOAT, _A_LAW, _MU_LAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_TAG_NAMES = {2: "ADPCM", 0x11: "ADPCM", 0x31: "GSM", 0x50: "MPEG", 0x55: "MP3", 0xFF: "AAC"}


class UnusableSound(ValueError):
    """The sound has an encoding that cannot be decoded; its text names it."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How samples are written: ``kind`` is "int", "float", "mulaw" or "alaw", ``width`` the bytes of one."""

    rate_hz: int
    kind: str = "int"
    width: int = BYTES_PER_SAMPLE
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """The bytes of one sample of every channel."""
        return self.width * self.channels

    def to_int16(self, raw: bytes) -> bytes:
        """Return whole frames as mono 16-bit samples, the channels averaged."""
        if self.kind == "int" and self.width == BYTES_PER_SAMPLE:
            samples = np.frombuffer(raw, "<i2")
        elif self.kind == "float":
            wide = np.frombuffer(raw, "<f4" if self.width == 4 else "<f8").astype(np.float64)
            samples = np.clip(np.nan_to_num(wide) * 32_768, -32_768, 32_767).round().astype("<i2")
        elif self.kind == "int":
            samples = _from_int(raw, self.width)
        else:
            samples = (_MU_TABLE if self.kind == "mulaw" else _A_TABLE)[np.frombuffer(raw, np.uint8)]
        if self.channels > 1:
            # Averaged, not summed: a sum of two channels may exceed 16 bits.
            samples = samples.reshape(-1, self.channels).mean(axis=1).round()
        return samples.astype("<i2").tobytes()


class SampleReader:
    """Cuts samples that arrive in pieces of any length into clips; ``encoding`` holds until a header."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._held = b""
        self._read = self._samples
        # Of the audio of the current header; None when its length is not known.
        self._left: int | None = None
        self._clips: list[Clip] = []
        self._has_begun = False
        self.missing_bytes = 0
        """After `finish`: how much less audio arrived than the last header promised."""

    def feed(self, data: bytes) -> list[Clip]:
        """Return what ``data`` completes. Raises `UnusableSound`."""
        self._held += data
        while self._read():
            pass
        clips, self._clips = self._clips, []
        return clips

    def finish(self) -> list[Clip]:
        """Return the rest; no data follows. Raises `UnusableSound` in the middle of a header."""
        is_cut = self._read == self._header or (self._held[:4] in WAV_IDS and not self._has_begun)
        if self._read == self._samples and not is_cut:
            self._emit(self._held)
            self.missing_bytes = self._left or 0
            # A last half sample is a slip of the vendor; a half sample alone is not audio.
            is_cut = bool(self._held) and not self._has_begun
        if is_cut:
            self.missing_bytes = MAX_HEADER_BYTES
        self._held = b""
        clips, self._clips = self._clips, []
        return clips

    # Each of the three returns whether another step may be possible with what has arrived.

    def _samples(self) -> bool:
        at = _find_header(self._held)
        if self._left is not None and (at < 0 or at >= self._left) and len(self._held) >= self._left:
            self._emit(self._held[: self._left])
            self._read = self._after
            return True
        if at < 0:
            # What may be the beginning of a header is held back.
            self._emit(self._held[: len(self._held) - _partial_header(self._held)])
            return False
        self._emit(self._held[:at])
        # An incomplete sample before a header belongs to nothing.
        self._held = self._held[_find_header(self._held) :]
        self._read = self._header
        return True

    def _emit(self, raw: bytes) -> None:
        """Add the whole frames of ``raw``, which is the beginning of what is held."""
        whole_bytes = len(raw) - len(raw) % self._encoding.frame_bytes
        self._held = self._held[whole_bytes:]
        if self._left is not None:
            self._left = max(self._left - whole_bytes, 0)
            if self._left < self._encoding.frame_bytes:
                self._held, self._left = self._held[self._left :], 0
        if whole_bytes:
            self._has_begun = True
            self._clips.append(Clip(self._encoding.to_int16(raw[:whole_bytes]), self._encoding.rate_hz))

    def _after(self) -> bool:
        """What follows the audio of a header: another header, chunks that are skipped, or more audio."""
        if not self._held:
            return False
        is_header = any(self._held[:4] == riff[: len(self._held)] for riff in WAV_IDS)
        if (is_header and len(self._held) < _RIFF_BYTES) or len(self._held) < 8:
            return False
        self._left = None
        if _find_header(self._held) == 0:
            self._read = self._header
            return True
        name, size = struct.unpack_from("<4sI", self._held)
        if name == b"data":
            self._held, self._left, self._read = self._held[8:], _known(size), self._samples
        elif name in _CHUNKS:
            self._left, self._read, self._held = size + size % 2, self._skip, self._held[8:]
        else:
            self._read = self._samples
        return True

    def _skip(self) -> bool:
        skipped = min(self._left or 0, len(self._held))
        self._held, self._left = self._held[skipped:], (self._left or 0) - skipped
        if self._left:
            return False
        self._read = self._after
        return True

    def _header(self) -> bool:
        """Remove a WAV header when all of it has arrived."""
        if self._held.startswith(RIFX):
            raise UnusableSound("a WAV file in big endian")
        at, long_bytes, encoding = _RIFF_BYTES, None, None
        while len(self._held) >= at + 8:
            name, size = struct.unpack_from("<4sI", self._held, at)
            at += 8
            if name == b"data":
                if encoding is None:
                    raise UnusableSound("a WAV file without a format")
                self._encoding, self._held = encoding, self._held[at:]
                self._left = _known(long_bytes if long_bytes and size == 0xFFFF_FFFF else size)
                self._read = self._samples
                return True
            if len(self._held) < at + min(size, 40):
                break
            if name == b"fmt ":
                encoding = _read_format(self._held[at : at + min(size, 40)])
            elif name == b"ds64":
                long_bytes = struct.unpack_from("<Q", self._held, at + 8)[0]
            # RIFF pads every chunk to an even length; the pad byte is not part of its size.
            at += size + size % 2
        if len(self._held) > MAX_HEADER_BYTES or at > MAX_HEADER_BYTES:
            raise UnusableSound("a WAV file with too long a header")
        return False


def _known(size: int) -> int | None:
    return size if 0 < size < _UNKNOWN_BYTES else None


def _find_header(data: bytes) -> int:
    """Return where the next WAV header begins, -1 when there is none."""
    for riff in WAV_IDS:
        at = data.find(riff)
        while at >= 0:
            if data[at + 8 : at + 12] == b"WAVE":
                return at
            at = data.find(riff, at + 1)
    return -1


def _partial_header(data: bytes) -> int:
    """Return how many bytes at the end of ``data`` may be the beginning of a WAV header."""
    for count in range(min(_RIFF_BYTES - 1, len(data)), 0, -1):
        tail = data[-count:]
        if any(tail[:4] == riff[:count] for riff in WAV_IDS) and b"WAVE".startswith(tail[8:]):
            return count
    return 0


def _read_format(form: bytes) -> Encoding:
    """Return the encoding in a ``fmt`` chunk. Raises `UnusableSound`."""
    if len(form) < 16:
        raise UnusableSound("a WAV file with a broken format")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == _EXTENSIBLE and len(form) >= 26:
        # The SubFormat begins with the real tag (KSDATAFORMAT_SUBTYPE_*).
        tag = struct.unpack_from("<H", form, 24)[0]
    kind = {_PCM: "int", _EXTENSIBLE: "int", _FLOAT: "float", _A_LAW: "alaw", _MU_LAW: "mulaw"}.get(tag)
    width = (bits + 7) // 8
    widths = {"int": (1, 2, 3, 4), "float": (4, 8)}.get(kind or "", (1,))
    if kind is None or width not in widths or not 1 <= channels <= 8 or not 1000 <= rate_hz <= 384_000:
        what = _TAG_NAMES.get(tag, f"{bits} bit")
        raise UnusableSound(f"a WAV file of {channels} x {what} at {rate_hz} Hz")
    return Encoding(rate_hz, kind, width, channels)


def _from_int(raw: bytes, width: int) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    if width == 1:
        # Eight bits are unsigned (RIFF, "WAVE PCM").
        return ((np.frombuffer(raw, np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
    # Little endian: the two most significant bytes of each sample are the last two.
    octets = np.frombuffer(raw, np.uint8).reshape(-1, width)[:, -2:]
    return np.frombuffer(octets.tobytes(), "<i2").astype(np.int16)


def _g711_tables() -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], ...]:
    """Return the values of the 256 codes of mu-law and A-law (ITU-T G.711)."""
    codes = np.arange(256)
    mu = ~codes & 0xFF
    mu_values = ((((mu & 15) << 3) + 132) << ((mu >> 4) & 7)) - 132
    mu_values = np.where(mu & 0x80, -mu_values, mu_values)
    a = codes ^ 0x55
    step, part = (a >> 4) & 7, (a & 15) << 4
    a_values = np.where(step == 0, part + 8, (part + 0x108) << np.maximum(step - 1, 0))
    a_values = np.where(a & 0x80, a_values, -a_values)
    return mu_values.astype(np.int16), a_values.astype(np.int16)


_MU_TABLE, _A_TABLE = _g711_tables()
