"""What a body is, whatever it is called, and however little of it has arrived."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.formats.made import ADTS, MP4, NOISE, TONE_PCM, WEBM, coded, wav
from tests.properties import examples
from voxd.audio.formats.recognise import MAX_HEAD_BYTES, Format, find_frames, is_noise, recognise

BODIES = [
    (coded("MP3"), Format.MP3),
    (coded("MP3 ID3"), Format.MP3),
    (coded("OGG VORBIS"), Format.OGG),
    (coded("OGG OPUS"), Format.OGG),
    (coded("FLAC"), Format.FLAC),
    (coded("AIFF"), Format.AIFF),
    (coded("AU"), Format.AU),
    (coded("CAF"), Format.CAF),
    (coded("W64"), Format.W64),
    (coded("RF64"), Format.WAV),
    (wav(TONE_PCM), Format.WAV),
    (ADTS, Format.AAC),
    (MP4, Format.MP4),
    (WEBM, Format.MATROSKA),
    (b"PK\x03\x04" + bytes(60), Format.ZIP),
    (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + NOISE, Format.GZIP),
    (b'\xef\xbb\xbf{"error": {"message": "no such voice", "type": "x"}}', Format.JSON),
    ('{"message": "余额不足请充值后再试一次谢谢您的理解与支持"}'.encode(), Format.JSON),
    (b"<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>", Format.HTML),
    (b'<?xml version="1.0" encoding="UTF-8"?><Error></Error>', Format.XML),
    (b"upstream connect error or disconnect/reset before headers", Format.TEXT),
    (b'data: {"type": "speech.audio.delta", "audio": "AAAA"}\n\n', Format.TEXT),
    (TONE_PCM, Format.SAMPLES),
    (bytes(9000), Format.SAMPLES),
]


@pytest.mark.parametrize(("body", "form"), BODIES, ids=lambda value: str(value)[:24])
def test_a_body_is_what_it_contains(body: bytes, form: Format) -> None:
    assert recognise(body) is form
    assert recognise(body, is_whole=True) is form


@pytest.mark.parametrize(("body", "form"), BODIES, ids=lambda value: str(value)[:24])
def test_the_beginning_of_a_body_is_never_taken_for_something_else(body: bytes, form: Format) -> None:
    for size in (*range(1, 64), 100, 500, 1500, 3000):
        assert recognise(body[:size]) in {form, None}


@examples(100)
@given(st.lists(st.integers(-2000, 2000), min_size=16, max_size=400))
def test_quiet_samples_are_samples(samples: list[int]) -> None:
    assert recognise(struct.pack(f"<{len(samples)}h", *samples), is_whole=True) is Format.SAMPLES


@examples(60)
@given(st.binary(min_size=8, max_size=64))
def test_what_is_undecided_is_decided_in_bounded_time(head: bytes) -> None:
    assert recognise(head.ljust(MAX_HEAD_BYTES, b"\0")) is not None
    assert recognise(head, is_whole=True) is not None


def test_only_compressed_data_is_noise() -> None:
    assert is_noise(NOISE)
    assert is_noise(coded("MP3")[200:])
    assert not is_noise(TONE_PCM)
    assert not is_noise(bytes(4096))
    assert not is_noise(NOISE[:100])


def test_frames_are_found_behind_other_bytes() -> None:
    assert find_frames(b"junk\xff\xfb" + coded("MP3")) is Format.MP3
    assert find_frames(bytes(11) + ADTS) is Format.AAC
    assert find_frames(TONE_PCM[:8000]) is None
