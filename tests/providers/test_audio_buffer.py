import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from tests.servers.words import frames, played
from voxd.errors import DeviceError
from voxd.frames import SAMPLE_RATE_HZ, Frame
from voxd.providers.audio_buffer import MAX_UTTERANCE_S, AudioBuffer, record

FRAMES = [Frame(at, bytes(2560)) for at in range(0, 5 * 1280, 1280)]
WAIT_S = 5.0


async def stream(frames: list[Frame], go_on: asyncio.Event, *, lost: bool = False) -> AsyncIterator[Frame]:
    """Half of ``frames``, and the other half, or the loss of the microphone, when the test says so."""
    for frame in frames[:2]:
        yield frame
    await go_on.wait()
    if lost:
        raise DeviceError("no sound")
    for frame in frames[2:]:
        yield frame


async def heard(frames: AsyncIterator[Frame]) -> list[Frame]:
    async with asyncio.timeout(WAIT_S):
        return [frame async for frame in frames]


async def test_every_reader_gets_all_of_it_whenever_it_starts() -> None:
    go_on = asyncio.Event()
    async with record(stream(FRAMES, go_on)) as buffer:
        early = asyncio.create_task(heard(buffer.play()))
        leaving = buffer.play()
        assert await anext(leaving) == FRAMES[0]
        late = asyncio.create_task(heard(buffer.play()))
        go_on.set()
        assert await early == await late == await heard(buffer.play()) == FRAMES


async def test_a_listener_that_is_cancelled_takes_nothing_with_it() -> None:
    go_on = asyncio.Event()
    async with record(stream(FRAMES, go_on)) as buffer:
        first = asyncio.create_task(heard(buffer.play()))
        frames = buffer.play()
        assert [await anext(frames), await anext(frames)] == FRAMES[:2]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        assert await heard(frames) == FRAMES[2:]


async def test_lost_sound_is_an_error_for_every_listener() -> None:
    go_on = asyncio.Event()
    go_on.set()
    async with record(stream(FRAMES, go_on, lost=True)) as buffer:
        for _ in range(2):
            with pytest.raises(DeviceError):
                await heard(buffer.play())


async def test_an_utterance_without_an_end_is_ended() -> None:
    async def endless() -> AsyncIterator[Frame]:
        while True:
            await asyncio.sleep(0)
            yield Frame(0, bytes(32_000 * 40))

    async with record(endless()) as buffer:
        assert len(await heard(buffer.play())) == 3


async def test_the_end_is_known_and_the_whole_of_it_is_one_clip() -> None:
    go_on = asyncio.Event()
    async with asyncio.timeout(WAIT_S), record(stream(FRAMES, go_on)) as buffer:
        ending = asyncio.create_task(buffer.ended.wait())
        assert await heard_some(buffer) == FRAMES[:2]
        assert not ending.done()
        go_on.set()
        await ending
        assert (await buffer.whole()).pcm == b"".join(frame.pcm for frame in FRAMES)


async def heard_some(buffer: AudioBuffer) -> list[Frame]:
    frames = buffer.play()
    return [await anext(frames), await anext(frames)]


async def test_there_is_no_whole_of_what_was_lost() -> None:
    go_on = asyncio.Event()
    go_on.set()
    async with record(stream(FRAMES, go_on, lost=True)) as buffer:
        with pytest.raises(DeviceError):
            await buffer.whole()


def ramp(samples: int) -> bytes:
    """Return sound in which every sample is its own index."""
    return b"".join((place % 30_000).to_bytes(2, "little") for place in range(samples))


async def filled(pcm: bytes) -> AudioBuffer:
    buffer = AudioBuffer()
    await buffer.fill(played(pcm))
    return buffer


async def test_it_gives_pieces_as_soon_as_they_are_there() -> None:
    buffer = AudioBuffer()
    gate = asyncio.Event()

    async def slowly() -> AsyncIterator[Frame]:
        yield Frame(0, ramp(100))
        await gate.wait()
        yield Frame(100, ramp(200)[200:])

    filling = asyncio.create_task(buffer.fill(slowly()))
    assert await buffer.read(0, 100) == ramp(100)
    waiting = asyncio.create_task(buffer.read(50, 100))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert await waiting == ramp(150)[100:]
    await filling


async def test_the_last_piece_is_shorter_and_then_there_is_none() -> None:
    buffer = await filled(ramp(150))
    assert await buffer.read(100, 100) == ramp(150)[200:]
    assert await buffer.read(150, 100) == b""


async def test_a_failed_microphone_is_reported_after_its_audio() -> None:
    async def broken() -> AsyncIterator[Frame]:
        yield Frame(0, ramp(100))
        raise DeviceError("unplugged")

    buffer = AudioBuffer()
    await buffer.fill(broken())
    assert await buffer.read(0, 200) == ramp(100)
    with pytest.raises(DeviceError):
        await buffer.read(100, 100)
    buffer.discard(100)
    assert not buffer.is_acknowledged


async def test_nothing_at_all_never_begins() -> None:
    buffer = await filled(b"")
    assert await buffer.frame(0) is None
    assert buffer.is_acknowledged


async def test_no_more_than_the_longest_utterance_is_taken() -> None:
    taken = 0

    async def endless() -> AsyncIterator[Frame]:
        nonlocal taken
        while True:
            taken += 1
            yield Frame(0, bytes(2 * SAMPLE_RATE_HZ))

    buffer = AudioBuffer()
    await buffer.fill(endless())
    assert taken == MAX_UTTERANCE_S
    assert buffer.ended.is_set()
    assert buffer.end == MAX_UTTERANCE_S * SAMPLE_RATE_HZ


@examples(50, deadline=None)
@given(
    samples=st.integers(1, 3000),
    marks=st.lists(st.integers(-10, 4000), max_size=6),
    piece=st.integers(1, 700),
)
def test_whatever_is_forgotten_the_rest_is_what_was_said(samples: int, marks: list[int], piece: int) -> None:
    async def read() -> None:
        buffer = await filled(ramp(samples))
        for mark in marks:
            buffer.discard(mark)
        assert buffer.start == min(max([0, *marks]), samples)
        assert buffer.end == samples
        at, found = buffer.start, b""
        while part := await buffer.read(at, piece):
            found += part
            at += len(part) // 2
        assert found == ramp(samples)[2 * buffer.start :]

    asyncio.run(read())


def test_the_frames_of_these_tests_hold_every_sample() -> None:
    assert b"".join(frame.pcm for frame in frames(ramp(1000))) == ramp(1000)
