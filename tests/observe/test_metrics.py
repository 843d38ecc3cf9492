import platform
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import REGISTRY, parser

from tests.fakes import FakeClock
from voxd import __version__
from voxd.bus.bus import Bus
from voxd.observe import series
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


def test_queues_are_read_on_request() -> None:
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


EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("state.changed", {"from": "idle", "to": "listening"}),
    ("wake.detected", {"word": "alexa", "score": 0.9, "first_score": 0.5}),
    ("wake.detected", {"word": "alexa", "score": None, "first_score": 0.5}),
    ("wake.rejected", {"word": "alexa", "score": 0.05, "first_score": 0.5}),
    ("turn.ended", {"outcome": "answered", "latency_ms": 900.0}),
    ("turn.ended", {"outcome": "answered", "latency_ms": 900.0}),
    ("turn.interrupted", {"by": "button"}),
    ("audio.overrun", {"count": 480}),
    ("audio.lost", {"device": "x", "reason": "y"}),
    ("output.lost", {"device": "x", "reason": "y"}),
    ("output.restored", {"device": "x"}),
    ("engine.failed", {"engine": "whisper", "code": "timeout", "reason": "slow"}),
    ("error", {"code": "device_unavailable"}),
    ("mute.changed", {"muted": True}),
    ("volume.changed", {"percent": 40}),
    ("timer.ringing", {"id": 1, "kind": "alarm", "name": "n"}),
]

WRITTEN = """
# HELP voxd_audio_lost_total Times the microphone was lost
# HELP voxd_audio_overruns_total Samples lost at the microphone
# HELP voxd_audio_up Whether the microphone works
# HELP voxd_build_info Version of voxd and of Python
# HELP voxd_engine_failures_total Failures of local engines
# HELP voxd_errors_total Faults announced
# HELP voxd_frames_dropped_total What bounded queues dropped
# HELP voxd_muted Whether the microphone is closed
# HELP voxd_output_up Whether the loudspeaker works
# HELP voxd_replies_interrupted_total Replies cut short
# HELP voxd_state What the device does: 1 for one state, 0 for others
# HELP voxd_timer_rings_total Timers, alarms and reminders that rang
# HELP voxd_turn_stage_seconds Length of each stage of a turn
# HELP voxd_turns_total Turns by how they ended
# HELP voxd_volume_ratio Output volume
# HELP voxd_wake_detections_total Wake words suspected
# HELP voxd_wake_score Scores of the second stage
# TYPE voxd_audio_lost_total counter
# TYPE voxd_audio_overruns_total counter
# TYPE voxd_audio_up gauge
# TYPE voxd_build_info gauge
# TYPE voxd_engine_failures_total counter
# TYPE voxd_errors_total counter
# TYPE voxd_frames_dropped_total counter
# TYPE voxd_muted gauge
# TYPE voxd_output_up gauge
# TYPE voxd_replies_interrupted_total counter
# TYPE voxd_state gauge
# TYPE voxd_timer_rings_total counter
# TYPE voxd_turn_stage_seconds histogram
# TYPE voxd_turns_total counter
# TYPE voxd_volume_ratio gauge
# TYPE voxd_wake_detections_total counter
# TYPE voxd_wake_score histogram
voxd_audio_lost_total 1.0
voxd_audio_overruns_total 480.0
voxd_audio_up 0.0
voxd_build_info{python="PYTHON",version="VOXD"} 1.0
voxd_engine_failures_total{code="timeout",engine="whisper"} 1.0
voxd_errors_total{code="device_unavailable"} 1.0
voxd_frames_dropped_total{queue="events"} 7.0
voxd_muted 1.0
voxd_output_up 1.0
voxd_replies_interrupted_total{by="button"} 1.0
voxd_state{state="idle"} 0.0
voxd_state{state="listening"} 1.0
voxd_timer_rings_total{kind="alarm"} 1.0
voxd_turn_stage_seconds_bucket{le="+Inf",stage="think"} 4.0
voxd_turn_stage_seconds_bucket{le="0.01",stage="think"} 1.0
voxd_turn_stage_seconds_bucket{le="0.02",stage="think"} 2.0
voxd_turn_stage_seconds_bucket{le="0.05",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="0.1",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="0.2",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="0.3",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="0.5",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="0.8",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="1.2",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="2.0",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="3.0",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="5.0",stage="think"} 3.0
voxd_turn_stage_seconds_bucket{le="8.0",stage="think"} 3.0
voxd_turn_stage_seconds_count{stage="think"} 4.0
voxd_turn_stage_seconds_sum{stage="think"} 9.0605
voxd_turns_total{outcome="answered"} 2.0
voxd_volume_ratio 0.4
voxd_wake_detections_total{accepted="false",word="alexa"} 1.0
voxd_wake_detections_total{accepted="true",word="alexa"} 2.0
voxd_wake_score_bucket{le="+Inf",word="alexa"} 2.0
voxd_wake_score_bucket{le="0.1",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.2",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.3",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.4",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.5",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.6",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.7",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.8",word="alexa"} 1.0
voxd_wake_score_bucket{le="0.9",word="alexa"} 2.0
voxd_wake_score_bucket{le="1.0",word="alexa"} 2.0
voxd_wake_score_count{word="alexa"} 2.0
voxd_wake_score_sum{word="alexa"} 0.9500000000000001
"""
"""What Counter, Gauge, Histogram and Info of prometheus-client 0.26 wrote for `EVENTS`, sorted."""


