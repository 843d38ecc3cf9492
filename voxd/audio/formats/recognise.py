"""Recognises what a body is by its first bytes, never by its label.

Raw samples have no magic number, so they are what is left when nothing else fits: every other format must be
proved, by a magic number of at least 24 bits or by a chain of frame headers.
"""

import itertools
import math
import struct
from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType

from voxd.audio.formats.mpeg import MpegFrame, adts_frame, mp3_frame

MAX_HEAD_BYTES = 8192
"""How much of a body is looked at; with so many bytes `recognise` always decides."""

NOISE_BYTES = 2048
"""So many bytes tell compressed data without a known beginning from samples."""

# A log line, a word of an error: fewer bytes than this are 0.3 ms of sound.
_LEAST_TEXT_BYTES = 3
# So many printable bytes in a row are no samples: of speech at least every second byte is not printable.
_TEXT_BYTES = 48
# Headers that must follow each other: one alone is 12 bits, which a quiet sample may have too.
_CHAIN = 3
_NOISE_SAMPLES = 1000
# An id, a length, a kind; the header of an ID3 tag; that of gzip.
_CONTAINER_BYTES = 12
_TAG_BYTES = 10
_ADTS_BYTES = 6


class Format(Enum):
    """What a body is; its value is how a message names it."""

    SAMPLES = "raw samples"
    WAV = "a WAV file"
    MP3 = "an MP3 file"
    OGG = "an Ogg file"
    FLAC = "a FLAC file"
    AIFF = "an AIFF file"
    AU = "an AU file"
    CAF = "a CAF file"
    W64 = "a W64 file"
    AAC = "an AAC stream"
    MP4 = "an M4A or MP4 file"
    MATROSKA = "a WebM or Matroska file"
    ASF = "a WMA file"
    AMR = "an AMR file"
    OTHER = "a file that is not sound"
    GZIP = "compressed data"
    ZIP = "a ZIP archive"
    HTML = "a web page"
    XML = "XML"
    JSON = "JSON"
    TEXT = "text"

    @property
    def is_text(self) -> bool:
        """Whether it is a message, not a file."""
        return self in _TEXTS

    @property
    def is_packed(self) -> bool:
        """Whether it is sound that libsndfile decodes; WAV and raw samples need no decoder."""
        return self in _PACKED


_TEXTS = frozenset({Format.HTML, Format.XML, Format.JSON, Format.TEXT})
_PACKED = frozenset({Format.MP3, Format.OGG, Format.FLAC, Format.AIFF, Format.AU, Format.CAF, Format.W64})
# The bytes, and where they are. Sources: the registries of the IANA and of the Library of Congress.
_MAGIC: Mapping[tuple[int, bytes], Format] = MappingProxyType(
    {
        (0, b"OggS\0"): Format.OGG,
        (0, b"fLaC"): Format.FLAC,
        (0, b".snd\0\0\0"): Format.AU,
        (0, b"caff\0\1"): Format.CAF,
        (0, b"riff\x2e\x91\xcf\x11"): Format.W64,
        (4, b"ftyp"): Format.MP4,
        (4, b"styp"): Format.MP4,
        (4, b"moof"): Format.MP4,
        (0, b"\x1aE\xdf\xa3"): Format.MATROSKA,
        (0, b"0&\xb2u\x8ef\xcf\x11"): Format.ASF,
        (0, b"#!AMR"): Format.AMR,
        (0, b"#!SILK"): Format.OTHER,
        (0, b"ADIF"): Format.AAC,
        (0, b"FLV\1"): Format.OTHER,
        (0, b"wvpk"): Format.OTHER,
        (0, b"MThd\0\0\0\6"): Format.OTHER,
        (0, b"PK\3\4"): Format.ZIP,
        (0, b"\x28\xb5\x2f\xfd"): Format.GZIP,
        (0, b"%PDF-"): Format.OTHER,
        (0, b"\x89PNG\r\n\x1a\n"): Format.OTHER,
        (0, b"\x7fELF"): Format.OTHER,
    }
)
RIFX = b"RIFX"
"""The id of a WAV file in big endian."""

WAV_IDS = (b"RIFF", b"RF64", b"BW64", RIFX)
"""How a WAV file begins. RF64 and BW64 have sizes of 64 bits (EBU Tech 3306)."""

# A test's verdict: a format, False for "none of mine", True for "perhaps: more bytes are needed".
_Verdict = Format | bool


def recognise(head: bytes, *, is_whole: bool = False) -> Format | None:
    """Return the format of a body that begins with ``head``; None while more bytes could change the answer.

    ``is_whole``: no byte follows.
    """
    is_enough = is_whole or len(head) >= MAX_HEAD_BYTES
    perhaps = False
    for test in (_by_magic, _by_container, _by_tag, _as_text, _by_frames):
        verdict = test(head, is_enough)
        if isinstance(verdict, Format):
            return verdict
        perhaps = perhaps or verdict
    return None if perhaps and not is_enough else Format.SAMPLES


def find_frames(body: bytes) -> Format | None:
    """Return the kind of the frames that begin anywhere in ``body``, behind whatever precedes them."""
    at = body.find(b"\xff")
    while 0 <= at <= len(body) - 4:
        for read, found in _FRAMES:
            if _chain(body, at, read) >= _CHAIN:
                return found
        at = body.find(b"\xff", at + 1)
    return None


