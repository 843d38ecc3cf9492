import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.events import EventType as E
from voxd.frames import Clip
from voxd.providers.contract import ReplyAudio, ReplyItem, ReplyText, Transcript
from voxd.providers.events import event_of
from voxd.providers.realtime import reply_stream
from voxd.providers.realtime.reply_stream import ReplyStream, Sentences

STARTED = (E.RESPONSE_STARTED, {"response_id": "r1"})
DONE = (E.RESPONSE_COMPLETED, {"response_id": "r1", "usage": None})
SOUND = (
    E.AUDIO_OUTPUT_CHUNK,
    {"audio_data": bytes(480), "sample_rate": 24_000, "channels": 1, "response_id": "r1"},
)
CALL = (E.FUNCTION_CALL_INVOKED, {"function_name": "f", "arguments": {}, "call_id": "c1"})


def word(text: str, *, partial: bool = True) -> tuple[E, dict[str, object]]:
    return E.TEXT_OUTPUT, {"text": text, "is_partial": partial, "response_id": "r1"}


def lost(type: E, **data: object) -> tuple[E, dict[str, object]]:
    return type, {"provider": "cloud", "code": "network_error", "reason": "reset", **data}


def fed(*events: tuple[E, dict[str, object]], detects_ends: bool = False, sound: bool = True) -> ReplyStream:
    stream = ReplyStream("cloud", sound=sound, detects_ends=detects_ends)
    stream.ask()
    for type, data in events:
        stream.take(event_of(type, data))
    return stream


def items(stream: ReplyStream) -> list[ReplyItem]:
    found = []
    while (item := stream.pop()) is not None:
        found.append(item)
    return found


@pytest.mark.parametrize(
    ("pieces", "sentences"),
    [
        (["It is noon."], ["It is noon."]),
        (["It is ", "noon. And", " now?"], ["It is noon.", "And now?"]),
        (["He said “no.” ", "Why?"], ["He said “no.”", "Why?"]),
        (["It costs 3.50 euros"], ["It costs 3.50 euros"]),
        (["一点です。", "はい"], ["一点です。", "はい"]),
        (["First line\nsecond"], ["First line", "second"]),
        ([" ", ""], []),
    ],
)
def test_pieces_become_whole_sentences(pieces: list[str], sentences: list[str]) -> None:
    gathered = Sentences()
    found = [sentence for piece in pieces for sentence in gathered.add(piece, partial=True)]
    assert [*found, *gathered.add("".join(pieces), partial=False)] == sentences


@examples(50)
@given(st.lists(st.text(st.sampled_from("ab .?!\n"), max_size=8), max_size=8))
def test_no_word_is_lost_or_repeated(pieces: list[str]) -> None:
    gathered = Sentences()
    found = [sentence for piece in pieces for sentence in gathered.add(piece, partial=True)]
    found += gathered.rest()
    assert " ".join(found).split() == "".join(pieces).split()


@pytest.mark.parametrize(
    ("text", "asks"),
    [("Which one?", True), ("Which “one?”", True), ("Why? Because.", False), ("何時？", True), ("", False)],  # noqa: RUF001
)
def test_a_reply_that_ends_with_a_question_expects_an_answer(text: str, asks: bool) -> None:
    gathered = Sentences()
    gathered.add(text, partial=False)
    assert gathered.is_question is asks


async def test_words_and_audio_come_in_order_until_the_response_is_complete() -> None:
    stream = fed(
        STARTED, word("It is "), SOUND, word("noon. "), SOUND, word("It is noon.", partial=False), DONE
    )
    clip = ReplyAudio(Clip(bytes(480), 24_000))
    assert items(stream) == [clip, ReplyText("It is noon."), clip]
    assert (stream.complete, stream.error) == (True, None)


async def test_a_transcript_is_passed_on_when_it_is_final() -> None:
    partial = (E.TEXT_TRANSCRIPTION, {"text": "what", "is_partial": True, "item_id": ""})
    final = (E.TEXT_TRANSCRIPTION, {"text": "what time", "is_partial": False, "item_id": ""})
    stream = fed(partial, final)
    assert items(stream) == [Transcript("what time", True, "cloud")]
    assert stream.understood


async def test_the_response_after_the_tools_is_awaited() -> None:
    called = (
        E.FUNCTION_CALL_COMPLETED,
        {"function_name": "f", "call_id": "c1", "ok": True, "duration_ms": 1.0, "output": ""},
    )
    stream = fed(STARTED, CALL, DONE)
    assert not stream.complete
    assert stream.waiting_since_s is None, "a tool has a limit of its own"
    stream.take(event_of(*called))
    assert stream.waiting_since_s is not None
    stream.take(event_of(*STARTED))
    stream.take(event_of(*DONE))
    assert stream.error is not None, "silence is no answer, also after a tool"
    assert stream.error.code == "empty_answer"


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([lost(E.CONNECTION_LOST)], "network_error"),
        ([lost(E.CONNECTION_CLOSED, code="")], "network_error"),
        ([(E.ERROR_GENERAL, {"code": "server_error", "message": "sorry", "hint": ""})], "server_error"),
        ([STARTED, (E.RESPONSE_CANCELLED, {"response_id": "r1", "reason": "failed"})], "stream_failed"),
        ([STARTED, DONE], "empty_answer"),
        ([(E.ERROR_GENERAL, {"code": "tool_loop", "message": "", "hint": ""})], "tool_loop"),
    ],
)
async def test_a_reply_that_will_not_come_is_an_error(events: list, code: str) -> None:
    stream = fed(*events)
    assert stream.error is not None
    assert stream.error.code == code


@pytest.mark.parametrize(
    "events",
    [
        [(E.ERROR_GENERAL, {"code": "transcription_failed", "message": "?", "hint": ""})],
        [STARTED, (E.RESPONSE_CANCELLED, {"response_id": "r0", "reason": "client_cancelled"})],
        [(E.RESPONSE_COMPLETED, {"response_id": "r0", "usage": None})],
    ],
)
async def test_events_of_another_reply_are_ignored(events: list) -> None:
    stream = fed(*events)
    assert stream.error is None
    assert not stream.complete


async def test_a_vendor_may_cancel_its_response_when_the_user_continues() -> None:
    cancelled = (E.RESPONSE_CANCELLED, {"response_id": "r1", "reason": "turn_detected"})
    assert fed(STARTED, cancelled, detects_ends=True).error is None
    assert fed(STARTED, cancelled).error is not None


async def test_a_reply_without_end_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_stream, "MAX_WAITING_S", 0.025)
    stream = fed(STARTED, SOUND, SOUND, SOUND, SOUND)
    assert len(items(stream)) == 2
    assert stream.dropped_chunks == 2
    stream.take(event_of(*SOUND))
    assert len(items(stream)) == 1, "what was played makes room"


async def test_unwanted_audio_is_dropped_but_counts_as_a_reply() -> None:
    stream = fed(STARTED, SOUND, sound=False)
    assert items(stream) == []
    stream.take(event_of(*DONE))
    assert stream.complete
