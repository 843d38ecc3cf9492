"""The state of a conversation under any order of events."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.events import EventType as E
from voxd.providers.events import ProviderEvent, TextOutput, event_of
from voxd.providers.history import MAX_ENTRIES
from voxd.providers.realtime.response_tracker import ResponseTracker

IDS = st.sampled_from([None, "a", "b", "c"])
TEXT = st.sampled_from(["", "one", "two three"])


def event(type: E, **data: st.SearchStrategy[Any]) -> st.SearchStrategy[ProviderEvent]:
    return st.fixed_dictionaries(data).map(lambda drawn: event_of(type, drawn))


EVENTS = st.one_of(
    event(E.RESPONSE_STARTED, response_id=IDS),
    event(E.RESPONSE_COMPLETED, response_id=IDS),
    event(E.RESPONSE_CANCELLED, response_id=IDS),
    event(E.TEXT_OUTPUT, text=TEXT, is_partial=st.booleans(), response_id=IDS),
    event(
        E.AUDIO_OUTPUT_CHUNK,
        audio_data=st.sampled_from([b"", bytes(4800)]),
        sample_rate=st.just(24_000),
        response_id=IDS,
    ),
    event(E.TEXT_TRANSCRIPTION, text=TEXT, is_partial=st.booleans()),
    event(E.CONVERSATION_TURN_DETECTED, speaking=st.booleans()),
    event(E.CONVERSATION_INTERRUPTED),
)


@examples(100)
@given(st.lists(st.one_of(EVENTS, st.floats(0, 300), st.none()), max_size=80))
def test_output_after_an_interruption_is_dropped(steps: list[Any]) -> None:
    tracker = ResponseTracker()
    cut: set[str] = set()
    for step in steps:
        if isinstance(step, ProviderEvent):
            passed = tracker.take(step)
            if step.type in (E.TEXT_OUTPUT, E.AUDIO_OUTPUT_CHUNK):
                assert not (passed and step.data["response_id"] in cut)
            else:
                assert passed
        else:
            tracker.interrupt(step)
        is_cut = not isinstance(step, ProviderEvent) or step.type is E.CONVERSATION_INTERRUPTED
        if is_cut and tracker.response_id is not None:
            cut.add(tracker.response_id)
        lines = tracker.history.messages
        assert len(lines) <= MAX_ENTRIES
        assert all(line.text for line in lines)
    assert tracker.late_events <= len(steps)


@examples(50)
@given(st.lists(EVENTS, max_size=40))
def test_a_broken_session_leaves_nothing_in_progress(steps: list[ProviderEvent]) -> None:
    tracker = ResponseTracker()
    for step in steps:
        tracker.take(step)
    was_responding = tracker.responding
    assert tracker.provider_gone() == was_responding
    assert not tracker.responding
    assert not tracker.speaking
    assert not tracker.provider_gone()


def test_output_without_ids_is_dropped_until_the_next_question() -> None:
    tracker = ResponseTracker()
    words = TextOutput("well")
    assert tracker.take(words)
    tracker.interrupt(None)
    assert not tracker.take(words)
    tracker.begin_turn("and now?")
    assert tracker.take(words)
    assert [line.text for line in tracker.history.messages] == ["well", "and now?", "well"]
