"""The ring: whatever window is read holds exactly what was written there."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.audio import ring_writer
from voxd.audio.ring import Ring, RingOverrun
from voxd.audio.ring_writer import RingWriter
from voxd.frames import SAMPLE_RATE_HZ

CAPACITY = 160


def small(channels: int = 1) -> Ring:
    return Ring.create(channels, CAPACITY / SAMPLE_RATE_HZ)


def numbered(start: int, count: int, channels: int = 1) -> bytes:
    """Sample i of channel c is i * 8 + c, so that any window says where it comes from."""
    return b"".join(
        ((i * 8 + c) % 30_000).to_bytes(2, "little", signed=True)
        for i in range(start, start + count)
        for c in range(channels)
    )


def of_channel(start: int, count: int, channel: int) -> bytes:
    return b"".join(((i * 8 + channel) % 30_000).to_bytes(2, "little") for i in range(start, start + count))


@examples(60)
@given(
    blocks=st.lists(st.integers(1, CAPACITY), min_size=1, max_size=20),
    channels=st.integers(1, 4),
    data=st.data(),
)
def test_any_window_that_is_remembered_is_what_was_written(
    blocks: list[int], channels: int, data: st.DataObject
) -> None:
    with small(channels) as ring:
        for block in blocks:
            ring.append(numbered(ring.head, block, channels))
        total = sum(blocks)
        assert (ring.head, ring.tail) == (total, max(0, total - CAPACITY))
        start = data.draw(st.integers(ring.tail, ring.head))
        count = data.draw(st.integers(0, 2 * CAPACITY))
        channel = data.draw(st.integers(0, channels - 1))
        frame = ring.read(start, count, channel)
        assert frame.start == start
        assert frame.samples == min(count, total - start)
        assert frame.pcm == of_channel(start, frame.samples, channel)


@pytest.mark.parametrize("start", [-1, 0, 99])
def test_what_is_overwritten_raises(start: int) -> None:
    with small() as ring:
        ring.append(numbered(0, CAPACITY))
        ring.append(numbered(CAPACITY, 100))
        with pytest.raises(RingOverrun, match="the oldest is 100"):
            ring.read(start, 10)


def test_a_block_being_written_already_counts_as_overwritten() -> None:
    with small() as ring:
        ring.append(numbered(0, CAPACITY))
        ring.header[ring_writer.RESERVED] = CAPACITY + 40
        with pytest.raises(RingOverrun):
            ring.read(39, 1)
        assert ring.read(40, 1).pcm == numbered(40, 1)


def test_the_future_is_empty() -> None:
    with small() as ring:
        assert ring.read(5, 10).samples == 0


def test_samples_without_a_signal_are_counted_until_one_comes() -> None:
    with small(2) as ring:
        ring.append(bytes(40))
        ring.append(bytes(80))
        assert ring.flat_run == 30
        ring.append(numbered(0, 20))
        assert ring.flat_run == 0


def test_a_signal_on_another_channel_does_not_count() -> None:
    frames = b"".join(b"\x00\x00" + value.to_bytes(2, "little") for value in range(20))
    for listened, run in ((0, 20), (1, 0)):
        with Ring.create(2, 0.1, listened) as ring:
            ring.append(frames)
            assert ring.flat_run == run


def test_what_was_captured_counts_and_not_what_was_made_of_it() -> None:
    with small() as ring:
        ring.append(numbered(0, 20), bytes(120))
        assert ring.flat_run == 20


def test_a_second_writer_goes_on_where_the_first_was_killed() -> None:
    with small() as ring:
        ring.append(numbered(0, 50))
        ring.header[ring_writer.FLAGS] = ring_writer.FLAG_ENDED
        with RingWriter(os.dup(ring.fd), os.dup(ring.wake_fd)) as writer:
            writer.begin()
            writer.append(numbered(50, 20))
        assert ring.head == 70
        assert not ring.ended
        assert ring.read(40, 30).pcm == numbered(40, 30)


def test_a_reader_is_woken_by_a_block_and_by_nothing_else() -> None:
    with small() as ring:
        assert not ring.wait(0)
        writer = threading.Thread(target=ring.append, args=(numbered(0, 10),))
        writer.start()
        assert ring.wait(5)
        writer.join()
        assert not ring.wait(0)
        assert ring.heartbeat_s > 0


def test_closing_twice_is_harmless_and_frees_the_descriptors() -> None:
    before = len(os.listdir("/proc/self/fd"))
    ring = small()
    ring.close()
    ring.close()
    assert len(os.listdir("/proc/self/fd")) == before