def written(metrics: Metrics) -> list[str]:
    """The lines of the device's own numbers (those of vendors have tests of their own), sorted."""
    known = tuple(line.split()[2].removesuffix("_total") for line in WRITTEN.splitlines() if "HELP" in line)
    lines = metrics.render().splitlines()
    return sorted(
        line for line in lines if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(known)
    )


def test_the_text_is_what_the_librarys_own_counters_would_write() -> None:
    metrics = Metrics()
    bus = Bus(FakeClock())
    bus.handle(metrics.handle)
    for type, data in EVENTS:
        bus.emit(type, **data)
    for think_ms in (10.0, 10.5, 40.0, 9000.0):
        metrics.stages({"think": think_ms})
    metrics.watch_queue("events", lambda: 7)
    expected = WRITTEN.replace("VOXD", __version__).replace("PYTHON", platform.python_version())
    assert written(metrics) == sorted(expected.split("\n")[1:-1])


def test_before_any_event_every_name_is_there_and_numbers_without_labels_are_zero() -> None:
    found = samples(Metrics())
    assert found["voxd_audio_overruns_total"] == found["voxd_muted"] == found["voxd_volume_ratio"] == 0
    assert found["voxd_audio_up"] == found["voxd_output_up"] == found["voxd_state state=idle"] == 1
    told = {line for line in WRITTEN.splitlines() if line.startswith("#")}
    assert told <= set(written(Metrics()))


def test_asking_again_shows_the_same_numbers() -> None:
    metrics = Metrics()
    metrics.stages({"think": 40.0})
    assert written(metrics) == written(metrics)


def test_an_odd_label_does_not_break_the_text() -> None:
    metrics = Metrics()
    bus = Bus(FakeClock())
    bus.handle(metrics.handle)
    bus.emit("error", code=None)
    assert samples(metrics)["voxd_errors_total code=None"] == 1


def test_words_of_others_do_not_make_numbers_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_KEYS", 2)
    numbers = series.MetricSet()
    counter = numbers.counter("voxd_refusals", "Refusals", "code")
    spread = numbers.histogram("voxd_waits", "Waits", (1.0,), "code")
    for code in ("a", "b", "c", "d", "a"):
        counter.inc(code)
        spread.observe(0.5, code)
    assert counter.values == {("a",): 2, ("b",): 1, ("other",): 2}
    assert {key: sum(found) for key, found in spread.counts.items()} == counter.values


def test_the_daemon_does_not_load_the_library_before_the_first_request() -> None:
    """In a process of its own: here the tests have loaded it."""
    script = (
        "import sys, voxd.daemon; from voxd.observe.metrics import Metrics\n"
        "metrics = Metrics(); metrics.stages({'think': 40.0})\n"
        "assert 'prometheus_client' not in sys.modules, 'loaded too early'\n"
        "metrics.render()\n"
        "assert 'prometheus_client' in sys.modules, 'the check looks for the wrong name'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
