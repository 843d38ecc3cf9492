import asyncio
from collections.abc import AsyncIterator

import pytest

from voxd.errors import DeviceError
from voxd.frames import Frame
from voxd.providers.audio_buffer import Tape

FRAMES = [Frame(at, bytes(2560)) for at in range(0, 5 * 1280, 1280)]
WAIT_S = 5.0


async def told(frames: list[Frame], go_on: asyncio.Event, *, lost: bool = False) -> AsyncIterator[Frame]:
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


async def test_every_listener_hears_all_of_it_whenever_he_comes() -> None:
    go_on = asyncio.Event()
    async with Tape(told(FRAMES, go_on)) as tape:
        early = asyncio.create_task(heard(tape.play()))
        leaving = tape.play()
        assert await anext(leaving) == FRAMES[0]
        late = asyncio.create_task(heard(tape.play()))
        go_on.set()
        assert await early == await late == await heard(tape.play()) == FRAMES


async def test_a_listener_that_is_cancelled_takes_nothing_with_it() -> None:
    go_on = asyncio.Event()
    async with Tape(told(FRAMES, go_on)) as tape:
        first = asyncio.create_task(heard(tape.play()))
        frames = tape.play()
        assert [await anext(frames), await anext(frames)] == FRAMES[:2]
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        go_on.set()
        assert await heard(frames) == FRAMES[2:]


async def test_lost_sound_is_an_error_for_every_listener() -> None:
    go_on = asyncio.Event()
    go_on.set()
    async with Tape(told(FRAMES, go_on, lost=True)) as tape:
        for _ in range(2):
            with pytest.raises(DeviceError):
                await heard(tape.play())


async def test_an_utterance_without_an_end_is_ended() -> None:
    async def endless() -> AsyncIterator[Frame]:
        while True:
            await asyncio.sleep(0)
            yield Frame(0, bytes(32_000 * 40))

    async with Tape(endless()) as tape:
        assert len(await heard(tape.play())) == 3


async def test_the_end_is_known_and_the_whole_of_it_is_one_clip() -> None:
    go_on = asyncio.Event()
    async with asyncio.timeout(WAIT_S), Tape(told(FRAMES, go_on)) as tape:
        ending = asyncio.create_task(tape.ended())
        assert await heard_some(tape) == FRAMES[:2]
        assert not ending.done()
        go_on.set()
        await ending
        assert (await tape.whole()).pcm == b"".join(frame.pcm for frame in FRAMES)


async def heard_some(tape: Tape) -> list[Frame]:
    frames = tape.play()
    return [await anext(frames), await anext(frames)]


async def test_there_is_no_whole_of_what_was_lost() -> None:
    go_on = asyncio.Event()
    go_on.set()
    async with Tape(told(FRAMES, go_on, lost=True)) as tape:
        with pytest.raises(DeviceError):
            await tape.whole()
