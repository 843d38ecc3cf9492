"""The numbers about vendors, caches, the offline queue and how speech sounded, as a table of feeds."""

from collections.abc import Callable, Mapping
from typing import Any

from voxd.events import EventType
from voxd.observe.series import MetricSet

# In the place of a stage: the opening of a whole session, with a vendor or a pipeline.
SESSION = "session"

CALL_BUCKETS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 15, 30, 60)

_Feed = Callable[[Mapping[str, Any]], None]


def vendor_feeds(numbers: MetricSet) -> dict[str, _Feed]:
    """Return which event changes which number."""
    return {
        **_request_feeds(numbers),
        **_cost_feeds(numbers),
        **_wait_feeds(numbers),
        **_audio_feeds(numbers),
    }


def _request_feeds(numbers: MetricSet) -> dict[str, _Feed]:
    """Return the feeds about requests: latency, errors, retries, bytes, and how stable streams are."""
    both = ("provider", "stage")
    calls = numbers.counter("voxd_provider_requests", "Requests by how they ended", *both, "code")
    retries = numbers.counter("voxd_provider_retries", "Attempts after the first", *both)
    first = numbers.histogram(
        "voxd_provider_first_byte_seconds", "Time to the first byte of a request", CALL_BUCKETS_S, *both
    )
    whole = numbers.histogram("voxd_provider_request_seconds", "Length of a request", CALL_BUCKETS_S, *both)
    volume = numbers.counter("voxd_provider_bytes", "Bytes sent and received", *both, "direction")
    notes = numbers.counter("voxd_provider_notes", "Events of connections, such as reconnects", *both, "kind")
    loops = numbers.counter("voxd_tool_loops", "Turns whose tool calls were stopped", "provider", "next")
    lost = numbers.counter("voxd_provider_sessions_lost", "Sessions that were lost", "provider", "code")
    up = numbers.gauge("voxd_provider_up", "Whether it answers; absent before the first request", "provider")

    def count_call(data: Mapping[str, Any]) -> None:
        where = (data["provider"], data["stage"])
        calls.inc(*where, data["code"])
        if data["attempt"] > 1:
            retries.inc(*where)
        if data["first_byte_ms"] is not None:
            first.observe(data["first_byte_ms"] / 1000, *where)
        whole.observe(data["duration_ms"] / 1000, *where)
        volume.inc(*where, "sent", by=data["sent_bytes"])
        volume.inc(*where, "received", by=data["received_bytes"])
        # A failure alone does not mean down: the circuit breaker decides, and reports by an event.
        if data["code"] == "ok":
            up.set(1, data["provider"])

    def count_opening(data: Mapping[str, Any]) -> None:
        calls.inc(data["provider"], SESSION, "ok")
        if data["latency_ms"] is not None:
            first.observe(data["latency_ms"] / 1000, data["provider"], SESSION)
        up.set(1, data["provider"])

    def count_failure(data: Mapping[str, Any]) -> None:
        calls.inc(data["provider"], SESSION, data["code"])
        retries.inc(data["provider"], SESSION, by=data["retry_count"])

    return {
        EventType.PROVIDER_CALL: count_call,
        EventType.PROVIDER_NOTE: lambda data: notes.inc(data["provider"], data["stage"], data["kind"]),
        EventType.CONNECTION_ESTABLISHED: count_opening,
        EventType.CONNECTION_FAILED: count_failure,
        EventType.CONNECTION_LOST: lambda data: lost.inc(data["provider"], data["code"]),
        EventType.FUNCTION_CALLS_STOPPED: lambda data: loops.inc(data["provider"], data["next"]),
        EventType.PROVIDER_FAILED: lambda data: up.set(0, data["provider"]),
        EventType.PROVIDER_RESTORED: lambda data: up.set(1, data["provider"]),
    }


def _cost_feeds(numbers: MetricSet) -> dict[str, _Feed]:
    """Return the feeds about tokens and dollars."""
    both = ("provider", "stage")
    tokens = numbers.counter("voxd_provider_tokens", "Tokens of text and sound", *both, "direction")
    characters = numbers.counter("voxd_provider_characters", "Characters spoken", *both)
    seconds = numbers.counter("voxd_provider_heard_seconds", "Seconds transcribed", *both)
    dollars = numbers.counter("voxd_provider_cost_usd", "Estimated cost in US dollars", *both)

    def count_usage(data: Mapping[str, Any]) -> None:
        where, usage = (data["provider"], data["stage"]), data["usage"]
        tokens.inc(*where, "input", by=usage.input_text_tokens + usage.input_audio_tokens)
        tokens.inc(*where, "output", by=usage.output_text_tokens + usage.output_audio_tokens)
        characters.inc(*where, by=usage.characters)
        seconds.inc(*where, by=usage.transcribed_seconds)
        dollars.inc(*where, by=data["cost_usd"] or 0.0)

    return {EventType.PROVIDER_USED: count_usage}


def _wait_feeds(numbers: MetricSet) -> dict[str, _Feed]:
    """Return the feeds about waiting: limits, keys, caches and the offline queue."""
    limited = numbers.counter(
        "voxd_rate_limited", "Requests that waited or were refused", "provider", "limit"
    )
    keys = numbers.counter("voxd_provider_key_changes", "Changes of the key in use", "provider")
    stopped = numbers.counter("voxd_spend_stops", "Times the daily spending limit was reached", "provider")
    lookups = numbers.counter("voxd_cache_lookups", "Look-ups in caches", "cache", "result")
    queued = numbers.counter("voxd_queue_utterances", "Utterances queued, answered later or dropped", "event")
    return {
        EventType.RATE_LIMITED: lambda data: limited.inc(data["provider"], data["limit"]),
        EventType.KEY_CHANGED: lambda data: keys.inc(data["provider"]),
        # "" is the limit of all providers together; an empty label equals a missing one in Prometheus.
        EventType.SPEND_STOPPED: lambda data: stopped.inc(data["provider"] or "all"),
        EventType.CACHE_USED: lambda data: lookups.inc(data["cache"], "hit" if data["hit"] else "miss"),
        EventType.QUEUE_ADDED: lambda _: queued.inc("added"),
        EventType.QUEUE_ANSWERED: lambda _: queued.inc("answered"),
        EventType.QUEUE_DROPPED: lambda _: queued.inc("dropped"),
    }


def _audio_feeds(numbers: MetricSet) -> dict[str, _Feed]:
    """Return the feed about how the last utterance sounded."""
    level = numbers.gauge("voxd_utterance_level_dbfs", "Level of the last utterance", absent=True)
    peak = numbers.gauge("voxd_utterance_peak_dbfs", "Loudest sample of the last utterance", absent=True)
    clipped = numbers.gauge(
        "voxd_utterance_clipped_ratio", "Part of its samples that were clipped", absent=True
    )
    noise = numbers.gauge("voxd_utterance_snr_db", "Its speech against the noise of the room", absent=True)
    dropouts = numbers.counter("voxd_utterance_dropouts", "Gaps in the sound of utterances")

    def show_quality(data: Mapping[str, Any]) -> None:
        level.set(data["level_dbfs"])
        peak.set(data["peak_dbfs"])
        clipped.set(data["clipped_percent"] / 100)
        if data["snr_db"] is not None:
            noise.set(data["snr_db"])
        dropouts.inc(by=data["dropouts"])

    return {EventType.AUDIO_QUALITY: show_quality}
