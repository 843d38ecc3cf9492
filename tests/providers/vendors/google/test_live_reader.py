"""What the messages of Gemini Live become, as a rule without a socket."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.payloads import problem
from tests.properties import examples
from tests.servers.gemini_steps import DONE, TURN_COMPLETE, USAGE, call, content, heard, said, sound
from voxd.events import EventType as E
from voxd.providers.events import ProviderEvent
from voxd.providers.vendors.google.live_reader import GeminiReader

PCM = b"\x01\x00" * 240
BEGIN = [E.RESPONSE_STARTED, E.AUDIO_OUTPUT_STARTED, E.AUDIO_OUTPUT_CHUNK]
INTERRUPTED = content(interrupted=True)


def fed(reader: GeminiReader, *messages: dict[str, Any]) -> list[ProviderEvent]:
    return [event for message in messages for event in reader.read(message)]


def types(events: list[ProviderEvent]) -> list[E]:
    assert [problem(event.type, event.data) for event in events if problem(event.type, event.data)] == []
    return [event.type for event in events]


def only(events: list[ProviderEvent], type: E) -> dict[str, Any]:
    [event] = [event for event in events if event.type is type]
    return event.data


def asked(**named: Any) -> GeminiReader:
    reader = GeminiReader(**named)
    reader.response_requested()
    return reader


def test_a_whole_response_in_order() -> None:
    reader = asked()
    events = fed(
        reader, heard("what "), heard("time"), sound(PCM), said("Ten "), said("past."), DONE, TURN_COMPLETE
    )
    assert types(events) == [
        E.TEXT_TRANSCRIPTION,
        E.TEXT_TRANSCRIPTION,
        E.TEXT_TRANSCRIPTION,
        *BEGIN,
        E.TEXT_OUTPUT,
        E.TEXT_OUTPUT,
        E.AUDIO_OUTPUT_STOPPED,
        E.TEXT_OUTPUT,
        E.RESPONSE_COMPLETED,
    ]
    heard_words = [event.data for event in events if event.type is E.TEXT_TRANSCRIPTION]
    assert [(each["text"], each["is_partial"]) for each in heard_words] == [
        ("what ", True),
        ("time", True),
        ("what time", False),
    ]
    words = [event.data for event in events if event.type is E.TEXT_OUTPUT]
    assert [(each["text"], each["is_partial"]) for each in words] == [
        ("Ten ", True),
        ("past.", True),
        ("Ten past.", False),
    ]
    assert only(events, E.AUDIO_OUTPUT_STOPPED)["duration_ms"] == 10.0
    assert not reader.busy


def test_several_keys_of_one_message_all_count() -> None:
    message = {**sound(PCM), **USAGE}
    message["serverContent"] |= {
        "outputTranscription": {"text": "Hi"},
        "generationComplete": True,
        "turnComplete": True,
    }
    reader = asked()
    events = fed(reader, message)
    assert types(events)[-2:] == [E.RESPONSE_COMPLETED, E.USAGE_UPDATED]
    assert only(events, E.RESPONSE_COMPLETED)["usage"].output_audio_tokens == 60
    assert (reader.usage.input_audio_tokens, reader.usage.responses, reader.usage.total_sessions) == (
        100,
        1,
        1,
    )


def test_a_sample_split_over_two_messages_is_joined() -> None:
    events = fed(asked(), sound(PCM[:3]), sound(PCM[3:6]), TURN_COMPLETE)
    chunks = [event.data["audio_data"] for event in events if event.type is E.AUDIO_OUTPUT_CHUNK]
    assert chunks == [PCM[:2], PCM[2:6]]


def test_the_rate_of_the_audio_is_the_one_in_its_mime_type() -> None:
    events = fed(asked(), sound(PCM, rate_hz=16_000), DONE)
    assert only(events, E.AUDIO_OUTPUT_CHUNK)["sample_rate"] == 16_000
    assert only(events, E.AUDIO_OUTPUT_STOPPED)["duration_ms"] == 15.0


def test_only_the_words_come_when_only_words_are_wanted() -> None:
    events = fed(asked(sound=False), sound(PCM), said("Hi"), DONE, TURN_COMPLETE)
    assert types(events) == [E.RESPONSE_STARTED, E.TEXT_OUTPUT, E.TEXT_OUTPUT, E.RESPONSE_COMPLETED]


def test_thoughts_are_not_spoken() -> None:
    thought = content(modelTurn={"role": "model", "parts": [{"text": "**Thinking**", "thought": True}]})
    assert fed(asked(), thought) == []


def test_an_abandoned_response_ends_at_once_and_its_late_output_is_dropped() -> None:
    reader = asked()
    first = only(fed(reader, sound(PCM)), E.RESPONSE_STARTED)["response_id"]
    events = reader.give_up(4.0)
    assert types(events) == [E.AUDIO_OUTPUT_STOPPED, E.CONVERSATION_INTERRUPTED, E.RESPONSE_CANCELLED]
    assert only(events, E.CONVERSATION_INTERRUPTED) == {"played_ms": 4.0, "response_id": first}
    assert reader.give_up(5.0) == []
    assert fed(reader, sound(PCM), said("late"), INTERRUPTED, TURN_COMPLETE) == []
    reader.response_requested()
    assert types(fed(reader, sound(PCM)))[:1] == [E.RESPONSE_STARTED]


def test_a_response_abandoned_before_it_began_is_dropped_and_the_next_is_not() -> None:
    reader = asked()
    assert reader.give_up(None) == []
    assert fed(reader, sound(PCM), said("late")) == []
    reader.response_requested()
    assert fed(reader, INTERRUPTED, TURN_COMPLETE) == []
    assert types(fed(reader, sound(PCM), TURN_COMPLETE))[-1] is E.RESPONSE_COMPLETED


def test_an_abandoned_response_that_never_begins_does_not_hide_the_next_one() -> None:
    reader = asked()
    reader.give_up(None)
    reader.response_requested()
    assert types(fed(reader, sound(PCM))) == BEGIN


def test_abandoning_nothing_hides_nothing() -> None:
    reader = GeminiReader()
    assert reader.give_up(0.0) == []
    reader.response_requested()
    assert types(fed(reader, sound(PCM))) == BEGIN


def test_an_interruption_that_the_vendor_detects_is_reported() -> None:
    reader = GeminiReader(detects=True)
    fed(reader, heard("tell me"), sound(PCM))
    events = fed(reader, INTERRUPTED, TURN_COMPLETE)
    assert types(events) == [
        E.CONVERSATION_TURN_DETECTED,
        E.AUDIO_OUTPUT_STOPPED,
        E.CONVERSATION_INTERRUPTED,
        E.RESPONSE_CANCELLED,
    ]
    assert only(events, E.RESPONSE_CANCELLED)["reason"] == "interrupted"
    assert only(events, E.CONVERSATION_TURN_DETECTED)["speaking"] is True


def test_with_server_vad_the_first_words_and_the_response_mark_the_turn() -> None:
    events = fed(GeminiReader(detects=True), heard("what "), heard("time"), sound(PCM))
    turned = [event.data["speaking"] for event in events if event.type is E.CONVERSATION_TURN_DETECTED]
    assert turned == [True, False]


def test_words_after_the_response_began_are_not_a_new_turn() -> None:
    events = fed(GeminiReader(detects=True), sound(PCM), heard("what time"), TURN_COMPLETE)
    assert E.CONVERSATION_TURN_DETECTED not in types(events)


def test_voice_activity_is_reported_once_with_its_time() -> None:
    reader = GeminiReader(detects=True)
    start = {"voiceActivity": {"voiceActivityType": "ACTIVITY_START", "audioOffset": "1.500s"}}
    end = {"voiceActivity": {"voiceActivityType": "ACTIVITY_END"}}
    events = fed(reader, start, heard("hi"), end, sound(PCM))
    turned = [event.data for event in events if event.type is E.CONVERSATION_TURN_DETECTED]
    assert [each["speaking"] for each in turned] == [True, False]
    assert turned[0]["at_ms"] == 1500.0


def test_with_client_vad_no_turn_is_reported() -> None:
    start = {"voiceActivity": {"voiceActivityType": "ACTIVITY_START"}}
    events = fed(asked(), start, heard("hi"), sound(PCM), INTERRUPTED)
    assert E.CONVERSATION_TURN_DETECTED not in types(events)


def test_a_response_ends_at_its_tool_calls_and_the_next_one_follows() -> None:
    reader = asked()
    events = fed(reader, call(("1", "lamp", {"on": True}), ("2", "time", {})))
    assert types(events) == [
        E.RESPONSE_STARTED,
        E.FUNCTION_CALL_INVOKED,
        E.FUNCTION_CALL_INVOKED,
        E.RESPONSE_COMPLETED,
    ]
    assert events[1].data == {"function_name": "lamp", "arguments": {"on": True}, "call_id": "1"}
    assert reader.busy
    assert reader.take_call("1") == ("lamp", True)
    assert reader.take_call("2") == ("time", True)
    assert reader.busy, "the answer is still to come"
    events = fed(reader, sound(PCM), DONE, TURN_COMPLETE)
    assert types(events)[0] is E.RESPONSE_STARTED
    assert types(events)[-1] is E.RESPONSE_COMPLETED
    assert not reader.busy


def test_speech_while_a_function_runs_does_not_end_the_response() -> None:
    reader = asked()
    fed(reader, call(("1", "lamp", {})))
    filler = fed(reader, sound(PCM), said("One moment. "), DONE, TURN_COMPLETE)
    assert E.RESPONSE_COMPLETED not in types(filler)
    reader.take_call("1")
    events = fed(reader, sound(PCM), said("Done."), DONE, TURN_COMPLETE)
    assert only(events, E.RESPONSE_COMPLETED)["response_id"] == filler[0].data["response_id"]
    whole = [event.data["text"] for event in events if event.type is E.TEXT_OUTPUT][-1]
    assert whole == "One moment. Done."


@pytest.mark.parametrize(
    ("status", "over"), [("IN_PROGRESS", False), ("REQUIRES_ACTION", False), ("IDLE", True)]
)
def test_the_vendors_interaction_status_decides_on_the_end(status: str, over: bool) -> None:
    events = fed(asked(), sound(PCM), content(turnComplete=True, interactionStatus=status))
    assert (E.RESPONSE_COMPLETED in types(events)) is over


def test_a_turn_that_ends_before_a_result_is_not_an_empty_response() -> None:
    reader = asked()
    fed(reader, call(("1", "lamp", {})))
    reader.take_call("1")
    assert fed(reader, TURN_COMPLETE) == []
    assert types(fed(reader, sound(PCM), TURN_COMPLETE))[-1] is E.RESPONSE_COMPLETED


def test_a_call_that_was_withdrawn_is_not_answered() -> None:
    reader = asked()
    fed(reader, call(("1", "lamp", {})), {"toolCallCancellation": {"ids": ["1"]}})
    assert reader.take_call("1") is None
    assert not reader.busy


def test_the_result_of_an_interrupted_call_is_not_wanted() -> None:
    reader = asked()
    fed(reader, call(("1", "lamp", {})))
    reader.give_up(None)
    assert reader.take_call("1") == ("lamp", False)
    assert not reader.busy


def test_a_call_in_an_abandoned_response_is_not_made_and_hides_nothing() -> None:
    reader = asked()
    fed(reader, sound(PCM))
    reader.give_up(1.0)
    assert fed(reader, call(("1", "lamp", {}))) == []
    reader.response_requested()
    assert types(fed(reader, sound(PCM))) == BEGIN


def test_a_requested_response_ends_even_without_output() -> None:
    assert types(fed(asked(), TURN_COMPLETE)) == [E.RESPONSE_STARTED, E.RESPONSE_COMPLETED]
    assert fed(GeminiReader(), TURN_COMPLETE) == []


def test_a_response_the_vendor_breaks_off_is_an_error_with_its_reason() -> None:
    events = fed(asked(), content(turnComplete=True, turnCompleteReason="MALFORMED_FUNCTION_CALL"))
    assert types(events) == [E.RESPONSE_STARTED, E.ERROR_GENERAL, E.RESPONSE_CANCELLED]
    assert only(events, E.RESPONSE_CANCELLED)["reason"] == "malformed_function_call"


@pytest.mark.parametrize("reason", ["PROHIBITED_INPUT_CONTENT", "RESPONSE_REJECTED", "SAFETY"])
def test_a_response_that_was_withheld_is_complete_with_that_reason(reason: str) -> None:
    events = fed(asked(), content(turnComplete=True, turnCompleteReason=reason))
    assert types(events) == [E.RESPONSE_STARTED, E.RESPONSE_COMPLETED]
    assert only(events, E.RESPONSE_COMPLETED)["reason"] == "content_filter"


def test_a_reason_is_not_lost_when_the_vendor_began_by_itself() -> None:
    events = fed(GeminiReader(detects=True), content(turnComplete=True, turnCompleteReason="SAFETY"))
    assert types(events)[-1] is E.RESPONSE_COMPLETED


def test_words_of_the_reply_after_its_end_begin_no_response() -> None:
    reader = asked()
    response = only(fed(reader, sound(PCM), DONE, TURN_COMPLETE), E.RESPONSE_STARTED)["response_id"]
    assert fed(reader, said("Ten "), said("past.")) == []
    assert reader.has_late_words
    assert not reader.busy
    [words] = reader.late_words()
    assert words.data == {"text": "Ten past.", "is_partial": False, "response_id": response}
    assert reader.late_words() == []


@pytest.mark.parametrize("detects", [False, True])
def test_the_transcript_of_the_question_after_the_reply_is_no_speech(detects: bool) -> None:
    reader = asked(detects=detects)
    fed(reader, sound(PCM), DONE, TURN_COMPLETE)
    events = fed(reader, heard("what "), heard("time"))
    assert set(types(events)) == {E.TEXT_TRANSCRIPTION}
    [whole] = reader.late_words()
    assert whole.data["text"] == "what time"
    assert not reader.busy


def test_the_words_of_the_next_reply_may_come_before_its_audio() -> None:
    reader = GeminiReader(detects=True)
    fed(reader, heard("hi"), sound(PCM), DONE, TURN_COMPLETE)
    events = fed(reader, heard("what time"), said("Ten "), sound(PCM), said("past."), TURN_COMPLETE)
    assert only(events, E.RESPONSE_COMPLETED)["response_id"] == "response-2"
    [whole] = [each.data for each in events if each.type is E.TEXT_OUTPUT and not each.data["is_partial"]]
    assert (whole["text"], whole["response_id"]) == ("Ten past.", "response-2")


def test_a_response_whose_end_never_comes_hides_nothing_of_the_next() -> None:
    reader = asked()
    fed(reader, sound(PCM), DONE)
    reader.abandon()
    assert not reader.busy
    reader.response_requested()
    assert fed(reader, TURN_COMPLETE) == [], "the end of the first one"
    assert types(fed(reader, sound(PCM), TURN_COMPLETE))[-1] is E.RESPONSE_COMPLETED


@pytest.mark.parametrize(
    ("args", "expected"),
    [({"on": True}, {"on": True}), (None, {}), ('{"on": true}', {"on": True}), ('{"on": ', '{"on":')],
)
def test_arguments_may_be_text_and_are_never_made_up(args: Any, expected: Any) -> None:
    message = {"toolCall": {"functionCalls": [{"id": "1", "name": "lamp", "args": args}]}}
    assert only(fed(asked(), message), E.FUNCTION_CALL_INVOKED)["arguments"] == expected


def test_a_call_may_be_a_part_of_the_models_turn() -> None:
    parts = [{"text": "thinking"}, {"functionCall": {"id": "1", "name": "lamp", "args": {"on": True}}}]
    message = {"serverContent": {"modelTurn": {"parts": parts}}}
    assert only(fed(asked(), message), E.FUNCTION_CALL_INVOKED)["function_name"] == "lamp"


def test_calls_without_ids_have_ids_of_their_own() -> None:
    reader = asked()
    message = {"toolCall": {"functionCalls": [{"name": "lamp"}, {"name": "time"}]}}
    ids = [each.data["call_id"] for each in fed(reader, message) if each.type is E.FUNCTION_CALL_INVOKED]
    assert len(set(ids)) == 2
    assert [reader.take_call(each) for each in ids] == [("lamp", True), ("time", True)]


def test_a_late_transcript_is_reported_before_the_response_is_complete() -> None:
    events = fed(asked(), sound(PCM), heard("what time"), TURN_COMPLETE)
    whole = [event for event in events if event.type is E.TEXT_TRANSCRIPTION and not event.data["is_partial"]]
    assert [event.data["text"] for event in whole] == ["what time"]
    assert types(events).index(E.RESPONSE_COMPLETED) > events.index(whole[0])


def test_a_finished_transcript_is_reported_once() -> None:
    last = content(inputTranscription={"text": "time", "finished": True})
    events = fed(asked(), heard("what "), last, sound(PCM), TURN_COMPLETE)
    whole = [event for event in events if event.type is E.TEXT_TRANSCRIPTION and not event.data["is_partial"]]
    assert [event.data["text"] for event in whole] == ["what time"]


def test_a_lost_connection_ends_what_was_in_progress() -> None:
    reader = asked()
    fed(reader, sound(PCM))
    assert types(reader.drop()) == [E.AUDIO_OUTPUT_STOPPED, E.RESPONSE_CANCELLED]
    assert not reader.busy
    assert reader.drop() == []


def test_malformed_audio_is_an_error_and_the_session_continues() -> None:
    broken = content(modelTurn={"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "?"}}]})
    assert types(fed(asked(), broken, sound(PCM))) == [E.ERROR_GENERAL, *BEGIN]


KEYS = st.sampled_from(
    [
        *("serverContent", "modelTurn", "parts", "inlineData", "mimeType", "data", "text", "interrupted"),
        *("inputTranscription", "outputTranscription", "turnComplete", "generationComplete", "toolCall"),
        *("functionCalls", "id", "name", "args", "toolCallCancellation", "ids", "usageMetadata", "finished"),
        *("voiceActivity", "voiceActivityType", "turnCompleteReason", "interactionStatus"),
    ]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "audio/pcm;rate=24000", "AAAA", "IDLE"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
STEPS = st.sampled_from(
    [
        *(sound(PCM), said("a"), heard("b"), DONE, TURN_COMPLETE, INTERRUPTED),
        *(
            call(("1", "lamp", {})),
            content(interrupted=True, turnComplete=True),
            "asked",
            "give up",
            "result",
        ),
    ]
)


@examples(100, deadline=None)
@given(st.lists(st.dictionaries(KEYS, JSON, max_size=5), max_size=5), st.booleans())
def test_any_message_gives_only_events_of_the_table(messages: list[dict[str, Any]], detects: bool) -> None:
    types(fed(GeminiReader(detects=detects), *messages))


@examples(200, deadline=None)
@given(st.lists(STEPS, max_size=20), st.booleans())
def test_a_response_always_begins_once_and_ends_once(steps: list[Any], detects: bool) -> None:
    reader = GeminiReader(detects=detects)
    events: list[ProviderEvent] = []
    for step in steps:
        match step:
            case "asked":
                reader.response_requested()
            case "give up":
                events += reader.give_up(1.0)
            case "result":
                reader.take_call("1")
            case _:
                events += reader.read(step)
    events += reader.drop()
    about = (
        E.RESPONSE_STARTED,
        E.RESPONSE_COMPLETED,
        E.RESPONSE_CANCELLED,
        E.TEXT_OUTPUT,
        E.AUDIO_OUTPUT_CHUNK,
    )
    told: dict[str, list[E]] = {}
    for event in events:
        # The whole of words that came late follows the end.
        if event.type in about and event.data.get("is_partial") is not False:
            told.setdefault(event.data["response_id"], []).append(event.type)
    for each in told.values():
        assert each[0] is E.RESPONSE_STARTED
        assert each.count(E.RESPONSE_STARTED) == 1
        assert each[-1] in (E.RESPONSE_COMPLETED, E.RESPONSE_CANCELLED)
        assert each.count(E.RESPONSE_COMPLETED) + each.count(E.RESPONSE_CANCELLED) == 1
    types(events)
