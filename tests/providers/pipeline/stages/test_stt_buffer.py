import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers.words import frames, played
from voxd.errors import DeviceError
from voxd.frames import SAMPLE_RATE_HZ, Frame
from voxd.providers.audio_buffer import MAX_TAPE_S
from voxd.providers.pipeline.stages.stt_buffer import Kept


def ramp(samples: int) -> bytes:
    """Return sound in which every sample tells its place."""
    return b"".join((place % 30_000).to_bytes(2, "little") for place in range(samples))


async def filled(pcm: bytes) -> Kept:
    kept = Kept()
    await kept.fill(played(pcm))
    return kept


async def test_it_gives_pieces_as_soon_as_they_are_there() -> None:
    kept = Kept()
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[Frame]:
        yield Frame(0, ramp(100))
        await gate.wait()
        yield Frame(100, ramp(200)[200:])

    filling = asyncio.create_task(kept.fill(slowly()))
    assert await kept.piece(0, 100) == ramp(100)
    waiting = asyncio.create_task(kept.piece(50, 100))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert await waiting == ramp(150)[100:]
    await filling


async def test_the_last_piece_is_shorter_and_then_there_is_none() -> None:
    kept = await filled(ramp(150))
    assert await kept.piece(100, 100) == ramp(150)[200:]
    assert await kept.piece(150, 100) == b""


async def test_a_microphone_that_breaks_is_told_after_what_it_gave() -> None:
    async def broken() -> AsyncIterator[Frame]:
        yield Frame(0, ramp(100))
        raise DeviceError("unplugged")

    kept = Kept()
    await kept.fill(broken())
    assert await kept.piece(0, 200) == ramp(100)
    with pytest.raises(DeviceError):
        await kept.piece(100, 100)
    kept.forget(100)
    assert not kept.understood


async def test_nothing_at_all_never_begins() -> None:
    kept = await filled(b"")
    assert not await kept.begun()
    assert kept.understood


async def test_no_more_than_the_longest_utterance_is_taken() -> None:
    taken = 0

    async def endless() -> AsyncIterator[Frame]:
        nonlocal taken
        while True:
            taken += 1
            yield Frame(0, bytes(2 * SAMPLE_RATE_HZ))

    kept = Kept()
    await kept.fill(endless())
    assert taken == MAX_TAPE_S
    assert kept.over.is_set()
    assert kept.end == MAX_TAPE_S * SAMPLE_RATE_HZ


@settings(max_examples=50, deadline=None)
@given(
    samples=st.integers(1, 3000),
    marks=st.lists(st.integers(-10, 4000), max_size=6),
    piece=st.integers(1, 700),
)
def test_whatever_is_forgotten_the_rest_is_what_was_said(samples: int, marks: list[int], piece: int) -> None:
    async def read() -> None:
        kept = await filled(ramp(samples))
        for mark in marks:
            kept.forget(mark)
        assert kept.start == min(max([0, *marks]), samples)
        assert kept.end == samples
        at, found = kept.start, b""
        while part := await kept.piece(at, piece):
            found += part
            at += len(part) // 2
        assert found == ramp(samples)[2 * kept.start :]

    asyncio.run(read())


def test_the_frames_of_these_tests_hold_every_sample() -> None:
    assert b"".join(frame.pcm for frame in frames(ramp(1000))) == ramp(1000)
