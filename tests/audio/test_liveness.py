"""When a microphone counts as lost."""

from dataclasses import replace

import pytest

from voxd.audio.liveness import HINTS, LossReason, StreamState, find_loss

HEALTHY = StreamState(
    now_s=100.0, heartbeat_s=99.9, zero_run=0, alive=True, card_before="Array", card_now="Array"
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, None),
        ({"heartbeat_s": 99.0}, None),
        ({"heartbeat_s": 98.99}, LossReason.STALLED),
        ({"zero_run": 23_999}, None),
        ({"zero_run": 24_000}, LossReason.DIGITAL_SILENCE),
        ({"alive": False}, LossReason.EXITED),
        ({"alive": False, "heartbeat_s": 0.0, "zero_run": 99_999}, LossReason.EXITED),
        ({"card_now": ""}, LossReason.IDENTITY),
        ({"card_now": "Array_1"}, LossReason.IDENTITY),
        ({"card_before": "", "card_now": ""}, None),
    ],
)
def test_each_sign_has_its_reason(change: dict[str, object], verdict: LossReason | None) -> None:
    vitals = replace(HEALTHY, **change)  # type: ignore[arg-type]
    assert find_loss(vitals, stall_timeout_s=1.0, silence_timeout_s=1.5) is verdict


def test_a_zero_timeout_allows_digital_silence() -> None:
    vitals = replace(HEALTHY, zero_run=10**9)
    assert find_loss(vitals, stall_timeout_s=1.0, silence_timeout_s=0) is None


def test_every_reason_says_what_to_do() -> None:
    assert set(HINTS) == set(LossReason)
