"""Levels, sample rates, and the earcons measured by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.audio.earcons import render
from voxd.audio.sound import FLOOR_DBFS, Resampler, dbfs, is_audible, to_rate
from voxd.frames import Clip
from voxd.turn.inputs import Earcon


def sine(peak: int, rate_hz: int = 16_000, pitch_hz: float = 1000, seconds: float = 1.0) -> Clip:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return Clip((peak * np.sin(2 * np.pi * pitch_hz * time_s)).astype("<i2").tobytes(), rate_hz)


@pytest.mark.parametrize(
    ("pcm", "level"),
    [
        (b"", FLOOR_DBFS),
        (bytes(320), FLOOR_DBFS),
        (np.full(160, -32_768, np.int16).tobytes(), 0.0),
        (sine(32_767).pcm, -3.01),
        (sine(3277).pcm, -23.01),
        (np.full(160, 1, np.int16).tobytes(), -90.3),
    ],
)
def test_levels_are_relative_to_a_full_scale_square(pcm: bytes, level: float) -> None:
    assert dbfs(pcm) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(24_000, 48_000), (22_050, 16_000), (44_100, 16_000)])
def test_a_tone_keeps_its_pitch_length_and_level(from_hz: int, to_hz: int) -> None:
    out = to_rate(sine(8000, from_hz), to_hz)
    assert out.rate_hz == to_hz
    assert out.duration_s == pytest.approx(1.0, abs=0.001)
    assert dbfs(out.pcm) == pytest.approx(dbfs(sine(8000).pcm), abs=0.1)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(out.pcm, np.int16)))
    assert spectrum.argmax() / out.duration_s == pytest.approx(1000, abs=1.5)


@examples(30, deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_pieces_make_the_same_sound_as_the_whole(cuts: list[int]) -> None:
    clip = sine(8000, 22_050, seconds=0.4)
    stream, out, at = Resampler(22_050, 48_000), b"", 0
    for cut in cuts:
        out += stream.feed(clip.pcm[at : at + 2 * cut])
        at += 2 * cut
    out += stream.feed(clip.pcm[at:], last=True)
    whole = to_rate(clip, 48_000).pcm
    assert len(out) == len(whole)
    difference = np.frombuffer(out, np.int16).astype(int) - np.frombuffer(whole, np.int16)
    assert np.abs(difference).max() <= 2


def test_only_zeros_are_not_audible() -> None:
    assert [is_audible(pcm) for pcm in (b"", bytes(4), b"\0\1", b"\0\0\1\0")] == [False, False, True, True]


def test_the_same_rate_changes_nothing() -> None:
    clip = sine(8000)
    assert to_rate(clip, 16_000) is clip
    assert Resampler(16_000, 16_000).feed(clip.pcm, last=True) == clip.pcm


@pytest.mark.parametrize("earcon", list(Earcon))
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_earcons_are_short_soft_and_begin_and_end_in_silence(earcon: Earcon, rate_hz: int) -> None:
    clip = render(earcon, rate_hz)
    samples = np.frombuffer(clip.pcm, np.int16)
    low, high = (1.0, 3.0) if earcon is Earcon.RING else (0.08, 0.2)
    assert low <= clip.duration_s <= high
    assert np.abs(samples).max() < 32_768 * 10 ** (-11 / 20)
    assert -24 < dbfs(clip.pcm) < -14
    assert abs(int(samples[0])) < 50
    assert abs(int(samples[-1])) < 400


def test_no_two_earcons_sound_alike() -> None:
    assert len({render(earcon, 16_000).pcm for earcon in Earcon}) == len(Earcon)
