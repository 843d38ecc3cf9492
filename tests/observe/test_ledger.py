from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock
from tests.properties import examples
from voxd.observe.ledger import BESIDE, RESPONSE, LatencyLedger, TurnStage, stages_ms

SPOKEN = {
    TurnStage.END_OF_SPEECH: 2.0,
    TurnStage.ENDPOINT: 2.7,
    TurnStage.TRANSCRIPT: 3.0,
    TurnStage.FIRST_TOKEN: 3.01,
    TurnStage.FIRST_AUDIO: 3.2,
    TurnStage.FIRST_SAMPLE: 3.25,
    TurnStage.ENDED: 5.0,
}
TYPED = {TurnStage.ASKED: 0.0, TurnStage.FIRST_TOKEN: 0.01}
RECORDED = {
    TurnStage.ASKED: 0.0,
    TurnStage.TRANSCRIPT: 0.4,
    TurnStage.FIRST_TOKEN: 0.41,
    TurnStage.FIRST_AUDIO: 0.5,
}
SAID = {
    TurnStage.FIRST_TOKEN: 0.1,
    TurnStage.FIRST_AUDIO: 0.2,
    TurnStage.FIRST_SAMPLE: 0.3,
    TurnStage.ENDED: 1.3,
}
UNHEARD = {TurnStage.END_OF_SPEECH: 2.0, TurnStage.ENDPOINT: 2.7, TurnStage.FIRST_TOKEN: 3.2}


@pytest.mark.parametrize(
    ("stamps", "lengths_ms"),
    [
        pytest.param(
            SPOKEN,
            {
                "speech": 2000,
                "endpoint": 700,
                "transcribe": 300,
                "think": 10,
                "synthesise": 190,
                "play": 50,
                "speak": 1750,
                RESPONSE: 1250,
            },
            id="spoken",
        ),
        pytest.param(TYPED, {"think": 10}, id="typed, answered without a sound"),
        pytest.param(
            TYPED | {TurnStage.FIRST_AUDIO: 0.2, TurnStage.FIRST_SAMPLE: 0.25},
            {"think": 10, "synthesise": 190, "play": 50, "speak": 9750, RESPONSE: 250},
            id="typed, answered aloud",
        ),
        pytest.param(RECORDED, {"transcribe": 400, "think": 10, "synthesise": 90}, id="recorded, unheard"),
        pytest.param(SAID, {"synthesise": 100, "play": 100, "speak": 1000}, id="a text to say"),
        pytest.param(
            UNHEARD, {"speech": 2000, "endpoint": 700, "think": 500}, id="nothing could be transcribed"
        ),
        pytest.param({}, {}, id="nobody spoke"),
        pytest.param(
            {TurnStage.END_OF_SPEECH: 2.0, TurnStage.ENDPOINT: 1.96, TurnStage.ENDED: 3.0},
            {"speech": 2000, "endpoint": 0},
            id="clocks that cross",
        ),
    ],
)
def test_stamps_become_bars(stamps: dict[TurnStage, float], lengths_ms: dict[str, float]) -> None:
    clock = FakeClock()
    ledger = LatencyLedger(clock)
    ledger.begin("t1", "wake_word")
    for stage, after_s in stamps.items():
        ledger.stamp(stage, 1000 + after_s)
    clock.now += 10
    latency_ms = ledger.end("answered")
    (turn,) = ledger.finished
    assert stages_ms(turn) == pytest.approx(lengths_ms)
    assert latency_ms == pytest.approx(lengths_ms.get(RESPONSE))
    assert (turn.turn, turn.source, turn.outcome) == ("t1", "wake_word", "answered")


def test_a_turn_can_begin_where_the_wake_word_ended() -> None:
    clock = FakeClock()
    ledger = LatencyLedger(clock)
    ledger.begin("t1", "wake_word", clock.now - 0.25)
    ledger.stamp(TurnStage.END_OF_SPEECH)
    turn = ledger.last()
    assert turn is not None
    assert stages_ms(turn) == {"speech": 250}
    assert turn.started_at == pytest.approx(clock.wall_now - 0.25)


def test_only_the_first_token_counts() -> None:
    ledger = LatencyLedger(FakeClock())
    ledger.begin("t1", "socket")
    ledger.stamp(TurnStage.ASKED, 1000.5)
    ledger.stamp(TurnStage.FIRST_TOKEN, 1001.0)
    ledger.stamp(TurnStage.FIRST_TOKEN, 1009.0)
    turn = ledger.last()
    assert turn is not None
    assert stages_ms(turn) == {"think": 500}


def test_stamps_without_a_turn_are_ignored() -> None:
    ledger = LatencyLedger(FakeClock())
    ledger.stamp(TurnStage.FIRST_TOKEN)
    assert ledger.end("answered") is None
    assert ledger.last() is None


def test_a_turn_that_is_replaced_is_closed() -> None:
    ledger = LatencyLedger(FakeClock())
    ledger.begin("t1", "button")
    ledger.begin("t2", "button")
    assert [(turn.turn, turn.outcome) for turn in ledger.finished] == [("t1", "replaced")]


def test_only_the_newest_turns_are_kept_newest_first() -> None:
    ledger = LatencyLedger(FakeClock(), keep=2)
    for name in ("t1", "t2", "t3"):
        ledger.begin(name, "socket")
        ledger.end("answered")
    assert [turn.turn for turn in ledger.finished] == ["t3", "t2"]


@examples(50)
@given(st.dictionaries(st.sampled_from(TurnStage), st.floats(900, 1100)))
def test_bars_never_overlap_or_run_backwards(stamps_s: dict[TurnStage, float]) -> None:
    ledger = LatencyLedger(FakeClock())
    ledger.begin("t1", "socket")
    for stage, at_s in stamps_s.items():
        ledger.stamp(stage, at_s)
    turn = ledger.last()
    assert turn is not None
    beside = {name for name, _, _ in BESIDE}
    bars = [bar for bar in turn.stages if bar.name not in beside]
    assert all(bar.start_ms <= bar.end_ms for bar in turn.stages)
    assert all(bar.end_ms <= after.start_ms for bar, after in pairwise(bars))


def test_a_cloud_turn_has_bars_of_its_own_beside_the_others() -> None:
    ledger = LatencyLedger(FakeClock())
    ledger.begin("t1", "wake_word", 1000.0)
    for stage, at_s in (
        (TurnStage.SESSION_READY, 1000.1),
        (TurnStage.AUDIO_SENT, 1000.3),
        (TurnStage.END_OF_SPEECH, 1002.0),
        (TurnStage.ENDPOINT, 1002.7),
        (TurnStage.FIRST_AUDIO, 1003.2),
        (TurnStage.FIRST_SAMPLE, 1003.25),
        (TurnStage.TRANSCRIPT, 1003.5),
    ):
        ledger.stamp(stage, at_s)
    turn = ledger.last()
    assert turn is not None
    assert stages_ms(turn) == {
        "speech": 2000.0, "endpoint": 700.0, "play": 50.0,
        "connect": 100.0, "send": 200.0, "cloud": 1200.0, "response": 1250.0,
    }  # fmt: skip
