"""Frame headers of MPEG audio (ISO/IEC 11172-3, 13818-3) and ADTS (ISO/IEC 13818-7); MP3 in whole frames."""

from dataclasses import dataclass

_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBPS_LAYER_2 = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_RATES_HZ = (44_100, 48_000, 32_000)
# The two bits of the version: MPEG 2.5, reserved, MPEG 2, MPEG 1. The rate is divided by two per step.
_V1, _V25, _RESERVED = 3, 0, 1
_LAYER_2, _LAYER_3 = 2, 1
# Of ADTS, rate indexes 13 to 15 are reserved.
_ADTS_RATES = 13


@dataclass(frozen=True, slots=True)
class MpegFrame:
    """A frame: its length in bytes, and what is equal in all frames of one stream."""

    length: int
    stream: tuple[int, ...]


def mp3_frame(body: bytes, at: int) -> MpegFrame | None:
    """Return the frame of MPEG audio, layer II or III, whose header is at ``at``; None if there is none."""
    if at + 4 > len(body) or body[at] != 0xFF or body[at + 1] < 0xE0:
        return None
    version, layer = (body[at + 1] >> 3) & 3, (body[at + 1] >> 1) & 3
    kbps_index, rate_index = body[at + 2] >> 4, (body[at + 2] >> 2) & 3
    # Layer I is not used for speech, a free bit rate (0) has no length, and an emphasis of 2 is reserved.
    if version == _RESERVED or layer not in {_LAYER_2, _LAYER_3} or rate_index == 3:
        return None
    if kbps_index in {0, 15} or body[at + 3] & 3 == 2:
        return None
    if layer == _LAYER_2:
        kbps = (_KBPS_LAYER_2 if version == _V1 else _KBPS_2)[kbps_index]
    else:
        kbps = (_KBPS_1 if version == _V1 else _KBPS_2)[kbps_index]
    rate_hz = _RATES_HZ[rate_index] >> (0 if version == _V1 else 2 if version == _V25 else 1)
    samples = 1152 if version == _V1 or layer == _LAYER_2 else 576
    length = samples // 8 * kbps * 1000 // rate_hz + ((body[at + 2] >> 1) & 1)
    # A stream may change between stereo and joint stereo, but not between one channel and two.
    return MpegFrame(length, (version, layer, rate_index, int(body[at + 3] >> 6 == 3)))


def adts_frame(body: bytes, at: int) -> MpegFrame | None:
    """Return the ADTS frame whose header is at ``at``; None if there is none."""
    if at + 6 > len(body) or body[at] != 0xFF or body[at + 1] & 0xF6 != 0xF0:
        return None
    rate_index = (body[at + 2] >> 2) & 15
    length = (body[at + 3] & 3) << 11 | body[at + 4] << 3 | body[at + 5] >> 5
    if rate_index >= _ADTS_RATES or length <= 7:
        return None
    return MpegFrame(length, (body[at + 1], body[at + 2] & 0xFD, body[at + 3] >> 6))


class Mp3Frames:
    """Collects the whole frames of an MP3 stream that arrives in pieces, without its tags.

    The decoder needs a header with the number of frames: without it, it estimates the length of a stream of
    variable bit rate, and may drop more than half of it (libsndfile 1.2).
    """

    def __init__(self) -> None:
        self._held = b""
        self._frames = bytearray()
        self._count = 0
        self._first = b""
        self._stream: tuple[int, ...] | None = None

    def feed(self, data: bytes) -> None:
        """Take ``data``."""
        self._held += data
        at = self._tag_bytes()
        if at > len(self._held):
            return
        while at + 4 <= len(self._held):
            frame = mp3_frame(self._held, at)
            # The first frame is believed when another one follows it.
            following = 4 if self._stream is None else 0
            if frame is not None and at + frame.length + following > len(self._held):
                break
            if frame is None or not self._belongs(frame, at):
                # Padding, a tag in the middle, or a damaged frame: the next header is looked for.
                found = self._held.find(b"\xff", at + 1)
                at = found if found >= 0 else len(self._held)
                continue
            self._add(self._held[at : at + frame.length])
            at += frame.length
        self._held = self._held[at:]

    @property
    def size_bytes(self) -> int:
        """The size of the frames."""
        return len(self._frames)

    def file(self) -> bytes:
        """Return the frames so far as a file, b"" without any."""
        return _info_frame(self._first, self._count) + bytes(self._frames) if self._count else b""

    def _belongs(self, frame: MpegFrame, at: int) -> bool:
        """Whether ``frame`` is one of this stream; the first must be followed by another one."""
        if self._stream is None:
            following = mp3_frame(self._held, at + frame.length)
            if following is None or following.stream != frame.stream:
                return False
            self._stream = frame.stream
        return frame.stream == self._stream

    def _add(self, frame: bytes) -> None:
        # An encoder's own header describes a file that may not be complete, and holds no audio.
        if b"Xing" in frame[:64] or b"Info" in frame[:64] or frame[36:40] == b"VBRI":
            return
        self._first = self._first or frame
        self._frames += frame
        self._count += 1

    def _tag_bytes(self) -> int:
        """Return the length of the ID3v2 tag at the beginning, 0 without one."""
        if self._count or self._held[:3] != b"ID3" or len(self._held) < 10:
            return 0
        # ID3v2.4, section 3.1: seven bits a byte, without the header of ten bytes.
        size = 0
        for byte in self._held[6:10]:
            size = size << 7 | byte & 0x7F
        return size + 10


def _info_frame(like: bytes, count: int) -> bytes:
    """Return a Xing header that says that ``count`` frames like ``like`` follow."""
    version, channels = (like[1] >> 3) & 3, like[3] >> 6
    side_bytes = (17 if channels == 3 else 32) if version == _V1 else (9 if channels == 3 else 17)
    # The bit rate is raised where the frame would be too short for the header; protection is off.
    head = bytearray((like[0], like[1] | 1, like[2] & 0x0D | 0x90, like[3]))
    frame = mp3_frame(bytes(head), 0)
    body = bytes(head) + bytes(side_bytes) + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
    return body.ljust(frame.length if frame else len(body), b"\0")
