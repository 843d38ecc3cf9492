"""The energy VAD as a rule: a table of sounds, and properties over all of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.sounds import pieces, silence, tone
from tests.properties import examples
from voxd.engine.vad import EnergyVad, SpeechChange, level

STARTED, ENDED = SpeechChange.STARTED, SpeechChange.ENDED


def vad(threshold: float = 0.02, start_ms: int = 100, end_ms: int = 500) -> EnergyVad:
    return EnergyVad(24_000, threshold=threshold, start_ms=start_ms, end_ms=end_ms)


def sound(script: list[tuple[str, int]]) -> bytes:
    return b"".join(tone(ms) if kind == "loud" else silence(ms) for kind, ms in script)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ([("quiet", 1000)], []),
        ([("loud", 80), ("quiet", 1000)], []),
        ([("loud", 200)], [STARTED]),
        ([("loud", 200), ("quiet", 400)], [STARTED]),
        ([("loud", 200), ("quiet", 510)], [STARTED, ENDED]),
        ([("loud", 200), ("quiet", 400), ("loud", 200), ("quiet", 510)], [STARTED, ENDED]),
        ([("loud", 200), ("quiet", 600), ("loud", 200), ("quiet", 600)], [STARTED, ENDED] * 2),
        ([("loud", 60), ("quiet", 50), ("loud", 60)], [STARTED]),
        ([("loud", 60), ("quiet", 150), ("loud", 60)], []),
    ],
)
def test_speech_starts_and_ends(script: list[tuple[str, int]], found: list[SpeechChange]) -> None:
    assert vad().feed(sound(script)) == found


@pytest.mark.parametrize(
    ("options", "script", "found"),
    [
        ({"start_ms": 300}, [("loud", 200)], []),
        ({"start_ms": 20}, [("loud", 40)], [STARTED]),
        ({"end_ms": 200}, [("loud", 200), ("quiet", 250)], [STARTED, ENDED]),
        ({"threshold": 0.5}, [("loud", 500)], []),
    ],
)
def test_each_setting_has_an_effect(
    options: dict[str, float], script: list[tuple[str, int]], found: list[SpeechChange]
) -> None:
    assert vad(**options).feed(sound(script)) == found  # type: ignore[arg-type]


def test_speech_that_gets_softer_continues() -> None:
    soft = tone(600, peak=700)
    assert 0.01 < level(soft) < 0.02
    listening = vad()
    assert listening.feed(soft) == []
    assert listening.feed(tone(200) + soft) == [STARTED]
    assert listening.speaking


def test_the_level_is_relative_to_full_scale() -> None:
    assert level(b"") == 0.0
    assert level(silence(10)) == 0.0
    assert level(tone(100, peak=32_767)) == pytest.approx(math.sqrt(0.5), rel=0.01)
    assert level(b"\x00\x80" * 100) == 1.0


@examples(50, deadline=None)
@given(
    script=st.lists(st.tuples(st.sampled_from(["loud", "quiet"]), st.integers(10, 700)), max_size=6),
    size_ms=st.sampled_from([1, 7, 10, 33, 100]),
)
def test_pieces_of_any_length_give_the_same_changes(script: list[tuple[str, int]], size_ms: int) -> None:
    whole, parts = vad(), vad()
    pcm = sound(script)
    signals = [signal for piece in pieces(pcm, size_ms) for signal in parts.feed(piece)]
    assert signals == whole.feed(pcm)
    assert signals == [(STARTED, ENDED)[index % 2] for index in range(len(signals))]
