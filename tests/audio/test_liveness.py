"""When a microphone counts as lost."""

from dataclasses import replace

import pytest

from voxd.audio.liveness import HINTS, Lost, Vitals, judge

WELL = Vitals(now_s=100.0, heartbeat_s=99.9, zero_run=0, alive=True, card_before="Array", card_now="Array")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, None),
        ({"heartbeat_s": 99.0}, None),
        ({"heartbeat_s": 98.99}, Lost.STALLED),
        ({"zero_run": 23_999}, None),
        ({"zero_run": 24_000}, Lost.DIGITAL_SILENCE),
        ({"alive": False}, Lost.EXITED),
        ({"alive": False, "heartbeat_s": 0.0, "zero_run": 99_999}, Lost.EXITED),
        ({"card_now": ""}, Lost.IDENTITY),
        ({"card_now": "Array_1"}, Lost.IDENTITY),
        ({"card_before": "", "card_now": ""}, None),
    ],
)
def test_each_sign_has_its_reason(change: dict[str, object], verdict: Lost | None) -> None:
    vitals = replace(WELL, **change)  # type: ignore[arg-type]
    assert judge(vitals, stall_timeout_s=1.0, silence_timeout_s=1.5) is verdict


def test_a_zero_timeout_allows_digital_silence() -> None:
    vitals = replace(WELL, zero_run=10**9)
    assert judge(vitals, stall_timeout_s=1.0, silence_timeout_s=0) is None


def test_every_reason_says_what_to_do() -> None:
    assert set(HINTS) == set(Lost)
