import asyncio
import itertools
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.frames import Clip
from voxd.providers.pipeline.stages.tts_pcm import (
    GRACE_S,
    MAX_HEADER_BYTES,
    PcmDecoder,
    PlaybackLead,
    check_type,
)

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


@examples(60)
@given(st.binary(min_size=1, max_size=200).map(lambda half: half + half), CUTS)
def test_pcm_comes_out_as_it_went_in_wherever_it_is_cut(pcm: bytes, cuts: list[int]) -> None:
    assume(not pcm.startswith((b"RIFF", b"ID3", b"OggS", b"fLaC", b"<")))
    assert spoken(split(pcm, cuts)) == (pcm, {RATE_HZ})


@examples(60)
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
def test_an_incomplete_sound_is_a_fault(parts: list[bytes], code: str) -> None:
    with pytest.raises(ProviderError) as raised:
        spoken(parts)
    assert (raised.value.code, raised.value.provider) == (code, "vendor")
    assert isinstance(raised.value, ConnectionFailed if code == "captive_portal" else StreamError)
    assert raised.value.retryable == (code != "not_pcm")


def test_a_header_without_an_end_is_not_waited_for() -> None:
    endless = wav(b"")[:36] + b"LIST" + struct.pack("<I", 1 << 30)
    pcm = PcmDecoder("vendor", RATE_HZ)
    assert pcm.feed(endless) is None
    with pytest.raises(StreamError, match="too long a header"):
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


LEAD_RATE_HZ = 16_000


def second(seconds: float = 1.0) -> Clip:
    return Clip(bytes(2 * round(seconds * LEAD_RATE_HZ)), LEAD_RATE_HZ)


@examples(50)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), max_size=20), st.floats(0, 10))
def test_a_wait_longer_than_the_buffered_sound_leaves_no_time(
    steps: list[tuple[float, float]], first_s: float
) -> None:
    pace = PlaybackLead("vendor", first_s=first_s)
    heard = waited = 0.0
    for index, (sound_s, wait_s) in enumerate(steps):
        pace.waited(wait_s if index else 0)
        waited += wait_s if index else 0
        clip = second(sound_s)
        pace.add(clip)
        heard += clip.duration_s
        assert pace.allowed_s >= 0
        # Running dry is forgiven once the sound goes on, never counted twice.
        assert pace.allowed_s >= GRACE_S + heard - waited - 1e-6
        assert pace.allowed_s <= GRACE_S + heard + 1e-6


def test_a_voice_as_fast_as_speech_is_waited_for_for_ever() -> None:
    pace = PlaybackLead("vendor")
    for _ in range(1000):
        pace.add(second())
        pace.waited(1.0)
    assert pace.allowed_s == pytest.approx(GRACE_S)


def test_a_voice_that_drips_is_given_up_soon() -> None:
    pace = PlaybackLead("vendor")
    waited_s = 0.0
    while pace.allowed_s > 1.0:
        pace.waited(1.0)
        pace.add(Clip(bytes(2), LEAD_RATE_HZ))
        waited_s += 1.0
    assert waited_s <= GRACE_S + 1


def test_a_voice_that_was_far_ahead_may_pause_as_long() -> None:
    pace = PlaybackLead("vendor")
    pace.add(second(8))
    assert pace.allowed_s == GRACE_S + 8


async def test_a_vendor_that_never_starts_is_distinguished_from_one_that_stops() -> None:
    never = asyncio.get_running_loop().create_future()
    pace = PlaybackLead("vendor", first_s=0.01)
    with pytest.raises(ConnectionFailed) as raised:
        await pace.wait_for(never)
    assert raised.value.code == "timeout"
    pace = PlaybackLead("vendor")
    pace.add(second(0.01))
    pace.waited(GRACE_S)
    with pytest.raises(StreamError) as stopped:
        await pace.wait_for(asyncio.get_running_loop().create_future())
    assert stopped.value.code == "too_slow"


async def test_what_a_piece_raises_is_raised() -> None:
    async def broken() -> None:
        raise ProviderError("no")

    with pytest.raises(ProviderError, match="no"):
        await PlaybackLead("vendor").wait_for(broken())


def test_a_voice_may_have_another_grace() -> None:
    pace = PlaybackLead("vendor", first_s=20.0, grace_s=10.0)
    assert pace.allowed_s == 20.0
    pace.add(second())
    assert pace.allowed_s == 11.0
