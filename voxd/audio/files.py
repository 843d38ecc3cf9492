"""Sound files: read into mono 16-bit sound, and WAV and FLAC written from it.

FLAC is lossless at half the size of WAV: utterances are uploaded and stored in it.
"""

import io
import os
import wave
from pathlib import Path

import numpy as np

from voxd.audio.formats.packed import MAX_DECODED_S, decode, memory_file
from voxd.audio.formats.recognise import MAX_HEAD_BYTES, Format, recognise
from voxd.audio.formats.samples import Encoding, UnusableSound
from voxd.errors import AudioError, InvalidRequest
from voxd.frames import BYTES_PER_SAMPLE, Clip

_HINT = "send an uncompressed WAV file: 8, 16, 24 or 32 bit PCM, or floating point"
_FILE_HINT = "send a WAV, MP3, FLAC, Ogg or AIFF file, such as `ffmpeg -i FILE question.wav` writes"
_EXTENSIBLE = 0xFFFE
_PCM = 1
# Programs that write WAV to a pipe put this length or a larger one for "unknown".
_UNKNOWN_LENGTH = 0x7FFF_0000
_SUBFORMAT_OFFSET = 24


def read_sound(source: bytes | Path) -> Clip:
    """Return the clip in a file of any format that can be decoded, its channels averaged, at its own rate.

    The content decides, not the name. MP3 and the like take some milliseconds: call it in a thread. Raises
    `InvalidRequest` for a file without sound, a longer one than `MAX_DECODED_S`, an incomplete WAV file, and
    a path that cannot be read.
    """
    data = _bytes_of(source)
    form = recognise(data[:MAX_HEAD_BYTES], is_whole=len(data) <= MAX_HEAD_BYTES)
    if form is Format.WAV:
        return read_wav(data)
    if form is None or not form.is_packed:
        what = "a file of unknown format" if form in {None, Format.SAMPLES} else form.value
        raise InvalidRequest(f"cannot decode {what if data else 'an empty file'}", hint=_FILE_HINT)
    try:
        clip = decode(data, form)
    except UnusableSound:
        raise InvalidRequest(f"cannot decode {form.value}: it is damaged", hint=_FILE_HINT) from None
    if clip.duration_s >= MAX_DECODED_S:
        hint = f"send at most {MAX_DECODED_S:.0f} s"
        raise InvalidRequest(f"the sound is longer than {MAX_DECODED_S:.0f} s", hint=hint)
    _check_rate(clip.rate_hz)
    return clip


def read_wav(source: bytes | Path) -> Clip:
    """Return the clip in a WAV file, its channels averaged, at its own rate.

    Raises `InvalidRequest` for anything but a complete WAV file, and for a path that cannot be read.
    """
    data = _plain(_bytes_of(source))
    # The wave module reads integers of plain RIFF only (not A-law, ADPCM, RF64, big endian).
    is_plain = data[:4] == b"RIFF" and _format_tag(data) in {0, _PCM}
    return _read_pcm(data) if is_plain or not data else _read_scaled(data)


def _bytes_of(source: bytes | Path) -> bytes:
    try:
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise InvalidRequest(
            f"cannot read {source!s}: {error.strerror}", hint="name a sound file that the daemon may read"
        ) from error


def _read_pcm(data: bytes) -> Clip:
    try:
        with wave.open(io.BytesIO(data), "rb") as file:
            channels, width, rate_hz, frames = file.getparams()[:4]
            raw = file.readframes(frames)
    # A chunk longer than the file makes `wave` raise a bare RuntimeError.
    except (wave.Error, EOFError, RuntimeError) as error:
        raise InvalidRequest(f"not a WAV file: {str(error) or 'it ends too early'}", hint=_HINT) from error
    frame_bytes = channels * width
    # A pipe: the length is unknown, so what came is the clip, cut to whole frames.
    if frames * frame_bytes >= _UNKNOWN_LENGTH:
        raw = raw[: len(raw) - len(raw) % frame_bytes]
    elif len(raw) != frames * frame_bytes:
        raise InvalidRequest("truncated WAV file", hint="send the whole file")
    _check_rate(rate_hz)
    if width not in (1, 2, 3, 4):
        raise InvalidRequest(f"cannot use {8 * width} bit", hint=_HINT)
    return Clip(Encoding(rate_hz, "int", width, channels).to_int16(raw), rate_hz)


