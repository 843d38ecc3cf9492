"""WAV files, read from any common form into mono 16-bit and written back."""

import io
import wave
from pathlib import Path

import numpy as np

from voxd.errors import InvalidRequest
from voxd.frames import BYTES_PER_SAMPLE, Clip

_HINT = "send an uncompressed WAV file: 8, 16, 24 or 32 bit PCM"
_EXTENSIBLE = 0xFFFE
_PCM = 1
_UNKNOWN_LENGTH = 0x7FFF_0000
"""What programs that write to a pipe put for a length they do not know yet: until the end."""
_SUBFORMAT_OFFSET = 24


def read_wav(source: bytes | Path) -> Clip:
    """Return the sound of a PCM WAV file, its channels averaged, at its own rate.

    Raises `InvalidRequest` for anything that is not a whole WAV file, and for a path that cannot be read.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with wave.open(io.BytesIO(_plain(data)), "rb") as file:
            channels, width, rate_hz, frames = file.getparams()[:4]
            raw = file.readframes(frames)
    except OSError as error:
        raise InvalidRequest(
            f"cannot read {source!s}: {error.strerror}", hint="name a WAV file that the daemon may read"
        ) from error
    # A chunk longer than the file makes `wave` raise a bare RuntimeError.
    except (wave.Error, EOFError, RuntimeError) as error:
        raise InvalidRequest(f"not a WAV file: {str(error) or 'it ends too early'}", hint=_HINT) from error
    frame_bytes = channels * width
    if frames * frame_bytes >= _UNKNOWN_LENGTH:
        raw = raw[: len(raw) - len(raw) % frame_bytes]
    elif len(raw) != frames * frame_bytes:
        raise InvalidRequest("the WAV file ends before its sound does", hint="send the whole file")
    if not 1_000 <= rate_hz <= 384_000 or width not in (1, 2, 3, 4):
        raise InvalidRequest(f"cannot use {rate_hz} Hz of {8 * width} bit", hint=_HINT)
    samples = _to_int16(raw, width).reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1).round().astype(np.int16)
    return Clip(mono.tobytes(), rate_hz)


def wav_bytes(clip: Clip) -> bytes:
    """Return ``clip`` as a mono 16-bit WAV file."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(clip.rate_hz)
        file.writeframes(clip.pcm)
    return target.getvalue()


def write_wav(path: Path, clip: Clip) -> None:
    """Write ``clip`` as a mono 16-bit WAV file."""
    path.write_bytes(wav_bytes(clip))


def _plain(data: bytes) -> bytes:
    """Call WAVE_FORMAT_EXTENSIBLE with PCM inside plain PCM, which is all Python 3.11 reads."""
    at = data.find(b"fmt ", 12, 4096)
    if at < 0 or data[at + 8 : at + 10] != _EXTENSIBLE.to_bytes(2, "little"):
        return data
    subformat = at + 8 + _SUBFORMAT_OFFSET
    if data[subformat : subformat + 2] != _PCM.to_bytes(2, "little"):
        return data
    return data[: at + 8] + _PCM.to_bytes(2, "little") + data[at + 10 :]


def _to_int16(raw: bytes, width: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    if width == 1:
        return ((np.frombuffer(raw, np.uint8).astype(np.int16) - 128) << 8).astype(np.int16)
    # WAV is little endian (RIFF): the two most significant bytes of each sample are the last two.
    octets = np.frombuffer(raw, np.uint8).reshape(-1, width)[:, -2:]
    return np.frombuffer(octets.tobytes(), "<i2").astype(np.int16)
