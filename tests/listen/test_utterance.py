"""The stream of one utterance: what it gives out, when, and what it never does."""

import asyncio
import itertools
import threading
from collections.abc import Iterator

import pytest

from voxd.audio.ring import Ring
from voxd.errors import DeviceError
from voxd.listen.utterance import CHUNK_SAMPLES, LEAD_IN_SAMPLES, Utterance

BLOCK = 640


@pytest.fixture
def ring() -> Iterator[Ring]:
    with Ring.create(1, 4.0) as made:
        yield made


def append(ring: Ring, samples: int) -> None:
    """Append samples that carry their own index, so that a wrong one shows."""
    for _ in range(samples // BLOCK):
        head = ring.head
        ring.append(b"".join((index % 30_000).to_bytes(2, "little") for index in range(head, head + BLOCK)))


def first_index(pcm: bytes) -> int:
    return int.from_bytes(pcm[:2], "little")


async def test_it_gives_out_everything_from_the_wake_word_on_when_speech_follows_at_once(ring: Ring) -> None:
    append(ring, 32_000)
    utterance = Utterance(ring, 0, 16_000)
    utterance.open(16_000)
    utterance.advance(ring.head)
    utterance.finish(30_000)
    frames = [frame async for frame in utterance]
    assert (frames[0].start, frames[-1].end) == (16_000, 30_000)
    assert all(a.end == b.start for a, b in itertools.pairwise(frames))
    assert [frame.samples for frame in frames[:-1]] == [CHUNK_SAMPLES] * (len(frames) - 1)
    assert all(first_index(frame.pcm) == frame.start for frame in frames)
    assert (utterance.start_sample, utterance.end_sample) == (16_000, 30_000)


async def test_after_a_pause_it_begins_half_a_second_before_the_speech(ring: Ring) -> None:
    append(ring, 60_800)
    utterance = Utterance(ring, 0, 16_000)
    utterance.open(40_000)
    utterance.finish(60_000)
    assert (await anext(utterance)).start == 40_000 - LEAD_IN_SAMPLES


async def test_nothing_is_given_out_before_speech_began(ring: Ring) -> None:
    append(ring, 32_000)
    utterance = Utterance(ring, 0, 0)
    waiting = asyncio.ensure_future(anext(utterance))
    utterance.advance(32_000)
    await asyncio.sleep(0)
    assert not waiting.done()
    utterance.open(8_000)
    assert (await waiting).start == 0


async def test_an_utterance_without_speech_ends_without_a_frame(ring: Ring) -> None:
    append(ring, 32_000)
    utterance = Utterance(ring, 0, 0)
    utterance.finish(0)
    assert (await utterance.clip()).pcm == b""


async def test_it_wakes_a_waiting_consumer_from_another_thread(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    utterance.open(0)

    def speak() -> None:
        for _ in range(25):
            append(ring, BLOCK)
            utterance.advance(ring.head)
        utterance.finish(ring.head)

    speaker = threading.Thread(target=speak)
    async with asyncio.timeout(5):
        collecting = asyncio.ensure_future(utterance.clip())
        await asyncio.sleep(0)
        speaker.start()
        clip = await collecting
    speaker.join()
    assert len(clip.pcm) == 2 * 25 * BLOCK


async def test_the_loop_is_woken_once_for_several_blocks(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    utterance = Utterance(ring, 0, 0)
    utterance.open(0)
    waiting = asyncio.ensure_future(anext(utterance))
    await asyncio.sleep(0)
    calls = 0
    original = loop.call_soon_threadsafe

    def counted(*args: object) -> object:
        nonlocal calls
        calls += 1
        return original(*args)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    for _ in range(20):
        append(ring, BLOCK)
        utterance.advance(ring.head)
    assert calls == 1
    await waiting


async def test_overwritten_sound_is_an_error_and_never_skipped(ring: Ring) -> None:
    append(ring, 16_000)
    utterance = Utterance(ring, 0, 0)
    utterance.open(0)
    utterance.advance(16_000)
    await anext(utterance)
    append(ring, 96_000)
    utterance.advance(ring.head)
    with pytest.raises(DeviceError):
        await anext(utterance)


async def test_a_failure_of_the_ears_reaches_the_consumer(ring: Ring) -> None:
    utterance = Utterance(ring, 0, 0)
    waiting = asyncio.ensure_future(anext(utterance))
    await asyncio.sleep(0)
    utterance.fail(DeviceError("gone"))
    with pytest.raises(DeviceError, match="gone"):
        await waiting
