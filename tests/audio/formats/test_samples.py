"""Samples of every encoding that a WAV file may have."""

import contextlib
import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.formats.made import TONE_PCM, wav
from tests.properties import examples
from voxd.audio.formats.samples import Encoding, SampleReader, UnusableSound

TONE = np.frombuffer(TONE_PCM, "<i2")[:4000]
SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]


def read(parts: list[bytes]) -> tuple[np.ndarray[tuple[int], np.dtype[np.int16]], set[int], int]:
    reader = SampleReader(Encoding(8000))
    clips = [clip for part in parts for clip in reader.feed(part)] + reader.finish()
    pcm = b"".join(clip.pcm for clip in clips)
    return np.frombuffer(pcm, "<i2"), {clip.rate_hz for clip in clips}, reader.missing_bytes


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_every_encoding_is_the_same_sound(subtype: str, form: str, channels: int) -> None:
    target = io.BytesIO()
    # Of whole numbers libsndfile would write floats that are larger than 1.
    sound = np.repeat(TONE[:, None], channels, axis=1) / 32_768
    soundfile.write(target, sound, 24_000, format=form, subtype=subtype)
    body = target.getvalue()
    heard, rates, missing_bytes = read([body[at : at + 999] for at in range(0, len(body), 999)])
    # Mu-law and A-law have about 38 dB, 8 bits have steps of 256.
    loss = 400 if subtype in {"ULAW", "ALAW", "PCM_U8"} else 1
    assert (rates, len(heard), missing_bytes) == ({24_000}, len(TONE), 0)
    assert np.abs(heard.astype(int) - TONE).max() <= loss


def test_a_big_endian_file_is_refused_and_not_played_as_noise() -> None:
    target = io.BytesIO()
    soundfile.write(target, TONE / 32_768, 24_000, format="WAV", subtype="PCM_16", endian="BIG")
    assert target.getvalue().startswith(b"RIFX")
    with pytest.raises(UnusableSound, match="big endian"):
        read([target.getvalue()])


@examples(60)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_input_raises_anything_else(parts: list[bytes]) -> None:
    with contextlib.suppress(UnusableSound):
        read([wav(b"")[:30], *parts])


def test_loud_or_broken_floats_are_clipped() -> None:
    raw = np.array([2.0, -2.0, np.nan, 0.5], "<f4").tobytes()
    pcm = Encoding(8000, "float", 4).to_int16(raw)
    assert np.frombuffer(pcm, "<i2").tolist() == [32_767, -32_768, 0, 16_384]
