"""What each frame of the vendor leads to, as tables: no socket, no loop."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import RateLimited
from voxd.events import EventType as E
from voxd.providers.realtime.openai_protocol import frames
from voxd.providers.realtime.openai_protocol.reader import FrameOutcome, RealtimeReader
from voxd.providers.usage import Usage

HALF_SECOND = bytes(24_000)


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", **fields})


def created(response_id: str = "r1") -> str:
    return frame("response.created", response={"id": response_id})


def done(response_id: str = "r1", status: str = "completed", **fields: Any) -> str:
    return frame("response.done", response={"id": response_id, "status": status, **fields})


def sound(pcm: bytes = HALF_SECOND, response_id: str = "r1", item_id: str = "i1") -> str:
    delta = base64.b64encode(pcm).decode()
    return frame("response.output_audio.delta", response_id=response_id, item_id=item_id, delta=delta)


def refusal(code: str, event_id: str | None = None, message: str = "no") -> str:
    return frame("error", error={"type": "x", "code": code, "message": message, "event_id": event_id})


def after(*texts: str) -> RealtimeReader:
    reader = RealtimeReader("openai")
    for text in texts:
        reader.read(text)
    return reader


def types(reading: FrameOutcome) -> list[E]:
    return [event.type for event in reading.events]


def sent(reading: FrameOutcome) -> list[str]:
    return [each["type"] for each in reading.frames]


def test_a_response_is_reported_from_its_beginning_to_its_end() -> None:
    reader = RealtimeReader("openai")
    stem = "response.output_audio"
    told = [
        event.type
        for text in (
            created(),
            sound(),
            sound(),
            frame(f"{stem}_transcript.delta", response_id="r1", delta="Hel"),
            frame(f"{stem}.done", response_id="r1", item_id="i1"),
            frame(f"{stem}_transcript.done", response_id="r1", transcript="Hello"),
            done(),
        )
        for event in reader.read(text).events
    ]
    assert told == [
        E.RESPONSE_STARTED,
        E.AUDIO_OUTPUT_STARTED,
        E.AUDIO_OUTPUT_CHUNK,
        E.AUDIO_OUTPUT_CHUNK,
        E.TEXT_OUTPUT,
        E.AUDIO_OUTPUT_STOPPED,
        E.TEXT_OUTPUT,
        E.USAGE_UPDATED,
        E.RESPONSE_COMPLETED,
    ]
    assert not reader.busy


def test_the_length_of_the_audio_is_reported_at_its_end() -> None:
    reader = after(created(), sound(), sound())
    (stopped,) = reader.read(frame("response.output_audio.done", response_id="r1", item_id="i1")).events
    assert stopped.data == {"response_id": "r1", "item_id": "i1", "duration_ms": 1000.0}


@given(st.lists(st.binary(max_size=9), max_size=8))
@examples(50)
def test_samples_split_over_deltas_come_out_whole_and_in_order(pieces: list[bytes]) -> None:
    reader = after(created())
    chunks = [
        event.data["audio_data"]
        for piece in pieces
        for event in reader.read(sound(piece)).events
        if event.type == E.AUDIO_OUTPUT_CHUNK
    ]
    whole = b"".join(pieces)
    assert b"".join(chunks) == whole[: len(whole) & ~1]
    assert all(len(chunk) % 2 == 0 for chunk in chunks)


WRITTEN = "response.output_text"


@pytest.mark.parametrize(
    "late",
    [
        sound(),
        frame("response.output_audio.done", response_id="r1", item_id="i1"),
        frame("response.output_audio_transcript.delta", response_id="r1", delta="x"),
        frame("response.output_audio_transcript.done", response_id="r1", transcript="x"),
        frame(f"{WRITTEN}.delta", response_id="r1", delta="x"),
        frame(f"{WRITTEN}.done", response_id="r1", text="x"),
    ],
)
@pytest.mark.parametrize("when", ["given up", "done"])
def test_late_output_of_a_response_is_dropped(late: str, when: str) -> None:
    reader = after(created(), sound())
    if when == "given up":
        reader.interrupt(100)
    else:
        reader.read(done())
    assert reader.read(late).events == ()


def test_an_interruption_cancels_and_truncates_at_the_played_length() -> None:
    reading = after(created(), sound()).interrupt(123.9)
    cancel, truncate = reading.frames
    assert (cancel["type"], cancel["response_id"]) == ("response.cancel", "r1")
    assert truncate["type"] == "conversation.item.truncate"
    assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("i1", 0, 123)
    assert types(reading) == [E.AUDIO_OUTPUT_STOPPED, E.CONVERSATION_INTERRUPTED]
    assert reading.events[-1].data == {"played_ms": 123.9, "response_id": "r1"}


def test_a_reply_that_is_only_still_playing_is_truncated_and_not_cancelled() -> None:
    assert sent(after(created(), sound(), done()).interrupt(100)) == ["conversation.item.truncate"]


@pytest.mark.parametrize("played_ms", [500.0, 9_000.0, None])
def test_a_reply_that_was_played_to_its_end_is_not_truncated(played_ms: float | None) -> None:
    reading = after(created(), sound(), done()).interrupt(played_ms)
    assert (reading.frames, reading.events) == ((), ())


@given(sizes=st.lists(st.integers(1, 2_000), min_size=1, max_size=4), played_ms=st.floats(-10, 10_000))
@examples(50)
def test_no_item_is_truncated_beyond_what_arrived_and_the_played_parts_add_up(
    sizes: list[int], played_ms: float
) -> None:
    reader = after(created(), *(sound(bytes(48 * ms), item_id=f"i{n}") for n, ms in enumerate(sizes)))
    cuts = {each["item_id"]: each["audio_end_ms"] for each in reader.interrupt(played_ms).frames[1:]}
    heard = [cuts.get(f"i{n}", ms) for n, ms in enumerate(sizes)]
    assert all(0 <= cut <= ms for cut, ms in zip(heard, sizes, strict=True))
    assert sum(heard) == min(int(max(played_ms, 0)), sum(sizes))


def test_a_second_interruption_reports_nothing() -> None:
    reader = after(created(), sound())
    reader.interrupt(10)
    again = reader.interrupt(10)
    assert (again.frames, again.events) == ((), ())


def test_the_reply_to_an_earlier_turn_is_never_truncated_by_a_later_one() -> None:
    reader = after(created(), sound(), done(), frame("input_audio_buffer.committed", item_id="u2"))
    assert reader.interrupt(0).frames == ()


def test_a_response_that_was_interrupted_before_it_began_is_cancelled_when_it_begins() -> None:
    reader = RealtimeReader("openai")
    assert [each["type"] for each in reader.request()] == ["response.create"]
    assert reader.interrupt(None).frames == ()
    reading = reader.read(created())
    assert (types(reading), sent(reading)) == ([], ["response.cancel"])
    assert types(reader.read(done(status="cancelled"))) == [E.USAGE_UPDATED, E.RESPONSE_CANCELLED]


def test_a_request_during_a_response_follows_when_that_is_done() -> None:
    reader = after(created())
    assert reader.request() == ()
    assert sent(reader.read(done())) == ["response.create"]
    assert reader.busy


def test_a_request_that_crosses_the_vendors_own_response_follows_it() -> None:
    reader = RealtimeReader("openai")
    (asked,) = reader.request()
    code = "conversation_already_has_active_response"
    assert types(reader.read(refusal(code, asked["event_id"]))) == []
    reader.read(created("auto"))
    assert sent(reader.read(done("auto"))) == ["response.create"]


def test_the_vendors_own_response_is_not_taken_for_the_requested_one() -> None:
    reader = RealtimeReader("openai")
    reader.server_answers = True
    reader.read(frame("input_audio_buffer.committed", item_id="u1"))
    reader.request()
    reader.read(created("auto"))
    reader.read(done("auto"))
    assert reader.busy
    reader.read(created("asked"))
    reader.read(done("asked"))
    assert not reader.busy


def test_a_cancelled_response_calls_no_tools_and_a_completed_one_all_of_them() -> None:
    output = [
        {"type": "message", "status": "completed"},
        {
            "type": "function_call",
            "status": "completed",
            "name": "a",
            "call_id": "c1",
            "arguments": '{"x": 1}',
        },
        {"type": "function_call", "status": "completed", "name": "b", "call_id": "c2", "arguments": ""},
        {"type": "function_call", "status": "incomplete", "name": "c", "call_id": "c3", "arguments": "{"},
    ]
    reading = after(created()).read(done(output=output))
    assert types(reading) == [E.USAGE_UPDATED, *[E.FUNCTION_CALL_INVOKED] * 2, E.RESPONSE_COMPLETED]
    assert [event.data for event in reading.events[1:3]] == [
        {"function_name": "a", "arguments": {"x": 1}, "call_id": "c1"},
        {"function_name": "b", "arguments": {}, "call_id": "c2"},
    ]
    for status in ("cancelled", "incomplete", "failed"):
        told = types(after(created()).read(done(status=status, output=output)))
        assert E.FUNCTION_CALL_INVOKED not in told


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("[1", "[1"), ('{"x": ', '{"x":'), ({"x": 1}, {"x": 1}), ("", {}), (None, {})],
)
def test_arguments_are_an_object_or_text_with_which_no_tool_runs(arguments: Any, expected: Any) -> None:
    call = {"type": "function_call", "name": "a", "call_id": "c1", "arguments": arguments}
    assert after(created()).read(done(output=[call])).events[1].data["arguments"] == expected


ARGUMENTS = {"response_id": "r1", "item_id": "i1", "call_id": "c1", "arguments": '{"x": 1}'}
CALL_ITEM = {"id": "i1", "type": "function_call", "name": "a", "call_id": "c1", "arguments": {"x": 1}}


@pytest.mark.parametrize(
    "before",
    [
        [frame("response.output_item.done", response_id="r1", item=CALL_ITEM)],
        [frame("response.function_call_arguments.done", name="a", **ARGUMENTS)],
        [
            frame("response.output_item.done", response_id="r1", item=CALL_ITEM),
            frame("response.function_call_arguments.done", **ARGUMENTS),
        ],
    ],
)
@pytest.mark.parametrize("output", [None, [], [CALL_ITEM]])
def test_a_call_is_made_once_wherever_the_server_names_it(before: list[str], output: Any) -> None:
    reader = after(created(), *before)
    calls = [
        event for event in reader.read(done(output=output)).events if event.type is E.FUNCTION_CALL_INVOKED
    ]
    assert [each.data for each in calls] == [{"function_name": "a", "arguments": {"x": 1}, "call_id": "c1"}]


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_calls_of_a_response_that_is_not_complete_are_not_made(status: str) -> None:
    reader = after(created(), frame("response.output_item.done", response_id="r1", item=CALL_ITEM))
    assert E.FUNCTION_CALL_INVOKED not in types(reader.read(done(status=status)))


WORDS = {"type": "message", "content": [{"type": "text", "text": "No."}]}


@pytest.mark.parametrize(
    ("response", "end", "reason"),
    [
        ({"status": "completed"}, E.RESPONSE_COMPLETED, ""),
        ({}, E.RESPONSE_COMPLETED, ""),
        ({"status": None}, E.RESPONSE_COMPLETED, ""),
        ({"status": 7, "usage": "none", "output": "none"}, E.RESPONSE_COMPLETED, ""),
        ({"id": None}, E.RESPONSE_COMPLETED, ""),
        ({"status": "cancelled"}, E.RESPONSE_CANCELLED, "client_cancelled"),
        ({"status": "canceled"}, E.RESPONSE_CANCELLED, "client_cancelled"),
        ({"status": "failed"}, E.RESPONSE_CANCELLED, "failed"),
        (
            {"status": "incomplete", "status_details": {"reason": "content_filter"}},
            E.RESPONSE_COMPLETED,
            "content_filter",
        ),
        (
            {"status": "incomplete", "status_details": {"reason": "max_output_tokens"}},
            E.RESPONSE_COMPLETED,
            "max_output_tokens",
        ),
        ({"status": "incomplete"}, E.RESPONSE_COMPLETED, "incomplete"),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_every_form_of_an_end_is_the_end(response: Any, end: E, reason: str, announced: bool) -> None:
    reader = RealtimeReader("custom")
    reader.request()
    if announced:
        reader.read(created())
    found = reader.read(frame("response.done", response={"id": "r1", **response})).events
    assert found[-1].type is end
    assert found[-1].data["reason"] == reason
    assert not reader.busy


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("response.completed", E.RESPONSE_COMPLETED),
        ("response.cancelled", E.RESPONSE_CANCELLED),
        ("response.failed", E.RESPONSE_CANCELLED),
        ("response.incomplete", E.RESPONSE_COMPLETED),
    ],
)
def test_an_end_under_another_name(name: str, end: E) -> None:
    reader = after(created())
    assert reader.read(frame(name, response_id="r1")).events[-1].type is end
    assert not reader.busy


def test_an_end_that_comes_twice_or_belongs_to_nothing_ends_nothing() -> None:
    reader = after(created(), done())
    assert reader.read(done()).events == ()
    assert reader.usage.responses == 1
    reader.request()
    reader.read(created("r2"))
    assert types(reader.read(done("r1"))) == []
    assert types(reader.read(done("other"))) == [E.USAGE_UPDATED]
    assert reader.busy


def test_the_names_of_the_beta_are_understood() -> None:
    reader = after(created())
    delta = base64.b64encode(HALF_SECOND).decode()
    found = [
        *reader.read(frame("response.audio.delta", response_id="r1", item_id="i1", delta=delta)).events,
        *reader.read(frame("response.audio_transcript.delta", response_id="r1", delta="Hi")).events,
        *reader.read(frame("response.audio_transcript.done", response_id="r1", transcript="Hi")).events,
        *reader.read(frame("response.audio.done", response_id="r1", item_id="i1")).events,
        *reader.read(frame("response.text.delta", response_id="r1", delta="Hi")).events,
        *reader.read(frame("response.text.done", response_id="r1", text="Hi")).events,
    ]
    assert [event.type for event in found] == [
        E.AUDIO_OUTPUT_STARTED,
        E.AUDIO_OUTPUT_CHUNK,
        E.TEXT_OUTPUT,
        E.TEXT_OUTPUT,
        E.AUDIO_OUTPUT_STOPPED,
        E.TEXT_OUTPUT,
        E.TEXT_OUTPUT,
    ]


def test_a_server_need_not_announce_a_response_nor_number_it() -> None:
    reader = RealtimeReader("custom")
    reader.request()
    reading = reader.read(frame("response.output_text.delta", delta="Hi"))
    assert types(reading) == [E.RESPONSE_STARTED, E.TEXT_OUTPUT]
    assert reading.type == "response.created", "the caller waits for it"
    ended = reader.read(frame("response.done", response={}))
    assert types(ended) == [E.USAGE_UPDATED, E.RESPONSE_COMPLETED]
    ids = {event.data["response_id"] for event in (*reading.events, *ended.events[1:])}
    assert len(ids) == 1


def test_words_that_come_only_with_the_end_are_not_lost() -> None:
    found = after(created()).read(done(output=[WORDS])).events
    assert found[1].data == {"text": "No.", "is_partial": False, "response_id": "r1"}
    refused = {"type": "message", "content": [{"type": "refusal", "refusal": "I may not."}]}
    assert after(created()).read(done(output=[refused])).events[1].data["text"] == "I may not."


def test_a_request_that_is_refused_without_its_name_is_over() -> None:
    reader = RealtimeReader("custom")
    (asked,) = reader.request()
    reading = reader.read(refusal("invalid_value"))
    assert (reading.concerns, reading.is_guess) == (asked["event_id"], True)
    assert not reader.busy


def test_a_response_that_is_abandoned_leaves_nothing_in_progress() -> None:
    reader = after(created(), sound())
    assert [each["type"] for each in reader.abandon()] == ["response.cancel"]
    assert not reader.busy
    assert reader.read(sound()).events == ()
    assert reader.read(done(status="cancelled")).events == ()
    assert [each["type"] for each in reader.request()] == ["response.create"]


def test_an_answer_may_be_requested_without_tools() -> None:
    (asked,) = RealtimeReader("openai").request(tools=False)
    assert asked["response"] == {"tool_choice": "none"}


@pytest.mark.parametrize(("remaining", "wait_s"), [(0, 1.5), (-1, 1.5), (1, None), (None, None)])
def test_a_limit_that_is_used_up_is_reported_with_its_wait(remaining: Any, wait_s: Any) -> None:
    limit = {"name": "tokens", "limit": 9, "remaining": remaining, "reset_seconds": 1.5}
    found = RealtimeReader("openai").read(frame("rate_limits.updated", rate_limits=[limit])).events
    waits = [event.data["wait_s"] for event in found if event.type is E.RATE_LIMITED]
    assert waits == ([] if wait_s is None else [wait_s])


def test_a_response_that_a_limit_refuses_is_reported_with_its_wait() -> None:
    error = {"code": "rate_limit_exceeded", "message": "Please try again in 3.2s."}
    found = after(created()).read(done(status="failed", status_details={"error": error})).events
    assert [event.data["wait_s"] for event in found if event.type is E.RATE_LIMITED] == [3.2]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ({"code": 429, "message": "slow down"}, "rate_limited", "slow down"),
        ({"code": 1011, "message": "no"}, "1011", "no"),
        ("no", "provider_unavailable", "no"),
        ({"type": "server_error", "message": ["no"]}, "provider_unavailable", "no"),
    ],
)
def test_an_error_may_have_any_form(error: Any, code: str, message: str) -> None:
    found = RealtimeReader("custom").read(frame("error", error=error)).events
    assert [(each.data["code"], each.data["message"]) for each in found if each.type is E.ERROR_GENERAL] == [
        (code, message)
    ]


@pytest.mark.parametrize(
    ("status", "details", "expected"),
    [
        ("completed", None, [E.RESPONSE_COMPLETED]),
        ("incomplete", {"reason": "max_output_tokens"}, [E.RESPONSE_COMPLETED]),
        ("cancelled", {"reason": "turn_detected"}, [E.RESPONSE_CANCELLED]),
        ("failed", {"error": {"code": "insufficient_quota"}}, [E.ERROR_GENERAL, E.RESPONSE_CANCELLED]),
        ("failed", None, [E.ERROR_GENERAL, E.RESPONSE_CANCELLED]),
    ],
)
def test_every_response_ends_in_one_event(status: str, details: Any, expected: list[E]) -> None:
    reading = after(created()).read(done(status=status, status_details=details))
    assert types(reading) == [E.USAGE_UPDATED, *expected]


def test_usage_is_summed_over_responses_and_transcriptions() -> None:
    spent = {
        "input_token_details": {
            "text_tokens": 100,
            "audio_tokens": 30,
            "cached_tokens": 25,
            "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 5},
        },
        "output_token_details": {"text_tokens": 10, "audio_tokens": 40},
    }
    heard = "conversation.item.input_audio_transcription.completed"
    by_tokens = {"type": "tokens", "input_token_details": {"audio_tokens": 30}}
    by_time = {"type": "duration", "seconds": 1.5}
    reader = after(
        *(text for n in "12" for text in (created(n), done(n, usage=spent))),
        frame(heard, item_id="u1", transcript="a", usage=by_tokens),
        frame(heard, item_id="u2", transcript="b", usage=by_time),
    )
    assert reader.usage == Usage(
        total_sessions=1,
        responses=2,
        input_text_tokens=200,
        input_audio_tokens=60,
        cached_text_tokens=40,
        cached_audio_tokens=10,
        output_text_tokens=20,
        output_audio_tokens=80,
        transcribed_seconds=4.5,
    )


@pytest.mark.parametrize(
    "text",
    [
        refusal("response_cancel_not_active"),
        refusal("item_truncate_invalid_item_id"),
        refusal("invalid_value", "truncate_7", "Audio content of 10ms is already shorter than 20ms"),
        refusal("anything", "cancel_7"),
    ],
)
def test_errors_about_late_frames_are_not_reported(text: str) -> None:
    reading = RealtimeReader("openai").read(text)
    assert (reading.events, reading.error) == ((), None)


@pytest.mark.parametrize("code", ["session_expired", "invalid_api_key", "beta_api_shape_disabled"])
def test_a_fatal_error_ends_the_session(code: str) -> None:
    reading = RealtimeReader("openai").read(refusal(code))
    assert (reading.events, reading.fatal) == ((), code)


def test_any_other_error_is_reported_with_its_code_and_its_frame() -> None:
    reading = RealtimeReader("openai").read(refusal("rate_limit_exceeded", "update_3", "try again in 250ms"))
    assert types(reading) == [E.RATE_LIMITED, E.ERROR_GENERAL]
    assert reading.events[1].data["code"] == "rate_limited"
    assert reading.concerns == "update_3"
    assert isinstance(reading.error, RateLimited)
    assert reading.error.retry_after_s == 0.25


def test_a_refused_request_leaves_nothing_in_progress() -> None:
    reader = RealtimeReader("openai")
    (asked,) = reader.request()
    reader.read(refusal("rate_limit_exceeded", asked["event_id"]))
    assert not reader.busy


def test_an_interruption_by_the_vendor_drops_audio_at_once() -> None:
    reader = after(created(), sound())
    reader.server_interrupts = True
    started = reader.read(frame("input_audio_buffer.speech_started", audio_start_ms=40, item_id="u"))
    assert started.events[0].data == {"speaking": True, "at_ms": 40.0}
    assert reader.read(sound()).events == ()
    assert sent(reader.interrupt(100)) == ["conversation.item.truncate"]


def test_the_vendors_rate_limits_are_reported() -> None:
    limit = {"name": "tokens", "limit": 40_000, "remaining": 100, "reset_seconds": 1.5}
    (event,) = RealtimeReader("openai").read(frame("rate_limits.updated", rate_limits=[limit])).events
    assert event.data == {"name": "tokens", "limit": 40_000, "remaining": 100, "reset_s": 1.5}


def test_a_failed_transcription_is_reported_and_ends_nothing() -> None:
    kind = "conversation.item.input_audio_transcription.failed"
    reading = RealtimeReader("openai").read(frame(kind, item_id="u1", error={"message": "no"}))
    assert reading.events[0].data["code"] == "transcription_failed"


GARBAGE = [
    "",
    "null",
    "[]",
    "{}",
    '"text"',
    "{" * 5000,
    "[" * 100_000,
    "\ud800",
    b"\xff\xfe",
    '{"type": 7}',
    '{"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "***"}',
]


@pytest.mark.parametrize("text", GARBAGE, ids=lambda text: repr(text)[:40])
def test_garbage_is_an_event_and_never_an_exception(text: str | bytes) -> None:
    (event,) = RealtimeReader("openai").read(text).events
    assert event.type == E.ERROR_GENERAL
    assert event.data["code"] == "bad_frame"
    assert event.data["message"]


@pytest.mark.parametrize(
    "text",
    ['{"error": {"message": "upstream gone", "code": 502}}', '{"detail": "upstream gone"}'],
)
def test_an_error_of_a_gateway_is_one_without_a_type(text: str) -> None:
    reading = RealtimeReader("openai").read(text)
    assert reading.error is not None
    assert "upstream gone" in str(reading.error)
    assert reading.error.code != "502"


def test_a_number_that_is_none_does_not_hide_the_end_of_a_response() -> None:
    reader = after(created(), sound())
    end = done(usage={"total_tokens": 3}).replace("3", "NaN")
    assert E.RESPONSE_COMPLETED in types(reader.read(end))


def test_the_message_about_garbage_does_not_repeat_it() -> None:
    text = frame("response.output_text.delta", response_id="r1", delta={"secret words": 1})
    assert "secret" not in RealtimeReader("openai").read(text).events[0].data["message"]


def test_a_frame_of_an_unknown_type_is_ignored() -> None:
    assert RealtimeReader("openai").read(frame("mcp_list_tools.completed", item_id="x")) == FrameOutcome()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("response", "response_id", "item_id", "delta", "error", "session", "usage", "id", "status", "output")
fields = st.dictionaries(
    st.sampled_from(NAMES),
    json_values,
)


@given(
    st.lists(
        st.binary(max_size=40)
        | st.text(max_size=40)
        | st.builds(
            lambda kind, extra: json.dumps({"type": kind, **extra}),
            st.sampled_from(sorted(frames.KNOWN)),
            fields,
        ),
        max_size=6,
    )
)
@examples(100)
def test_no_sequence_of_frames_breaks_the_reader(texts: list[str | bytes]) -> None:
    reader = RealtimeReader("openai")
    for text in texts:
        assert isinstance(reader.read(text), FrameOutcome)
