"""Packed streams, decoded while they arrive."""

import pytest

from tests.audio.formats.made import NOISE, RATE_HZ, TONE_PCM, alike, coded
from voxd.audio.formats.packed import PackedReader, decode
from voxd.audio.formats.recognise import Format
from voxd.audio.formats.samples import UnusableSound

FORMS = {"MP3": Format.MP3, "OGG OPUS": Format.OGG, "OGG VORBIS": Format.OGG, "FLAC": Format.FLAC}


@pytest.mark.parametrize("name", FORMS)
def test_a_stream_in_pieces_is_the_sound_of_the_file(name: str) -> None:
    body, reader = coded(name), PackedReader(FORMS[name])
    clips = [reader.feed(body[at : at + 300]) for at in range(0, len(body), 300)] + [reader.finish()]
    found = [clip for clip in clips if clip is not None]
    assert {clip.rate_hz for clip in found} == {RATE_HZ}
    assert b"".join(clip.pcm for clip in found) == decode(body, FORMS[name]).pcm
    assert alike(b"".join(clip.pcm for clip in found), TONE_PCM)


@pytest.mark.parametrize("name", ["MP3", "OGG OPUS", "FLAC"])
def test_what_breaks_off_is_decoded_up_to_there(name: str) -> None:
    body = coded(name)
    half = decode(body[: len(body) * 3 // 4], FORMS[name])
    assert len(TONE_PCM) / 4 < len(half.pcm) < len(TONE_PCM)


@pytest.mark.parametrize("form", FORMS.values())
def test_damaged_sound_is_named(form: Format) -> None:
    with pytest.raises(UnusableSound):
        decode(NOISE, form)


def test_mp3_without_a_header_of_its_encoder_is_whole() -> None:
    # libsndfile alone estimates the length of such a stream, and drops the rest.
    body = coded("MP3")
    body = body[body.find(b"\xff\xf3", 4) :]
    assert alike(decode(body, Format.MP3).pcm, TONE_PCM)
