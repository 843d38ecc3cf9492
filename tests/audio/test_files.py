"""WAV and FLAC files: what is written is read back, and a damaged file is an error."""

import contextlib
import io
import os
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.formats.made import RATE_HZ, TONE_PCM, alike, coded
from tests.properties import examples
from voxd.audio.files import decode_flac, encode_flac, read_sound, read_wav, wav_bytes, write_wav
from voxd.errors import AudioError, InvalidRequest
from voxd.frames import Clip

NOISE = Clip(np.random.default_rng(4).normal(0, 900, 40_000).astype("<i2").tobytes(), 16_000)

UNDER_MDWE = """
import ctypes
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
from voxd.audio.files import decode_flac, encode_flac
from voxd.frames import Clip
import soundfile
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    print("too old")
else:
    clip = Clip(bytes(3200), 16000)
    print(decode_flac(encode_flac(clip)) == clip)
"""


def make_wav(raw: bytes, *, channels: int = 1, width: int = 2, rate_hz: int = 16_000) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(raw)
    return target.getvalue()


@examples(50)
@given(st.lists(st.integers(-32_768, 32_767), max_size=50), st.sampled_from([8_000, 22_050, 48_000]))
def test_a_wav_file_keeps_every_sample(values: list[int], rate_hz: int) -> None:
    clip = Clip(np.array(values, np.int16).tobytes(), rate_hz)
    assert read_wav(wav_bytes(clip)) == clip


@pytest.mark.parametrize(
    ("width", "raw"),
    [
        (1, bytes([128, 255, 0])),
        (2, struct.pack("<3h", 0, 127 << 8, -128 << 8)),
        (3, bytes([9, 0, 0, 9, 0, 127, 9, 0, 128])),
        (4, struct.pack("<3i", 9, (127 << 24) + 9, -128 << 24)),
    ],
)
def test_every_depth_becomes_16_bit(width: int, raw: bytes) -> None:
    clip = read_wav(make_wav(raw, width=width))
    assert np.frombuffer(clip.pcm, np.int16).tolist() == [0, 127 << 8, -128 << 8]


def test_channels_are_averaged() -> None:
    clip = read_wav(make_wav(struct.pack("<4h", 100, 200, -10, -30), channels=2, rate_hz=44_100))
    assert np.frombuffer(clip.pcm, np.int16).tolist() == [150, -20]
    assert clip.rate_hz == 44_100


def test_extensible_pcm_is_read_like_plain_pcm() -> None:
    pcm = struct.pack("<2h", 5, -5)
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + guid
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 4) + pcm
    assert read_wav(b"RIFF" + struct.pack("<I", len(body)) + body) == Clip(pcm, 16_000)


@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "ULAW"])
def test_what_sound_editors_write_is_read_like_pcm(subtype: str, container: str) -> None:
    target = io.BytesIO()
    samples = np.array([[0.0, 0.0], [0.5, 0.25], [-1.0, -1.0], [2.0, 2.0]])
    # mu-law has no room above full scale.
    samples = samples[:3] if subtype == "ULAW" else samples
    soundfile.write(target, samples, 44_100, subtype=subtype, format=container)
    clip = read_wav(target.getvalue())
    assert clip.rate_hz == 44_100
    expected = np.clip(samples.mean(axis=1) * 32_768, -32_768, 32_767)
    assert np.abs(np.frombuffer(clip.pcm, np.int16) - expected).max() <= (700 if subtype == "ULAW" else 1)


WHOLE = make_wav(bytes(200))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"RIFF",
        b"ID3 this is an mp3" * 10,
        WHOLE[:20],
        WHOLE[:-1],
        WHOLE[:100],
        WHOLE.replace(b"\x01\x00\x01\x00", b"\x55\x00\x01\x00", 1),
        WHOLE.replace(struct.pack("<I", 16_000), struct.pack("<I", 7), 1),
    ],
)
def test_a_damaged_wav_file_is_an_error_with_a_hint(broken: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_wav(broken)
    assert caught.value.hint
    assert not str(caught.value).endswith(": ")


@examples(80)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_damage_anywhere_in_a_wav_file_never_crashes(at: int, patch: bytes) -> None:
    damaged = WHOLE[:at] + patch + WHOLE[at + len(patch) :]
    with contextlib.suppress(InvalidRequest):
        assert len(read_wav(damaged).pcm) % 2 == 0


@pytest.mark.parametrize("length", [0x7FFF_F000, 0xFFFF_FFFF])
def test_a_wav_file_of_unknown_length_is_read_to_its_end(length: int) -> None:
    streamed = WHOLE.replace(b"data" + struct.pack("<I", 200), b"data" + struct.pack("<I", length))
    assert read_wav(streamed + b"\x01").pcm == bytes(200)


def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="absent"):
        read_wav(tmp_path / "absent.wav")


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    clip = Clip(bytes(range(100)), 22_050)
    write_wav(tmp_path / "a.wav", clip)
    assert read_wav(tmp_path / "a.wav") == clip


@examples(50, deadline=None)
@given(
    samples=st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=3000),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
)
def test_flac_keeps_every_sample(samples: list[int], rate_hz: int) -> None:
    clip = Clip(np.array(samples, "<i2").tobytes(), rate_hz)
    assert decode_flac(encode_flac(clip)) == clip


