import itertools
import struct

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.providers.pipeline.stages.tts_pcm import MAX_HEADER_BYTES, PcmDecoder, check_type

RATE_HZ = 24_000
TONE = struct.pack("<60h", *(n * 300 for n in range(-30, 30)))


def wav(
    pcm: bytes,
    *,
    rate_hz: int = 22_050,
    channels: int = 1,
    bits: int = 16,
    size: int | None = None,
    between: bytes = b"",
) -> bytes:
    size = len(pcm) if size is None else size
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * 2, 2, bits)
    data = struct.pack("<4sI", b"data", size) + pcm
    return struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF, b"WAVE") + form + between + data


def spoken(parts: list[bytes], rate_hz: int = RATE_HZ) -> tuple[bytes, set[int]]:
    """What comes out for ``parts``, and at which rates; every clip has whole samples and is not empty."""
    pcm = PcmDecoder("vendor", rate_hz)
    clips = [*(pcm.feed(part) for part in parts), pcm.finish()]
    found = [clip for clip in clips if clip is not None]
    assert all(clip.pcm and len(clip.pcm) % 2 == 0 for clip in found)
    return b"".join(clip.pcm for clip in found), {clip.rate_hz for clip in found}


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in itertools.pairwise(at)]


CUTS = st.lists(st.integers(0, 400), max_size=12)


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=200).map(lambda half: half + half), CUTS)
def test_pcm_comes_out_as_it_went_in_wherever_it_is_cut(pcm: bytes, cuts: list[int]) -> None:
    assume(not pcm.startswith((b"RIFF", b"ID3", b"OggS", b"fLaC", b"<")))
    assert spoken(split(pcm, cuts)) == (pcm, {RATE_HZ})


@settings(max_examples=60)
@given(CUTS, st.sampled_from([b"", b"LIST\x04\x00\x00\x00abcd", b"odd \x03\x00\x00\x00abc\x00"]))
def test_a_wav_header_is_taken_off_wherever_it_is_cut_and_its_rate_believed(
    cuts: list[int], between: bytes
) -> None:
    assert spoken(split(wav(TONE, between=between), cuts)) == (TONE, {22_050})


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_file_that_is_streamed_does_not_know_its_length(size: int) -> None:
    assert spoken([wav(TONE, size=size)]) == (TONE, {22_050})


def test_what_follows_the_sound_of_a_wav_file_is_not_played() -> None:
    assert spoken([wav(TONE), b"LIST\x04\x00\x00\x00abcd"]) == (TONE, {22_050})
    assert spoken([wav(TONE) + b"LIST\x04\x00\x00\x00abcd"]) == (TONE, {22_050})


def test_a_very_short_sound_is_a_sound() -> None:
    assert spoken([b"RI"]) == (b"RI", {RATE_HZ})
    assert spoken([b"\x01\x00"]) == (b"\x01\x00", {RATE_HZ})


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "no_sound"),
        ([b""], "no_sound"),
        ([wav(b"", size=0)], "no_sound"),
        ([b"\x01"], "truncated"),
        ([TONE, b"\x01"], "truncated"),
        ([wav(TONE + b"\x01")], "truncated"),
        ([wav(TONE)[:30]], "truncated"),
        ([wav(TONE)[:8]], "truncated"),
        ([wav(TONE, channels=2)], "not_pcm"),
        ([wav(TONE, bits=8)], "not_pcm"),
        ([wav(TONE, rate_hz=0)], "not_pcm"),
        ([b"ID3\x04\x00", TONE], "not_pcm"),
        ([b"O", b"ggS", TONE], "not_pcm"),
        ([b"fLaC", TONE], "not_pcm"),
        ([b"<!DOCTYPE html><html>"], "captive_portal"),
        ([b"<html><body>"], "captive_portal"),
    ],
    ids=str,
)
def test_what_is_no_whole_sound_is_a_fault(parts: list[bytes], code: str) -> None:
    with pytest.raises(ProviderError) as raised:
        spoken(parts)
    assert (raised.value.code, raised.value.provider) == (code, "vendor")
    assert isinstance(raised.value, ConnectionFailed if code == "captive_portal" else StreamError)
    assert raised.value.retryable == (code != "not_pcm")


def test_a_header_without_an_end_is_not_waited_for() -> None:
    endless = wav(b"")[:36] + b"LIST" + struct.pack("<I", 1 << 30)
    pcm = PcmDecoder("vendor", RATE_HZ)
    assert pcm.feed(endless) is None
    with pytest.raises(StreamError, match="endless"):
        pcm.feed(bytes(MAX_HEADER_BYTES))


@pytest.mark.parametrize(
    "kind", ["", "audio/pcm", "audio/l16;rate=24000", "audio/wav", "application/octet-stream"]
)
def test_sound_may_be_called_by_many_names(kind: str) -> None:
    check_type("vendor", kind)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("text/html; charset=utf-8", "captive_portal"),
        ("TEXT/HTML", "captive_portal"),
        ("application/json", "not_pcm"),
        ("text/plain", "not_pcm"),
        ("audio/mpeg", "not_pcm"),
    ],
)
def test_what_cannot_be_pcm_is_refused_by_its_name(kind: str, code: str) -> None:
    with pytest.raises(ProviderError) as raised:
        check_type("vendor", kind)
    assert raised.value.code == code
