import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.frames import Clip
from voxd.providers.pipeline.stages.tts_http import ReplayMismatch, ReplaySkipper

SOUND = bytes(range(1, 201))
CUTS = st.lists(st.integers(0, 100).map(lambda n: n * 2), max_size=6)


def clips(pcm: bytes, cuts: list[int]) -> list[Clip]:
    at = sorted({0, len(pcm), *(cut for cut in cuts if cut < len(pcm))})
    return [Clip(pcm[a:b], 16_000) for a, b in itertools.pairwise(at)]


def fresh(replay: ReplaySkipper, heard: list[Clip]) -> bytes:
    return b"".join(clip.pcm for each in heard if (clip := replay.fresh(each)) is not None)


@examples(60)
@given(st.lists(st.tuples(st.integers(0, 100).map(lambda n: n * 2), CUTS), max_size=4), CUTS)
def test_an_answer_that_breaks_off_repeatedly_is_played_once(
    broken: list[tuple[int, list[int]]], cuts: list[int]
) -> None:
    replay = ReplaySkipper()
    heard = b""
    for size, at in broken:
        heard += fresh(replay, clips(SOUND[:size], at))
        replay.rewind()
    heard += fresh(replay, clips(SOUND, cuts))
    replay.finish()
    assert heard == SOUND
    assert replay.used_bytes == len(SOUND)


@pytest.mark.parametrize("at", [0, 2, 58])
def test_a_different_answer_is_noticed_before_any_of_it_is_played(at: int) -> None:
    replay = ReplaySkipper()
    replay.fresh(Clip(SOUND[:60], 16_000))
    replay.rewind()
    other = SOUND[:at] + b"??" + SOUND[at + 2 :]
    assert replay.fresh(Clip(other[:40], 16_000)) is None
    with pytest.raises(ReplayMismatch):
        replay.fresh(Clip(other[40:], 16_000))


def test_an_answer_shorter_than_the_played_part_is_a_different_one() -> None:
    replay = ReplaySkipper()
    replay.fresh(Clip(SOUND[:60], 16_000))
    replay.rewind()
    replay.fresh(Clip(SOUND[:40], 16_000))
    with pytest.raises(ReplayMismatch):
        replay.finish()


def test_without_a_break_nothing_is_passed_over() -> None:
    replay = ReplaySkipper()
    assert fresh(replay, clips(SOUND, [10, 50])) == SOUND
    replay.finish()