def is_noise(head: bytes) -> bool:
    """Whether ``head``, `NOISE_BYTES` or more, is compressed data: as samples it is loud white noise.

    Speech is neither: neighbouring samples are alike, and its level is some 20 dB lower.
    """
    # Not numpy, which a program with its own sound does not need; it is a matter of 1024 samples.
    samples = [value / 32_768 for (value,) in struct.iter_unpack("<h", head[: len(head) // 2 * 2])]
    count = len(samples)
    if count < _NOISE_SAMPLES:
        return False
    power, mean = sum(value * value for value in samples) / count, sum(samples) / count
    neighbours = sum(one * next for one, next in itertools.pairwise(samples)) / (count - 1)
    level, alike = math.sqrt(power), neighbours / max(power, 1e-12)
    # Equally distributed values have a level of 0.577, within 0.03 for so few of them.
    return 0.53 < level < 0.63 and abs(mean) < 0.08 and abs(alike) < 0.12


def _by_magic(head: bytes, is_enough: bool) -> _Verdict:
    perhaps = False
    for (at, magic), found in _MAGIC.items():
        part = head[at : at + len(magic)]
        if part == magic:
            return found
        # The bytes before ``at`` may be anything; those at it must fit as far as they go.
        perhaps = perhaps or magic.startswith(part)
    return perhaps and not is_enough


def _by_container(head: bytes, is_enough: bool) -> _Verdict:
    """RIFF and IFF: an id, a length of four bytes, a kind."""
    if not any(head[:4] == each[: len(head)] for each in (*WAV_IDS, b"FORM")):
        return False
    if len(head) < _CONTAINER_BYTES:
        return (Format.WAV if len(head) >= 4 and head[:4] in WAV_IDS else False) if is_enough else True
    kind = head[8:12]
    if kind == b"WAVE":
        return Format.WAV
    if head[:4] == b"FORM":
        return Format.AIFF if kind in {b"AIFF", b"AIFC"} else False
    return Format.OTHER if kind in {b"AVI ", b"WEBP", b"ACON"} else False


def _by_tag(head: bytes, is_enough: bool) -> _Verdict:
    """ID3, which precedes MP3, and gzip (RFC 1952, section 2.3): short magic numbers with fields to check."""
    if len(head) < _TAG_BYTES:
        return not is_enough and (b"ID3".startswith(head[:3]) or b"\x1f\x8b\x08".startswith(head[:3]))
    # ID3v2.4, section 3.1: the version is 2 to 4, and no byte of the length has its highest bit set.
    if head[:3] == b"ID3" and head[3] in {2, 3, 4} and head[4] < 0xFF and max(head[6:10]) < 0x80:
        return Format.MP3
    if head[:3] == b"\x1f\x8b\x08" and head[3] < 0x20 and head[8] in {0, 2, 4}:
        return Format.GZIP
    return False


def _as_text(head: bytes, is_enough: bool) -> _Verdict:
    part = head[:_TEXT_BYTES]
    if not _is_text(part):
        return False
    if len(part) < _TEXT_BYTES and not is_enough:
        return True
    if len(part) < _LEAST_TEXT_BYTES or len(set(part)) < min(len(part), 6) // 2:
        return False
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if begin.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return Format.HTML
    if begin.startswith(b"<"):
        return Format.XML
    return Format.JSON if begin.startswith((b"{", b"[")) else Format.TEXT


def _is_text(part: bytes) -> bool:
    """Whether ``part`` is UTF-8 without control characters; its last character may be cut."""
    for cut in range(4):
        try:
            text = part[: len(part) - cut].decode()
        except UnicodeDecodeError:
            continue
        return all(letter.isprintable() or letter in "\t\n\r\ufeff" for letter in text)
    return False


def _by_frames(head: bytes, is_enough: bool) -> _Verdict:
    for read, found in _FRAMES:
        links = _chain(head, 0, read)
        if links >= _CHAIN:
            return found
        left = len(head) - _walk(head, read) if links else len(head)
        # Nothing but whole frames, however few.
        if links and is_enough and len(head) <= MAX_HEAD_BYTES and left == 0:
            return found
        # The next header of the chain is still to come.
        if links and not is_enough and left < 4:
            return True
    # The header itself may still be on its way.
    return (
        not is_enough
        and len(head) < _ADTS_BYTES
        and head[:1] == b"\xff"
        and head[1:2] >= b"\xe0"[: len(head) - 1]
    )


def _chain(body: bytes, at: int, read: "_Reader") -> int:
    """Return how many frame headers of one stream follow each other from ``at`` on, `_CHAIN` at most."""
    first = read(body, at)
    frame, links = first, 0
    while first is not None and frame is not None and frame.stream == first.stream:
        links, at = links + 1, at + frame.length
        if links == _CHAIN:
            break
        frame = read(body, at)
    return links


def _walk(body: bytes, read: "_Reader") -> int:
    """Return where the unbroken chain of frames from the beginning on ends."""
    at = 0
    while (frame := read(body, at)) is not None:
        at += frame.length
    return at


_Reader = Callable[[bytes, int], MpegFrame | None]
_FRAMES: tuple[tuple[_Reader, Format], ...] = ((mp3_frame, Format.MP3), (adts_frame, Format.AAC))
