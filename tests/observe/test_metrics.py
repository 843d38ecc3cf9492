from typing import Any

import pytest
from prometheus_client import REGISTRY, parser

from tests.fakes import FakeClock
from voxd.bus import Bus
from voxd.observe.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample as Prometheus reads it, by name and labels."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(metrics.render())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("type", "data", "sample", "value"),
    [
        ("turn.ended", {"outcome": "answered", "latency_ms": 900.0}, "voxd_turns_total outcome=answered", 1),
        (
            "wake.detected",
            {"word": "alexa", "score": 0.9, "first_score": 0.5},
            "voxd_wake_detections_total accepted=true word=alexa",
            1,
        ),
        (
            "wake.rejected",
            {"word": "alexa", "score": 0.1, "first_score": 0.5},
            "voxd_wake_detections_total accepted=false word=alexa",
            1,
        ),
        ("wake.detected", {"word": "alexa", "score": 0.9}, "voxd_wake_score_bucket le=0.9 word=alexa", 1),
        ("audio.overrun", {"count": 480}, "voxd_audio_overruns_total", 480),
        ("audio.lost", {"device": "x", "reason": "y"}, "voxd_audio_lost_total", 1),
        ("audio.lost", {"device": "x", "reason": "y"}, "voxd_audio_up", 0),
        ("audio.restored", {"device": "x"}, "voxd_audio_up", 1),
        ("output.lost", {"device": "x"}, "voxd_output_up", 0),
        (
            "engine.failed",
            {"engine": "whisper", "code": "timeout", "reason": "slow"},
            "voxd_engine_failures_total code=timeout engine=whisper",
            1,
        ),
        ("error", {"code": "device_unavailable"}, "voxd_errors_total code=device_unavailable", 1),
        ("state.changed", {"from": "idle", "to": "listening"}, "voxd_state state=listening", 1),
        ("state.changed", {"from": "idle", "to": "listening"}, "voxd_state state=idle", 0),
        ("turn.interrupted", {"by": "button"}, "voxd_replies_interrupted_total by=button", 1),
        ("mute.changed", {"muted": True}, "voxd_muted", 1),
        ("volume.changed", {"percent": 40}, "voxd_volume_ratio", 0.4),
        ("timer.ringing", {"id": 1, "kind": "alarm", "name": "n"}, "voxd_timer_rings_total kind=alarm", 1),
    ],
)
def test_an_event_moves_a_number(type: str, data: dict[str, Any], sample: str, value: float) -> None:
    metrics = Metrics()
    bus = Bus(FakeClock())
    bus.handle(metrics.handle)
    bus.emit(type, **data)
    assert samples(metrics)[sample] == value


def test_stages_are_seconds() -> None:
    metrics = Metrics()
    metrics.stages({"think": 40.0})
    assert samples(metrics)["voxd_turn_stage_seconds_sum stage=think"] == pytest.approx(0.04)


def test_queues_are_read_when_somebody_asks() -> None:
    metrics, dropped = Metrics(), [0]
    metrics.watch_queue("events", lambda: dropped[0])
    dropped[0] = 7
    assert samples(metrics)["voxd_frames_dropped_total queue=events"] == 7


def test_the_build_and_the_process_are_there_and_the_global_registry_is_left_alone() -> None:
    found = samples(Metrics())
    assert any(name.startswith("voxd_build_info") for name in found)
    assert "process_resident_memory_bytes" in found
    assert not any(family.name.startswith("voxd") for family in REGISTRY.collect())


def test_two_daemons_in_one_process_do_not_share_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.stages({"think": 40.0})
    assert "voxd_turn_stage_seconds_sum stage=think" not in samples(other)
