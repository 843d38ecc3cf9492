"""The loudspeaker's queue: order, volume and the cut."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.audio import output_ring
from voxd.audio.output_ring import GAIN_ONE, OutputRing, ramp


@pytest.fixture
def queue() -> Iterator[OutputRing]:
    with OutputRing.create(1000) as queue:
        yield queue


def pcm(*values: int) -> bytes:
    return np.array(values, np.int16).tobytes()


@examples(50)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=12))
def test_everything_comes_out_once_and_in_order(sizes: list[int]) -> None:
    with OutputRing.create(500) as queue:
        for number, size in enumerate(sizes, 1):
            queue.write(pcm(*[number] * size))
            assert queue.pull(size) == pcm(*[number] * size)
        assert queue.pull(3) == bytes(6)
        assert queue.header[output_ring.CONSUMED] == sum(sizes)


def test_what_is_missing_is_silence(queue: OutputRing) -> None:
    queue.write(pcm(7, 7))
    assert queue.pull(4) == pcm(7, 7, 0, 0)


def test_volume_reaches_what_is_queued_and_moves_without_a_step(queue: OutputRing) -> None:
    queue.write(pcm(*[1000] * 300))
    queue.pull(100)
    queue.header[output_ring.GAIN] = GAIN_ONE // 2
    sliding = np.frombuffer(queue.pull(100), np.int16)
    assert np.abs(np.diff(sliding)).max() <= 51
    assert sliding[-1] == 500
    assert queue.pull(100) == pcm(*[500] * 100)


def test_a_cut_fades_over_one_block_and_drops_the_rest(queue: OutputRing) -> None:
    queue.write(pcm(*[1000] * 800))
    queue.pull(100)
    queue.header[output_ring.FLUSH] = 800
    fading = np.frombuffer(queue.pull(100), np.int16)
    assert fading[0] > 800
    assert fading[-1] == 0
    assert queue.header[output_ring.CUT] == 200
    assert queue.header[output_ring.CONSUMED] == 800
    queue.write(pcm(5))
    assert queue.pull(2) == pcm(5, 0)


def test_each_block_is_stamped_and_silence_is_not(queue: OutputRing) -> None:
    queue.pull(10)
    queue.write(pcm(1, 2, 3))
    queue.pull(2)
    queue.pull(2)
    assert queue.header[output_ring.STAMPS] == 2
    (first, first_s), (second, second_s) = queue.stamp(0), queue.stamp(1)
    assert (first, second) == (2, 3)
    assert 0 < first_s <= second_s
    assert queue.clear_wake()


@given(st.binary(min_size=2, max_size=40).filter(lambda raw: len(raw) % 2 == 0))
def test_a_ramp_never_makes_anything_louder(raw: bytes) -> None:
    before = np.frombuffer(raw, np.int16).astype(int)
    after = np.frombuffer(ramp(raw, GAIN_ONE, 0), np.int16).astype(int)
    assert len(after) == len(before)
    # Shifting rounds towards minus infinity: one unit may remain.
    assert (np.abs(after) <= np.abs(before) + 1).all()


def test_two_processes_see_the_same_queue(queue: OutputRing) -> None:
    with OutputRing(os.dup(queue.fd), os.dup(queue.wake_fd)) as other:
        queue.write(pcm(1, 2, 3))
        assert other.pull(3) == pcm(1, 2, 3)
    assert queue.header[output_ring.CONSUMED] == 3
