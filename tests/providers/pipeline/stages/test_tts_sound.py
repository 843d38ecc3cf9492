"""What a text-to-speech vendor may send, and what is played of it."""

import asyncio
import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.formats.made import ADTS, MP4, NOISE, TONE_PCM, WEBM, alike, coded, wav
from tests.properties import examples
from voxd.audio.formats.samples import MAX_HEADER_BYTES
from voxd.errors import ConnectionFailed, ProviderError, StreamError
from voxd.frames import Clip
from voxd.net import faults
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder, encoding_of

RATE_HZ = 24_000
TONE = struct.pack("<60h", *(n * 300 for n in range(-30, 30)))


def decoder_for(label: str = "", rate_hz: int = RATE_HZ) -> SoundDecoder:
    read, key = faults.error_for_refusal, "sk-12345678"
    return SoundDecoder("vendor", encoding_of(label, rate_hz), label=label, read_refusal=read, key=key)


async def clips(parts: Sequence[bytes], label: str = "", rate_hz: int = RATE_HZ) -> list[Clip]:
    """The clips of ``parts``; every one has whole samples and is not empty."""
    decoder = decoder_for(label, rate_hz)
    found = [clip for part in parts for clip in await decoder.feed(part)] + await decoder.finish()
    assert all(clip.pcm and len(clip.pcm) % 2 == 0 for clip in found)
    return found


def spoken(parts: Sequence[bytes], label: str = "", rate_hz: int = RATE_HZ) -> tuple[bytes, set[int]]:
    """What comes out for ``parts``, and at which rates."""
    found = asyncio.run(clips(parts, label, rate_hz))
    return b"".join(clip.pcm for clip in found), {clip.rate_hz for clip in found}


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in itertools.pairwise(at)]


FORMS = ["MP3", "MP3 ID3", "OGG VORBIS", "OGG OPUS", "FLAC", "AIFF", "AU", "WAV", "W64", "RF64"]
CUTS = st.lists(st.integers(0, 400), max_size=12)


@examples(60)
@given(st.lists(st.integers(-900, 900), min_size=30, max_size=100), CUTS)
def test_pcm_comes_out_as_it_went_in_wherever_it_is_cut(samples: list[int], cuts: list[int]) -> None:
    pcm = struct.pack(f"<{len(samples)}h", *samples)
    assert spoken(split(pcm, cuts)) == (pcm, {RATE_HZ})


@examples(60)
@given(CUTS, st.sampled_from([b"", b"LIST\x04\x00\x00\x00abcd", b"odd \x03\x00\x00\x00abc\x00"]))
def test_a_wav_header_is_taken_off_wherever_it_is_cut_and_its_rate_believed(
    cuts: list[int], between: bytes
) -> None:
    assert spoken(split(wav(TONE, between=between), cuts)) == (TONE, {22_050})


@examples(60)
@given(CUTS, st.sampled_from([None, 0, 0xFFFFFFFF]), st.binary(max_size=1))
def test_a_header_in_every_piece_is_never_played(cuts: list[int], size: int | None, half: bytes) -> None:
    body = b"".join(wav(TONE[at : at + 40] + half, size=size) for at in range(0, 120, 40))
    assert spoken(split(body, cuts)) == (TONE, {22_050})


QUIET = [
    bytes(480),
    b"\xff\xff" * 240,
    b"\xff\xff\x00\x00\x01\x00" * 80,
    b"\xff\xfb\x90\x64" * 120,
    b"\xff\xf1\x50\x80" * 120,
    b"\xff\xe3\x18\xc4" + bytes(400),
    b"\x1f\x8b" + bytes(100),
    b"ID" + bytes(100),
    b"RI" + bytes(100),
    b"{\x00}\x00" * 50,
    b"  " + bytes(100),
]


@pytest.mark.parametrize("pcm", QUIET, ids=lambda pcm: pcm[:6].hex())
@pytest.mark.parametrize("label", ["", "audio/pcm", "audio/mpeg", "application/json", "audio/wav"])
def test_quiet_sound_is_played_whatever_it_resembles(pcm: bytes, label: str) -> None:
    assert spoken([pcm], label)[0] == pcm
    assert spoken([pcm[at : at + 7] for at in range(0, len(pcm), 7)], label)[0] == pcm


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_file_that_is_streamed_does_not_know_its_length(size: int) -> None:
    assert spoken([wav(TONE, size=size)]) == (TONE, {22_050})


def test_what_follows_the_sound_of_a_wav_file_is_not_played() -> None:
    assert spoken([wav(TONE), b"LIST\x04\x00\x00\x00abcd"]) == (TONE, {22_050})
    assert spoken([wav(TONE) + b"LIST\x04\x00\x00\x00abcd"]) == (TONE, {22_050})
    assert spoken([wav(TONE) + b"LIST\x04\x00\x00\x00abcd" + wav(TONE)]) == (TONE * 2, {22_050})


def test_a_header_that_counts_one_piece_only_loses_no_sound() -> None:
    assert spoken([wav(TONE[:40], size=40), TONE[40:]]) == (TONE, {22_050})


def test_a_header_may_change_the_rate() -> None:
    found = asyncio.run(clips([wav(TONE, rate_hz=16_000), wav(TONE, rate_hz=48_000)]))
    assert [(clip.rate_hz, clip.pcm) for clip in found] == [(16_000, TONE), (48_000, TONE)]


