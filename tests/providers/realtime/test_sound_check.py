"""The sound of a reply is checked by its content, whatever a provider calls it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.formats.made import NOISE, TONE_PCM, alike, coded, wav
from tests.properties import examples
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    ProviderEvent,
    ResponseCompleted,
    ResponseStarted,
)
from voxd.providers.realtime.sound_check import SoundCheck

RATE_HZ = 24_000


def pieces(body: bytes, size: int = 4800) -> list[AudioOutputChunk]:
    return [chunk(body[at : at + size]) for at in range(0, len(body), size)]


def chunk(data: bytes, id: str = "r1") -> AudioOutputChunk:
    return AudioOutputChunk(data, RATE_HZ, response_id=id, item_id=f"item_{id}")


def reply(*sound: AudioOutputChunk, id: str = "r1", check: SoundCheck | None = None) -> list[ProviderEvent]:
    """What is seen of a response of ``sound``."""
    check = check or SoundCheck()
    begin = (ResponseStarted(id), AudioOutputStarted(RATE_HZ, id, f"item_{id}"))
    end = (AudioOutputStopped(0.0, id, f"item_{id}"), ResponseCompleted(id))
    return [seen for event in (*begin, *sound, *end) for seen in check.take(event)]


def heard(found: list[ProviderEvent]) -> bytes:
    return b"".join(each.audio_data for each in found if isinstance(each, AudioOutputChunk))


def test_samples_pass_at_once_and_unchanged() -> None:
    check = SoundCheck()
    check.take(ResponseStarted("r1"))
    for piece in pieces(TONE_PCM, 960):
        assert check.take(piece) == [piece]


@examples(60)
@given(st.lists(st.binary(min_size=1, max_size=200).map(lambda each: each * 2), max_size=6))
def test_no_sample_is_lost_or_added(parts: list[bytes]) -> None:
    found = reply(*map(chunk, parts))
    if not any(isinstance(each, ErrorOccurred) for each in found):
        assert heard(found) in (b"".join(parts), b"") or any(b"RIFF" in part for part in parts)


@pytest.mark.parametrize("size", [22, 480, 4800, 200_000])
def test_a_wav_header_is_removed(size: int) -> None:
    found = reply(*pieces(wav(TONE_PCM, rate_hz=RATE_HZ), size))
    assert heard(found) == TONE_PCM


def test_a_header_in_every_piece_is_removed() -> None:
    sound = [chunk(wav(each.audio_data, rate_hz=RATE_HZ)) for each in pieces(TONE_PCM)]
    assert heard(reply(*sound)) == TONE_PCM
    assert heard(reply(pieces(TONE_PCM)[0], *sound[1:])) == TONE_PCM


def test_a_wav_file_at_another_rate_is_heard_at_the_announced_one() -> None:
    found = reply(*pieces(wav(TONE_PCM[::1], rate_hz=48_000)))
    assert {each.sample_rate for each in found if isinstance(each, AudioOutputChunk)} == {RATE_HZ}
    assert len(heard(found)) == pytest.approx(len(TONE_PCM) / 2, rel=0.02)
    assert not alike(heard(found), TONE_PCM)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (coded("MP3"), "an MP3 file"),
        (coded("OGG"), "an Ogg file"),
        (coded("FLAC"), "a FLAC file"),
        (json.dumps({"error": {"message": "out of memory"}}).encode(), "JSON"),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "a web page"),
        (b"Internal Server Error", "text"),
        (b"\x1aE\xdf\xa3" + bytes(400), "a WebM or Matroska file"),
        (NOISE, "compressed data"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_sample_is_refused_once_and_never_played(body: bytes, what: str) -> None:
    check = SoundCheck()
    found = reply(*pieces(body), *pieces(TONE_PCM), check=check)
    errors = [each for each in found if isinstance(each, ErrorOccurred)]
    assert [(each.code, what in each.message) for each in errors] == [("not_pcm", True)]
    assert errors[0].hint
    assert heard(found) == b""
    # The next response is judged anew.
    assert heard(reply(chunk(TONE_PCM, "r2"), id="r2", check=check)) == TONE_PCM
