"""Cutting frames into an engine's blocks."""

from hypothesis import given
from hypothesis import strategies as st

from voxd.frames import BYTES_PER_SAMPLE, Frame
from voxd.listen.wake_engine import Reblocker


@given(st.integers(1, 50), st.lists(st.integers(0, 200), max_size=12), st.integers(0, 10_000))
def test_blocks_are_the_sound_in_order_whatever_the_frames(
    block: int, lengths: list[int], start: int
) -> None:
    total = sum(lengths)
    pcm = bytes(at % 251 for at in range(total * BYTES_PER_SAMPLE))
    reblocker, blocks, at = Reblocker(block), [], 0
    for length in lengths:
        piece = pcm[at * BYTES_PER_SAMPLE : (at + length) * BYTES_PER_SAMPLE]
        blocks += list(reblocker.feed(Frame(start + at, piece)))
        at += length
    whole = total // block
    assert b"".join(block for block, _ in blocks) == pcm[: whole * block * BYTES_PER_SAMPLE]
    assert [end for _, end in blocks] == [start + block * (number + 1) for number in range(whole)]


def test_after_a_reset_the_rest_is_gone_and_the_next_frame_starts_anywhere() -> None:
    reblocker = Reblocker(2)
    assert list(reblocker.feed(Frame(0, b"aabbcc"))) == [(b"aabb", 2)]
    reblocker.reset()
    assert list(reblocker.feed(Frame(100, b"ddee"))) == [(b"ddee", 102)]
