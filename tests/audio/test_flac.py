"""FLAC gives back every sample, and says so when it cannot."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.audio import flac
from voxd.audio.flac import decode, encode
from voxd.audio.wav import wav_bytes
from voxd.errors import AudioError
from voxd.frames import Clip

NOISE = Clip(np.random.default_rng(4).normal(0, 900, 40_000).astype("<i2").tobytes(), 16_000)

UNDER_MDWE = """
import ctypes
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
from voxd.audio.flac import decode, encode
from voxd.frames import Clip
import soundfile
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    print("too old")
else:
    clip = Clip(bytes(3200), 16000)
    print(decode(encode(clip)) == clip)
"""


@settings(max_examples=50, deadline=None)
@given(
    samples=st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=3000),
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
)
def test_every_sample_comes_back(samples: list[int], rate_hz: int) -> None:
    clip = Clip(np.array(samples, "<i2").tobytes(), rate_hz)
    assert decode(encode(clip)) == clip


def test_it_is_smaller_than_the_sound() -> None:
    data = encode(NOISE)
    assert data.startswith(b"fLaC")
    assert len(data) < 0.8 * len(NOISE.pcm)


@pytest.mark.parametrize("pcm", [b"", b"\0"])
def test_no_sound_is_no_file(pcm: bytes) -> None:
    with pytest.raises(AudioError, match="is empty"):
        encode(Clip(pcm, 16_000))


def test_a_rate_that_flac_does_not_know_is_an_error() -> None:
    with pytest.raises(AudioError, match="cannot be encoded"):
        encode(Clip(bytes(20), 700_000))


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
def test_what_is_no_whole_flac_file_is_an_error(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(AudioError):
        decode(damage(encode(NOISE)))


@settings(max_examples=50, deadline=None)
@given(left=st.integers(0, len(encode(NOISE)) - 1))
def test_a_file_that_ends_anywhere_too_early_is_an_error(left: int) -> None:
    with pytest.raises(AudioError):
        decode(encode(NOISE)[:left])


def test_two_channels_become_one() -> None:
    import soundfile

    left, right = np.array([100, -100, 7], np.int16), np.array([300, 100, 8], np.int16)
    descriptor = os.memfd_create("stereo")
    with os.fdopen(descriptor, "w+b"):
        with soundfile.SoundFile(descriptor, "w", 16_000, 2, "PCM_16", format="FLAC", closefd=False) as sound:
            sound.write(np.stack([left, right], axis=1))
        data = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    assert np.frombuffer(decode(data).pcm, np.int16).tolist() == [200, 0, 8]


def test_a_short_file_with_hours_of_silence_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = encode(Clip(bytes(64_000), 16_000))
    assert len(data) < 1000
    monkeypatch.setattr(flac, "MAX_DECODED_S", 1.9)
    with pytest.raises(AudioError, match="longer than"):
        decode(data)


def test_nothing_is_left_open() -> None:
    encode(NOISE)
    before = len(os.listdir("/proc/self/fd"))
    for data in (encode(NOISE), b"garbage"):
        try:
            decode(data)
        except AudioError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_it_works_where_memory_is_never_both_written_and_run() -> None:
    """As in the service, see MemoryDenyWriteExecute= in systemd/voxd.service."""
    done = subprocess.run([sys.executable, "-c", UNDER_MDWE], capture_output=True, text=True, timeout=60)
    if done.stdout.strip() == "too old":
        pytest.skip("this kernel cannot deny it to one process")
    assert done.stdout.strip() == "True", done.stderr
