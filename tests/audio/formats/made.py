"""Small files of every format, made on the spot: a second of a tone that rises."""

import functools
import io
import struct

import numpy as np
import soundfile

RATE_HZ = 24_000
_TIME = np.arange(2 * RATE_HZ) / RATE_HZ
_TONE = (9000 * np.sin(2 * np.pi * (300 + 200 * _TIME) * _TIME)).astype("<i2")
TONE_PCM: bytes = _TONE.tobytes()
NOISE: bytes = np.random.default_rng(5).bytes(8192)


def wav(
    pcm: bytes,
    *,
    rate_hz: int = 22_050,
    channels: int = 1,
    bits: int = 16,
    size: int | None = None,
    between: bytes = b"",
    tag: int = 1,
) -> bytes:
    """A WAV file of ``pcm``, whose header says what it is told to say."""
    size = len(pcm) if size is None else size
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate_hz, rate_hz * 2, 2, bits)
    data = struct.pack("<4sI", b"data", size) + pcm
    return struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE") + form + between + data


@functools.cache
def coded(form: str) -> bytes:
    """`TONE_PCM` as ``form``: a format of libsndfile, and its subtype, or "ID3" for a tag before it."""
    name, _, more = form.partition(" ")
    target = io.BytesIO()
    soundfile.write(target, _TONE, RATE_HZ, format=name, subtype=more if more not in {"", "ID3"} else None)
    body = target.getvalue()
    if more == "ID3":
        body = (
            b"ID3\x04\x00\x00\x00\x00\x02\x00"
            + b"TSSE\x00\x00\x00\x0f\x00\x00\x03Lavf60.16.100".ljust(256, b"\0")
            + body
        )
    return body


def alike(pcm: bytes, other: bytes) -> bool:
    """Whether both are the same sound, up to the losses and the delay of a codec."""
    heard = np.frombuffer(pcm, "<i2").astype(float)
    meant = np.frombuffer(other, "<i2").astype(float)
    if not len(meant) * 0.97 <= len(heard) <= len(meant) * 1.06:
        return False
    size = len(heard) + len(meant)
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(meant, size)), size)
    return bool(product.max() > 0.95 * np.sqrt((heard**2).sum() * (meant**2).sum()))


def _adts(payload: bytes) -> bytes:
    length = len(payload) + 7
    head = bytes((0xFF, 0xF1, 0x4C, 0x40 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC))
    return head + payload


ADTS = b"".join(_adts(NOISE[at : at + 180]) for at in range(0, 1800, 180))
MP4 = struct.pack(">I", 28) + b"ftypM4A \0\0\2\0M4A mp42isom" + struct.pack(">I", 2000) + b"mdat" + NOISE
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm" + NOISE