def _read_scaled(data: bytes) -> Clip:
    import soundfile

    with memory_file(data) as file:
        try:
            # As float: read as integers, libsndfile does not scale a file of floating point numbers.
            samples, rate_hz = soundfile.read(file.fileno(), dtype="float32", always_2d=True, closefd=False)
        except soundfile.SoundFileError as error:
            raise InvalidRequest(f"not a WAV file: {error}", hint=_HINT) from error
    _check_rate(rate_hz)
    mono = np.nan_to_num(samples).mean(axis=1) * 32_768
    return Clip(mono.round().clip(-32_768, 32_767).astype("<i2").tobytes(), int(rate_hz))


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


def encode_flac(clip: Clip) -> bytes:
    """Return ``clip`` as a FLAC file. Takes 2 ms for 5 s of sound: call it in a thread.

    Raises `AudioError` when it is empty.
    """
    if len(clip.pcm) < BYTES_PER_SAMPLE:
        raise AudioError("the clip to encode is empty")
    import soundfile

    # A memory file, passed by its descriptor: for Python file objects cffi creates callbacks in memory that
    # is both writable and executable, which the service's MemoryDenyWriteExecute= forbids.
    with os.fdopen(os.memfd_create("voxd-flac"), "w+b") as file:
        try:
            with soundfile.SoundFile(
                file.fileno(), "w", clip.rate_hz, 1, "PCM_16", format="FLAC", closefd=False
            ) as flac:
                flac.write(np.frombuffer(clip.pcm, "<i2"))
        except soundfile.SoundFileError as error:
            raise AudioError(f"the clip cannot be encoded: {error}") from error
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def decode_flac(data: bytes) -> Clip:
    """Return the clip in a FLAC file, its channels averaged, at its own rate. Call it in a thread.

    Raises `AudioError` for another format, a damaged file, and a clip longer than `MAX_DECODED_S`.
    """
    import soundfile

    with memory_file(data) as file:
        try:
            with soundfile.SoundFile(file.fileno(), closefd=False) as flac:
                if flac.format != "FLAC":
                    raise AudioError(f"the file is {flac.format}, not FLAC")
                longest = int(MAX_DECODED_S * flac.samplerate)
                # One frame more than allowed is enough to detect a clip that is too long.
                expected = min(flac.frames, longest + 1)
                samples = flac.read(expected, dtype="int16", always_2d=True)
                rate_hz = int(flac.samplerate)
        except soundfile.SoundFileError as error:
            raise AudioError("not a FLAC file, or a damaged one") from error
    if not 0 < len(samples) == expected:
        raise AudioError("truncated FLAC file")
    if len(samples) > longest:
        raise AudioError(f"the clip is longer than {MAX_DECODED_S:.0f} s")
    # Averaged, not summed: a sum of two channels may exceed 16 bits.
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1).round()
    return Clip(mono.astype("<i2").tobytes(), rate_hz)


def _check_rate(rate_hz: int) -> None:
    if not 1_000 <= rate_hz <= 384_000:
        raise InvalidRequest(f"cannot use {rate_hz} Hz", hint=_HINT)


def _format_at(data: bytes) -> int:
    """Return where the contents of the chunk "fmt " begin, 0 where there is none."""
    return data.find(b"fmt ", 12, 4096) + 8 if b"fmt " in data[12:4096] else 0


def _format_tag(data: bytes) -> int:
    at = _format_at(data)
    return int.from_bytes(data[at : at + 2], "little") if at else 0


def _plain(data: bytes) -> bytes:
    """Return ``data`` with an extensible header relabelled as what it stands for."""
    # The wave module of Python 3.11 rejects WAVE_FORMAT_EXTENSIBLE, whose SubFormat begins with the real tag.
    at = _format_at(data)
    if _format_tag(data) != _EXTENSIBLE:
        return data
    tag = data[at + _SUBFORMAT_OFFSET : at + _SUBFORMAT_OFFSET + 2]
    return data[:at] + tag + data[at + 2 :]
