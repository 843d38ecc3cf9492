"""What is no signal: zeros, a constant, one bit; and what is one, however faint."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.audio.deafness import FlatRun, is_flat

SAMPLE = st.integers(-32_768, 32_767)


@pytest.mark.parametrize(
    ("values", "flat"),
    [
        ((), True),
        ((0,), True),
        ((-32_768,), True),
        ((0, 1), True),
        ((-1, 1), True),
        ((-1, 0, 1), True),
        ((511, 512, 513), True),
        ((0, 256), True),
        ((-2, -1, 0, 1), False),
        ((-2, 0, 2), False),
        ((-2, -1, 0, 1, 2), False),
    ],
)
def test_what_carries_a_signal(values: tuple[int, ...], flat: bool) -> None:
    assert is_flat(values) is flat


def test_a_click_between_two_constants_begins_a_run_of_its_own() -> None:
    run = FlatRun()
    assert run.feed({0}, 100) == 100
    assert run.feed({0, 90}, 100) == 200
    assert run.feed({90, 91, 92}, 100) == 100
    assert run.feed({0, 50, -70}, 100) == 0
    assert run.feed({5}, 100) == 100


@given(SAMPLE, st.lists(st.sampled_from([-1, 0, 1]), min_size=1), st.integers(1, 7))
def test_one_bit_around_any_constant_is_flat_in_whatever_blocks(at: int, bits: list[int], block: int) -> None:
    run, samples = FlatRun(), [at + bit for bit in bits]
    for start in range(0, len(samples), block):
        piece = samples[start : start + block]
        run.feed(set(piece), len(piece))
    assert run.samples == len(samples)


@given(st.integers(3, 2000), st.integers(0, 99))
def test_noise_of_a_few_steps_is_never_flat(spread: int, seed: int) -> None:
    noise, run = random.Random(seed), FlatRun()
    for _ in range(3):
        assert run.feed({noise.randint(0, spread) for _ in range(640)}, 640) == 0