def test_a_very_short_sound_is_a_sound() -> None:
    assert spoken([b"RI"]) == (b"RI", {RATE_HZ})
    assert spoken([b"\x01\x00"]) == (b"\x01\x00", {RATE_HZ})


def test_a_last_half_sample_costs_no_sound() -> None:
    assert spoken([TONE, b"\x01"]) == (TONE, {RATE_HZ})
    assert spoken([wav(TONE + b"\x01")]) == (TONE, {22_050})


@pytest.mark.parametrize("piece", [100, 512, 4096, 1 << 20])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", ["audio/pcm", "audio/mpeg"])
def test_every_known_file_is_decoded_whatever_its_label(form: str, label: str, piece: int) -> None:
    body = coded(form)
    pcm, rates = spoken([body[at : at + piece] for at in range(0, len(body), piece)], label, 8000)
    assert rates == {RATE_HZ}
    assert alike(pcm, TONE_PCM)


def test_mp3_is_played_before_all_of_it_is_there() -> None:
    async def first() -> int:
        decoder = decoder_for()
        for at in range(0, len(coded("MP3")), 512):
            if await decoder.feed(coded("MP3")[at : at + 512]):
                return at
        return len(coded("MP3"))

    assert asyncio.run(first()) < len(coded("MP3")) / 2


def test_mp3_behind_padding_is_found() -> None:
    body = bytes(7) + b"junk" + coded("MP3")
    assert alike(spoken([body], "audio/mpeg")[0], TONE_PCM)


def test_telephone_sound_is_expanded_when_it_is_labelled() -> None:
    silence, rates = spoken([b"\xff" * 100], "audio/basic")
    assert (silence, rates) == (bytes(200), {8000})
    assert spoken([b"\xd5" * 100], "audio/PCMA;rate=16000") == (struct.pack("<h", 8) * 100, {16_000})
    mu = wav(b"\x80\x00", rate_hz=8000, bits=8, tag=7)
    assert spoken([mu]) == (struct.pack("<2h", 32_124, -32_124), {8000})


def test_what_the_label_says_of_samples_counts_unless_a_header_says_otherwise() -> None:
    assert spoken([TONE], "audio/L16; rate=16000") == (TONE, {16_000})
    stereo = b"".join(TONE[at : at + 2] * 2 for at in range(0, len(TONE), 2))
    assert spoken([stereo], "audio/l16;rate=48000;channels=2") == (TONE, {48_000})
    assert spoken([wav(TONE)], "audio/wav;rate=8000") == (TONE, {22_050})


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([], "no_sound"),
        ([b""], "no_sound"),
        ([wav(b"", size=0)], "no_sound"),
        ([b"\x01"], "truncated"),
        ([wav(TONE)[:30]], "truncated"),
        ([wav(TONE)[:8]], "truncated"),
        ([wav(TONE, size=9000)], "truncated"),
        ([wav(TONE, bits=4, tag=2)], "not_pcm"),
        ([wav(TONE, rate_hz=0)], "not_pcm"),
        ([b"ID3\x04\x00\x00\x00\x00\x00\x05hello", TONE], "not_pcm"),
        ([b"O", b"ggS\0", TONE], "not_pcm"),
        ([b"fLaC", TONE], "not_pcm"),
        ([ADTS], "not_pcm"),
        ([MP4], "not_pcm"),
        ([WEBM], "not_pcm"),
        ([NOISE], "not_pcm"),
        ([b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", NOISE], "not_pcm"),
        ([b"<!DOCTYPE html><html>"], "captive_portal"),
        ([b"\n <html><body>"], "captive_portal"),
        ([b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'], "not_pcm"),
        ([b"Internal Server Error"], "not_pcm"),
        ([b"error"], "not_pcm"),
        ([b'{"status": "queued", "id": 7}'], "not_pcm"),
        ([b'{"err', b'or": {"message": "no such voice", "code": "voice_not_found"}}'], "voice_not_found"),
        ([b'{"error": {"message": "slow down", "code": 429}}'], "rate_limited"),
        ([b'{"detail": {"status": "quota", "message": "none left"}}'], "refused"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("label", ["audio/pcm", "audio/mpeg", ""])
def test_what_is_no_sound_is_never_played(parts: list[bytes], code: str, label: str) -> None:
    played: list[Clip] = []

    async def play() -> None:
        decoder = decoder_for(label)
        for part in parts:
            played.extend(await decoder.feed(part))
        played.extend(await decoder.finish())

    with pytest.raises(ProviderError) as raised:
        asyncio.run(play())
    assert (raised.value.code, raised.value.provider) == (code, "vendor")
    assert isinstance(raised.value, ConnectionFailed if code == "captive_portal" else ProviderError)
    if code == "not_pcm":
        assert not raised.value.retryable
        assert not played


def test_the_message_of_an_error_does_not_repeat_the_key() -> None:
    with pytest.raises(ProviderError) as raised:
        spoken([b'{"error": {"message": "sk-12345678 is no key"}}'])
    assert "sk-12345678" not in str(raised.value)


def test_a_header_without_an_end_is_not_waited_for() -> None:
    endless = wav(b"")[:36] + b"LIST" + struct.pack("<I", 1 << 30)
    with pytest.raises(StreamError, match="too long a header"):
        spoken([endless, bytes(MAX_HEADER_BYTES)])
