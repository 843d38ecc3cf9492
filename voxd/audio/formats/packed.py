"""Decodes a packed stream (MP3, Ogg, FLAC and what else libsndfile reads) while it arrives."""

import math
import os
from typing import Any, BinaryIO

import numpy as np

from voxd.audio.formats.mpeg import Mp3Frames
from voxd.audio.formats.recognise import Format
from voxd.audio.formats.samples import UnusableSound
from voxd.frames import Clip

MAX_DECODED_S = 600.0
"""The longest sound to decode: FLAC shrinks silence a thousandfold, so a small file could fill the memory."""

LEAST_BYTES = 2048
"""So much of a stream is 0.1 to 0.5 s of speech, and enough to begin with."""

GROWTH = 1.5
"""A stream is decoded again from its beginning when it is so much longer: three times its length in all."""

_BLOCK = 4096


class PackedReader:
    """Decodes one stream of ``form``. libsndfile needs a file, so every step decodes it from its beginning.

    `feed` and `finish` take some milliseconds: call them in a thread.
    """

    def __init__(self, form: Format, *, due_bytes: float = LEAST_BYTES) -> None:
        self._form = form
        self._body = bytearray()
        self._mp3 = Mp3Frames() if form is Format.MP3 else None
        self._due_bytes = due_bytes
        self._given = 0

    def feed(self, data: bytes) -> Clip | None:
        """Return what can be decoded so far and was not returned before."""
        if self._mp3 is not None:
            self._mp3.feed(data)
        else:
            self._body += data
        if self._size_bytes < self._due_bytes:
            return None
        self._due_bytes = self._size_bytes * GROWTH
        try:
            return self._fresh()
        except UnusableSound:
            # Too little yet; what holds no audio at all is reported at the end.
            return None

    def finish(self) -> Clip | None:
        """Return the rest; no data follows. Raises `UnusableSound` when nothing can be decoded."""
        return self._fresh()

    @property
    def _size_bytes(self) -> int:
        return len(self._body) if self._mp3 is None else self._mp3.size_bytes

    def _fresh(self) -> Clip | None:
        body = bytes(self._body) if self._mp3 is None else self._mp3.file()
        if not body:
            raise UnusableSound(self._form.value)
        clip = _decode_file(body, self._form)
        pcm = clip.pcm[self._given :]
        self._given += len(pcm)
        return Clip(pcm, clip.rate_hz) if pcm else None


def decode(body: bytes, form: Format) -> Clip:
    """Return as much of ``body`` as can be decoded, its channels averaged.

    A sound longer than `MAX_DECODED_S` is cut. Raises `UnusableSound` when nothing can be decoded.
    """
    reader = PackedReader(form, due_bytes=math.inf)
    reader.feed(body)
    clip = reader.finish()
    if clip is None:
        raise UnusableSound(form.value)
    return clip


def memory_file(data: bytes) -> BinaryIO:
    """Return a file in memory that holds ``data``, for libsndfile, which gets its descriptor."""
    # Instead of a Python object: the callbacks for it are slow, and swallow exceptions.
    file = os.fdopen(os.memfd_create("voxd-sound"), "w+b")
    file.write(data)
    file.flush()
    file.seek(0)
    return file


def _decode_file(body: bytes, form: Format) -> Clip:
    import soundfile

    with memory_file(body) as file:
        blocks: list[np.ndarray[tuple[int, int], np.dtype[Any]]] = []
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as sound:
                rate_hz, left = int(sound.samplerate), int(MAX_DECODED_S * sound.samplerate)
                # soundfile seeks after every read, and a seek in MP3 is not exact: one read. The others raise
                # at the end of what has arrived, and then a large read would lose everything.
                size = min(sound.frames, left) if form is Format.MP3 else _BLOCK
                # Read as integers, libsndfile does not scale a file of floating point numbers.
                kind = np.float32 if sound.subtype in {"FLOAT", "DOUBLE"} else np.int16
                block = np.empty((size, sound.channels), kind)
                while left > 0 and len(block) and (count := len(sound.read(out=block))):
                    blocks.append(block[:count].copy())
                    left -= count
        except (soundfile.SoundFileError, RuntimeError):
            # A stream that is cut, or still arriving, is decoded up to there.
            if not blocks:
                raise UnusableSound(form.value) from None
    if not blocks:
        raise UnusableSound(form.value)
    samples = np.concatenate(blocks)
    if samples.dtype == np.float32:
        samples = (np.nan_to_num(samples) * 32_768).round().clip(-32_768, 32_767)
    # Averaged, not summed: a sum of two channels may exceed 16 bits.
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1).round()
    return Clip(mono.astype("<i2").tobytes(), rate_hz)
