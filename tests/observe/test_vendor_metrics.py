from typing import Any

import pytest

from tests.fakes import FakeClock
from tests.observe.test_metrics import samples
from voxd.bus.bus import Bus
from voxd.errors import AuthenticationError
from voxd.observe.metrics import Metrics
from voxd.providers.usage import Usage

CALL = {
    "provider": "ear",
    "stage": "stt",
    "kind": "listen",
    "endpoint": "127.0.0.1",
    "key": 1,
    "attempt": 2,
    "code": "ok",
    "first_byte_ms": 250.0,
    "duration_ms": 1500.0,
    "sent_bytes": 32000,
    "received_bytes": 400,
}
USED = {
    "provider": "ear",
    "stage": "stt",
    "key": 1,
    "usage": Usage(
        input_text_tokens=10,
        input_audio_tokens=5,
        output_text_tokens=7,
        characters=42,
        transcribed_seconds=1.5,
    ),
    "cost_usd": 0.25,
}
SOUND = {"level_dbfs": -30.0, "peak_dbfs": -3.0, "clipped_percent": 2.0, "snr_db": 20.0, "dropouts": 3}
OPENED = {"provider": "live", "connection_id": "s1", "latency_ms": 500.0}
REFUSED = {
    "provider": "live",
    "error": AuthenticationError("no"),
    "error_message": "no",
    "code": "invalid_api_key",
    "retry_count": 2,
}
EAR = "provider=ear stage=stt"
LIVE = "provider=live stage=session"


def after(*events: tuple[str, dict[str, Any]]) -> dict[str, float]:
    metrics = Metrics()
    bus = Bus(FakeClock())
    bus.handle(metrics.handle)
    for type, data in events:
        bus.emit(type, **data)
    return samples(metrics)


@pytest.mark.parametrize(
    ("type", "data", "sample", "value"),
    [
        ("provider.call", CALL, f"voxd_provider_requests_total code=ok {EAR}", 1),
        ("provider.call", CALL, f"voxd_provider_retries_total {EAR}", 1),
        ("provider.call", CALL, f"voxd_provider_first_byte_seconds_sum {EAR}", 0.25),
        ("provider.call", CALL, f"voxd_provider_request_seconds_bucket le=1.2 {EAR}", 0),
        ("provider.call", CALL, f"voxd_provider_request_seconds_bucket le=2.0 {EAR}", 1),
        ("provider.call", CALL, f"voxd_provider_bytes_total direction=sent {EAR}", 32000),
        ("provider.call", CALL, "voxd_provider_up provider=ear", 1),
        (
            "provider.call",
            {**CALL, "code": "timeout", "first_byte_ms": None},
            f"voxd_provider_requests_total code=timeout {EAR}",
            1,
        ),
        (
            "provider.note",
            {"provider": "ear", "stage": "stt", "kind": "reconnected", "details": {}},
            "voxd_provider_notes_total kind=reconnected provider=ear stage=stt",
            1,
        ),
        ("connection.established", OPENED, f"voxd_provider_requests_total code=ok {LIVE}", 1),
        ("connection.established", OPENED, f"voxd_provider_first_byte_seconds_sum {LIVE}", 0.5),
        ("connection.established", OPENED, "voxd_provider_up provider=live", 1),
        ("connection.failed", REFUSED, f"voxd_provider_requests_total code=invalid_api_key {LIVE}", 1),
        ("connection.failed", REFUSED, f"voxd_provider_retries_total {LIVE}", 2),
        (
            "connection.lost",
            {"provider": "live", "code": "half_open", "reason": "r", "reconnecting": True},
            "voxd_provider_sessions_lost_total code=half_open provider=live",
            1,
        ),
        (
            "provider.failed",
            {"provider": "ear", "code": "timeout", "reason": "r"},
            "voxd_provider_up provider=ear",
            0,
        ),
        ("provider.restored", {"provider": "ear"}, "voxd_provider_up provider=ear", 1),
        ("provider.used", USED, "voxd_provider_tokens_total direction=input provider=ear stage=stt", 15),
        ("provider.used", USED, "voxd_provider_tokens_total direction=output provider=ear stage=stt", 7),
        ("provider.used", USED, f"voxd_provider_characters_total {EAR}", 42),
        ("provider.used", USED, f"voxd_provider_heard_seconds_total {EAR}", 1.5),
        ("provider.used", USED, f"voxd_provider_cost_usd_total {EAR}", 0.25),
        ("provider.used", {**USED, "cost_usd": None}, f"voxd_provider_cost_usd_total {EAR}", 0),
        (
            "rate_limit.reached",
            {"provider": "ear", "limit": "requests", "wait_s": 2.0},
            "voxd_rate_limited_total limit=requests provider=ear",
            1,
        ),
        (
            "provider.key_changed",
            {"provider": "ear", "from": 1, "to": 2, "reason": "rate_limited"},
            "voxd_provider_key_changes_total provider=ear",
            1,
        ),
        (
            "spend.stopped",
            {"provider": "", "spent_usd": 5.0, "limit_usd": 5.0},
            "voxd_spend_stops_total provider=all",
            1,
        ),
        (
            "cache.used",
            {"cache": "phrases", "hit": True},
            "voxd_cache_lookups_total cache=phrases result=hit",
            1,
        ),
        (
            "cache.used",
            {"cache": "phrases", "hit": False},
            "voxd_cache_lookups_total cache=phrases result=miss",
            1,
        ),
        (
            "queue.dropped",
            {"id": "a", "agent": "d", "reason": "old"},
            "voxd_queue_utterances_total event=dropped",
            1,
        ),
        ("audio.quality", SOUND, "voxd_utterance_level_dbfs", -30),
        ("audio.quality", SOUND, "voxd_utterance_clipped_ratio", 0.02),
        ("audio.quality", SOUND, "voxd_utterance_dropouts_total", 3),
    ],
)
def test_an_event_about_a_vendor_moves_a_number(
    type: str, data: dict[str, Any], sample: str, value: float
) -> None:
    assert after((type, data))[sample] == pytest.approx(value)


def test_a_first_attempt_is_not_a_retry() -> None:
    assert f"voxd_provider_retries_total {EAR}" not in after(("provider.call", {**CALL, "attempt": 1}))


def test_what_was_never_measured_is_not_shown_as_zero() -> None:
    assert "voxd_utterance_level_dbfs" not in after()
    assert "voxd_utterance_snr_db" not in after(("audio.quality", {**SOUND, "snr_db": None}))
