"""Every response ends once, in time, with one of a few outcomes, whatever a provider reports."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.providers.events import (
    AudioOutputChunk,
    AudioOutputStarted,
    AudioOutputStopped,
    ErrorOccurred,
    ProviderEvent,
    ResponseCancelled,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
    ToolCallInvoked,
    TurnDetected,
)
from voxd.providers.realtime.response_guard import (
    CUT_LIMIT_S,
    END_LIMIT_S,
    LONGEST_ANSWER_S,
    NO_END,
    STALL_LIMIT_S,
    TOOL_CALLS,
    ResponseGuard,
)

RATE_HZ = 24_000


def sound(seconds: float, id: str | None = "r1") -> AudioOutputChunk:
    return AudioOutputChunk(bytes(2 * round(RATE_HZ * seconds)), RATE_HZ, response_id=id)


def word(text: str, id: str | None = "r1", *, partial: bool = True) -> TextOutput:
    return TextOutput(text, partial, id)


START = ResponseStarted("r1")
DONE = ResponseCompleted("r1")
CALL = ToolCallInvoked("f", {}, "c1")
STOPPED = AudioOutputStopped(1000.0, "r1")


def told(*events: ProviderEvent, asked: bool = True) -> list[ProviderEvent]:
    """What the conversation sees of ``events``, which come at once."""
    guard = ResponseGuard()
    if asked:
        guard.ask(0.0, owed=True)
    return [seen for event in events for seen in guard.take(event, 0.0)]


def ends(found: list[ProviderEvent]) -> list[str]:
    """The ends of the responses in ``found``, with their reasons, and the codes of errors."""
    names = []
    for event in found:
        match event:
            case ResponseCompleted(reason=reason):
                names.append(f"completed {reason}".strip())
            case ResponseCancelled(reason=reason):
                names.append(f"cancelled {reason}".strip())
            case ErrorOccurred(code=code):
                names.append(f"error {code}")
    return names


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([START, word("Hi"), DONE], ["completed"]),
        ([START, sound(0.1), DONE], ["completed"]),
        # Complete, and nothing was said.
        ([START, DONE], ["error empty_answer", "cancelled empty_answer"]),
        ([START, word("  \n"), DONE], ["error empty_answer", "cancelled empty_answer"]),
        ([START, sound(0.0), DONE], ["error empty_answer", "cancelled empty_answer"]),
        (
            [START, ResponseCompleted("r1", reason="content_filter")],
            ["error answer_filtered", "cancelled answer_filtered"],
        ),
        (
            [START, ResponseCompleted("r1", reason="max_output_tokens")],
            ["error answer_cut_off", "cancelled answer_cut_off"],
        ),
        ([START, word("Hi"), ResponseCompleted("r1", reason="length")], ["completed length"]),
        # Tools.
        ([START, CALL, DONE], [f"completed {TOOL_CALLS}"]),
        ([START, word("One moment"), CALL, DONE], [f"completed {TOOL_CALLS}"]),
        # Ends that come twice, or belong to nothing.
        ([START, word("Hi"), DONE, DONE], ["completed"]),
        ([START, word("Hi"), DONE, ResponseCancelled("r1", "late")], ["completed"]),
        ([START, ResponseCancelled("r1", "turn_detected"), DONE], ["cancelled turn_detected"]),
        ([START, word("Hi"), ResponseCompleted("r0"), DONE], ["completed"]),
        ([START, word("Hi"), ResponseCompleted(None)], ["completed"]),
        ([ResponseStarted(None), word("Hi", None), DONE], ["completed"]),
        # No beginning.
        ([word("Hi"), DONE], ["completed"]),
        ([sound(0.1, None), ResponseCompleted(None)], ["completed"]),
        ([ResponseCancelled("r1", "failed")], ["cancelled failed"]),
        ([DONE], ["error empty_answer", "cancelled empty_answer"]),
        # No end, and then the next one.
        ([START, word("Hi"), ResponseStarted("r2")], [f"completed {NO_END}"]),
        ([START, ResponseStarted("r2")], ["cancelled superseded"]),
        ([START, CALL, ResponseStarted("r2")], [f"completed {TOOL_CALLS}"]),
        ([START, START, word("Hi"), DONE], ["completed"]),
    ],
)
def test_a_response_ends_once_with_an_outcome(events: list[ProviderEvent], expected: list[str]) -> None:
    found = told(*events)
    assert ends(found) == expected
    assert isinstance(found[0], ResponseStarted)


@pytest.mark.parametrize(
    "event", [DONE, ResponseCancelled("r9"), STOPPED, word("late", None), sound(1.0, None)]
)
def test_without_a_question_nothing_begins_with_its_end(event: ProviderEvent) -> None:
    assert not any(isinstance(each, ResponseStarted) for each in told(event, asked=False))


def test_a_vendor_may_begin_a_response_by_itself() -> None:
    found = told(START, word("Hello?"), DONE, asked=False)
    assert ends(found) == ["completed"]


def test_words_after_the_end_are_for_the_transcript_and_begin_nothing() -> None:
    found = told(START, sound(1.0), DONE, word("It is noon."), word("It is noon.", partial=False), sound(1.0))
    assert [type(each) for each in found[3:]] == [TextOutput, TextOutput], "late sound would be out of place"


def test_output_with_another_id_belongs_to_the_one_response_there_is() -> None:
    found = told(START, word("Hi", "msg_1"), DONE)
    assert found[1] == word("Hi", "r1")


def overdue(*events: ProviderEvent, until_s: float, cut: bool = False) -> list[str]:
    guard = ResponseGuard()
    guard.ask(0.0, owed=True)
    for event in events:
        guard.take(event, 1.0)
    if cut:
        guard.interrupt(1.0)
    deadline_s = guard.deadline_s
    assert deadline_s == pytest.approx(until_s)
    assert guard.expire(deadline_s - 0.01) == []
    found = ends(guard.expire(deadline_s))
    assert guard.deadline_s is None
    return found


@pytest.mark.parametrize(
    ("events", "until_s", "expected"),
    [
        ([], LONGEST_ANSWER_S, ["error timeout"]),
        ([START], 1 + STALL_LIMIT_S, ["error timeout", "cancelled timeout"]),
        # From what the user hears, not from what comes over the wire.
        ([START, sound(5)], 6 + STALL_LIMIT_S, ["error timeout", "cancelled timeout"]),
        ([START, sound(2), sound(3), STOPPED], 6 + END_LIMIT_S, [f"completed {NO_END}"]),
        ([START, sound(5), word("It is noon.")], 6 + END_LIMIT_S, [f"completed {NO_END}"]),
        ([START, sound(5), word("It is “noon!” ")], 6 + END_LIMIT_S, [f"completed {NO_END}"]),
        ([START, word("It is "), word("noon")], 1 + STALL_LIMIT_S, ["error timeout", "cancelled timeout"]),
        ([START, word("It is noon", partial=False)], 1 + END_LIMIT_S, [f"completed {NO_END}"]),
        ([START, sound(1), STOPPED, AudioOutputStarted(RATE_HZ, "r1")], 2 + STALL_LIMIT_S, None),
        ([START, CALL], 1 + STALL_LIMIT_S, ["error timeout", "cancelled timeout"]),
    ],
)
def test_what_is_overdue_ends(
    events: list[ProviderEvent], until_s: float, expected: list[str] | None
) -> None:
    found = overdue(*events, until_s=until_s)
    assert found == (expected or ["error timeout", "cancelled timeout"])


def test_an_interrupted_response_ends_soon_whether_the_vendor_says_so_or_not() -> None:
    found = overdue(START, sound(60), cut=True, until_s=1 + CUT_LIMIT_S)
    assert found == ["cancelled client_cancelled"]


def test_a_response_that_only_the_vendor_expected_is_no_error() -> None:
    guard = ResponseGuard()
    guard.take(TurnDetected(False), 0.0)
    guard.ask(0.0, owed=False)
    assert guard.expire(LONGEST_ANSWER_S) == []
    assert guard.deadline_s is None


def test_an_error_that_was_reported_is_not_reported_again_as_a_time_out() -> None:
    guard = ResponseGuard()
    guard.ask(0.0, owed=True)
    guard.take(ErrorOccurred("server_error", "no"), 1.0)
    assert guard.expire(LONGEST_ANSWER_S) == []


def with_results() -> ResponseGuard:
    """A guard of a response that called a tool, got the results, and has not ended."""
    guard = ResponseGuard()
    guard.ask(0.0, owed=True)
    guard.take(START, 0.0)
    guard.take(CALL, 0.0)
    guard.results_sent(1.0)
    return guard


def test_what_a_response_says_after_the_results_is_its_answer() -> None:
    guard = with_results()
    guard.take(word("It is on."), 2.0)
    assert ends(guard.take(DONE, 2.0)) == ["completed"]


def test_results_before_the_end_are_no_answer() -> None:
    guard = with_results()
    assert ends(guard.take(DONE, 2.0)) == [f"completed {TOOL_CALLS}"]


IDS = st.sampled_from([None, "a", "b"])
EVENTS = st.one_of(
    st.builds(ResponseStarted, IDS),
    st.builds(ResponseCompleted, IDS, reason=st.sampled_from(["", "content_filter", "x"])),
    st.builds(ResponseCancelled, IDS, st.sampled_from(["", "failed"])),
    st.builds(TextOutput, st.sampled_from(["", "a ", "b."]), st.booleans(), IDS),
    st.builds(AudioOutputChunk, st.sampled_from([b"", bytes(4800)]), st.just(RATE_HZ), response_id=IDS),
    st.builds(AudioOutputStarted, st.just(RATE_HZ), IDS),
    st.builds(AudioOutputStopped, st.just(1.0), IDS),
    st.just(CALL),
    st.just(ErrorOccurred("x")),
)


@examples(300)
@given(st.lists(st.one_of(EVENTS, st.sampled_from(["ask", "interrupt", "results", "expire"])), max_size=40))
def test_in_any_order_every_response_begins_and_ends_once_in_bounded_time(steps: list[Any]) -> None:
    guard, now_s, found = ResponseGuard(), 0.0, list[ProviderEvent]()
    for step in [*steps, "expire", "expire"]:
        now_s += 0.1
        match step:
            case "ask":
                guard.ask(now_s, owed=True)
            case "interrupt":
                guard.interrupt(now_s)
            case "results":
                guard.results_sent(now_s)
            case "expire":
                while (deadline_s := guard.deadline_s) is not None:
                    assert deadline_s <= now_s + LONGEST_ANSWER_S + STALL_LIMIT_S
                    now_s = max(now_s, deadline_s)
                    found += guard.expire(now_s)
            case _:
                found += guard.take(step, now_s)
    is_open = False
    for event in found:
        match event:
            case ResponseStarted():
                assert not is_open
                is_open = True
            case ResponseCompleted() | ResponseCancelled():
                assert is_open
                is_open = False
            case AudioOutputChunk() | AudioOutputStopped():
                assert is_open
    assert not is_open
    assert not guard.is_open