def test_flac_is_smaller_than_the_samples() -> None:
    data = encode_flac(NOISE)
    assert data.startswith(b"fLaC")
    assert len(data) < 0.8 * len(NOISE.pcm)


@pytest.mark.parametrize("pcm", [b"", b"\0"])
def test_an_empty_clip_cannot_be_encoded(pcm: bytes) -> None:
    with pytest.raises(AudioError, match="is empty"):
        encode_flac(Clip(pcm, 16_000))


def test_a_rate_that_flac_does_not_support_is_an_error() -> None:
    with pytest.raises(AudioError, match="cannot be encoded"):
        encode_flac(Clip(bytes(20), 700_000))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"RIFF",
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) // 2] + bytes(200) + data[len(data) // 2 + 200 :],
        lambda data: wav_bytes(NOISE),
    ],
)
def test_a_damaged_flac_file_is_an_error(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(AudioError):
        decode_flac(damage(encode_flac(NOISE)))


@examples(50, deadline=None)
@given(left=st.integers(0, len(encode_flac(NOISE)) - 1))
def test_a_flac_file_truncated_anywhere_is_an_error(left: int) -> None:
    with pytest.raises(AudioError):
        decode_flac(encode_flac(NOISE)[:left])


def test_two_flac_channels_are_averaged() -> None:
    import soundfile

    left, right = np.array([100, -100, 7], np.int16), np.array([300, 100, 8], np.int16)
    descriptor = os.memfd_create("stereo")
    with os.fdopen(descriptor, "w+b"):
        with soundfile.SoundFile(descriptor, "w", 16_000, 2, "PCM_16", format="FLAC", closefd=False) as sound:
            sound.write(np.stack([left, right], axis=1))
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    assert np.frombuffer(decode_flac(data).pcm, np.int16).tolist() == [200, 0, 8]


def test_a_short_flac_file_with_hours_of_silence_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode_flac(Clip(bytes(64_000), 16_000))
    assert len(data) < 1000
    monkeypatch.setattr("voxd.audio.files.MAX_DECODED_S", 1.9)
    with pytest.raises(AudioError, match="longer than"):
        decode_flac(data)


def test_flac_leaves_no_descriptor_open() -> None:
    encode_flac(NOISE)
    before = len(os.listdir("/proc/self/fd"))
    for data in (encode_flac(NOISE), b"garbage"):
        try:
            decode_flac(data)
        except AudioError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_flac_works_without_memory_that_is_both_writable_and_executable() -> None:
    """As in the service, see MemoryDenyWriteExecute= in systemd/voxd.service."""
    done = subprocess.run([sys.executable, "-c", UNDER_MDWE], capture_output=True, text=True, timeout=60)
    if done.stdout.strip() == "too old":
        pytest.skip("this kernel cannot deny it to one process")
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("name", ["question.wav", "question", "question.m4a"])
@pytest.mark.parametrize(
    "form", ["WAV", "WAV MS_ADPCM", "RF64", "MP3", "MP3 ID3", "OGG", "FLAC", "AIFF", "AU", "CAF"]
)
def test_a_sound_is_read_by_its_content_whatever_its_name(form: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(coded(form))
    clip = read_sound(tmp_path / name)
    assert clip.rate_hz == RATE_HZ
    assert alike(clip.pcm, TONE_PCM)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom", "an M4A or MP4 file"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01webm", "a WebM or Matroska file"),
        (b"#!AMR\n" + bytes(64), "an AMR file"),
        (b'{"error": "no sound"}', "JSON"),
        (b"<!doctype html><html><body>Log in", "a web page"),
        (b"set a timer for ten minutes", "text"),
        (bytes(6400), "a file of unknown format"),
        (b"ID3\x04\x00\x00\x00\x00\x00\x05hello" + bytes(100), "an MP3 file: it is damaged"),
        (coded("FLAC")[:60], "a FLAC file: it is damaged"),
        (b"OggS\0" + bytes(100), "an Ogg file: it is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_decoded_is_named(data: bytes, what: str) -> None:
    with pytest.raises(InvalidRequest, match=f"cannot decode {what}") as caught:
        read_sound(data)
    assert caught.value.code == "invalid_request"
    assert "ffmpeg" in caught.value.hint


def test_a_small_file_cannot_fill_the_memory() -> None:
    target = io.BytesIO()
    soundfile.write(target, np.zeros(700 * 8000, np.int16), 8000, format="FLAC")
    with pytest.raises(InvalidRequest, match="longer than 600 s"):
        read_sound(target.getvalue())


@pytest.mark.parametrize("form", ["AIFF", "AU", "CAF", "W64", "RF64", "WAV"])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24", "ALAW"])
def test_every_encoding_of_a_container_has_its_level(form: str, subtype: str) -> None:
    target = io.BytesIO()
    meant = np.frombuffer(TONE_PCM, "<i2") / 32_768
    soundfile.write(target, meant, RATE_HZ, format=form, subtype=subtype)
    heard = np.frombuffer(read_sound(target.getvalue()).pcm, "<i2") / 32_768
    assert np.abs(heard - meant).max() < 0.02
