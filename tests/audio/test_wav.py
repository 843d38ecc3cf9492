"""WAV files in, WAV files out, and every way they can be broken."""

import contextlib
import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.audio.wav import read_wav, wav_bytes, write_wav
from voxd.errors import InvalidRequest
from voxd.frames import Clip


def made(raw: bytes, *, channels: int = 1, width: int = 2, rate_hz: int = 16_000) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(raw)
    return target.getvalue()


@settings(max_examples=50)
@given(st.lists(st.integers(-32_768, 32_767), max_size=50), st.sampled_from([8_000, 22_050, 48_000]))
def test_what_is_written_is_read_back(values: list[int], rate_hz: int) -> None:
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
    clip = read_wav(made(raw, width=width))
    assert np.frombuffer(clip.pcm, np.int16).tolist() == [0, 127 << 8, -128 << 8]


def test_channels_are_averaged() -> None:
    clip = read_wav(made(struct.pack("<4h", 100, 200, -10, -30), channels=2, rate_hz=44_100))
    assert np.frombuffer(clip.pcm, np.int16).tolist() == [150, -20]
    assert clip.rate_hz == 44_100


def test_extensible_pcm_is_read_like_plain_pcm() -> None:
    pcm = struct.pack("<2h", 5, -5)
    guid = b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    fmt = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + guid
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 4) + pcm
    assert read_wav(b"RIFF" + struct.pack("<I", len(body)) + body) == Clip(pcm, 16_000)


WHOLE = made(bytes(200))


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
def test_what_is_no_whole_wav_file_is_refused_with_a_hint(broken: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_wav(broken)
    assert caught.value.hint
    assert not str(caught.value).endswith(": ")


@settings(max_examples=80)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_damage_anywhere_is_refused_or_read_but_never_crashes(at: int, patch: bytes) -> None:
    damaged = WHOLE[:at] + patch + WHOLE[at + len(patch) :]
    with contextlib.suppress(InvalidRequest):
        assert len(read_wav(damaged).pcm) % 2 == 0


@pytest.mark.parametrize("length", [0x7FFF_F000, 0xFFFF_FFFF])
def test_a_file_from_a_pipe_lasts_until_its_end(length: int) -> None:
    streamed = WHOLE.replace(b"data" + struct.pack("<I", 200), b"data" + struct.pack("<I", length))
    assert read_wav(streamed + b"\x01").pcm == bytes(200)


def test_a_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="absent"):
        read_wav(tmp_path / "absent.wav")


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    clip = Clip(bytes(range(100)), 22_050)
    write_wav(tmp_path / "a.wav", clip)
    assert read_wav(tmp_path / "a.wav") == clip
