"""Lines and server-sent events, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.errors import StreamError
from voxd.net import sse
from voxd.net.sse import EventDecoder, LineDecoder, SseDecoder


def events_of(*pieces: bytes) -> list[tuple[str, str]]:
    events = SseDecoder()
    found = [event for piece in pieces for event in events.feed(piece)]
    return [*found, *events.end()]


def body_of(*pieces: bytes) -> list[tuple[str, str]]:
    events = EventDecoder()
    found = [event for piece in pieces for event in events.feed(piece)]
    return [*found, *events.end()]


def lines_of(*pieces: bytes) -> list[str]:
    lines = LineDecoder()
    found = [line for piece in pieces for line in lines.feed(piece)]
    return [*found, *lines.end()]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", [("", "one"), ("", "two")]),
        (b"event: delta\ndata: {}\n\n", [("delta", "{}")]),
        (b"event: a\r\ndata: 1\r\n\r\nevent: b\r\ndata: 2\r\n\r\n", [("a", "1"), ("b", "2")]),
        (b"event: a\rdata: 1\r\rdata: 2\r\r", [("a", "1"), ("", "2")]),
        (b"data: one\ndata: more\n\n", [("", "one\nmore")]),
        (b"data:tight\n\ndata:  loose\n\n", [("", "tight"), ("", " loose")]),
        (b": ping\n\n:\n\ndata: x\n\n", [("", "x")]),
        (b"id: 7\nretry: 100\nnonsense\ndata: x\n\n", [("", "x")]),
        (b"event: empty\n\ndata: x\n\n", [("", "x")]),
        (b"data\n\n", []),
        (b"data:\n\ndata: \n\ndata: x\n\n", [("", "x")]),
        (b"event: ping\ndata:\n\n", [("ping", "")]),
        (b'data: x\n\n{"error": "no"}\n\ndata: y\n\n', [("", "x"), ("", '{"error": "no"}'), ("", "y")]),
        (b'data: x\n\n{\n "error": "no"\n}\n', [("", "x"), ("", '{\n "error": "no"\n}')]),
        (b"data: [DONE]", [("", "[DONE]")]),
        (b"data: x\n", [("", "x")]),
        ("\ufeffdata: x\n\n".encode(), [("", "x")]),
        ("data: \u2028 stays\n\n".encode(), [("", "\u2028 stays")]),
        (b"data: \xff\n\n", [("", "\ufffd")]),
        (b"", []),
    ],
)
def test_events_are_parsed_as_the_standard_requires(stream: bytes, expected: list[tuple[str, str]]) -> None:
    assert events_of(stream) == expected
    assert events_of(*(stream[at : at + 1] for at in range(len(stream)))) == expected


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b'{"a": 1}\n{"b": 2}\n', ['{"a": 1}', '{"b": 2}']),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\n\nb", ["a", "", "b"]),
        ("\u00fc\u2028\n".encode(), ["\u00fc\u2028"]),
        (b"", []),
    ],
)
def test_lines_end_where_they_should(stream: bytes, expected: list[str]) -> None:
    assert lines_of(stream) == expected
    assert lines_of(*(stream[at : at + 1] for at in range(len(stream)))) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: one\n\n", [("", "one")]),
        (b"\n\n: ping\n\ndata: one\n\n", [("", "one")]),
        (b'{"a": 1}', [("", '{"a": 1}')]),
        (b' \n{"a": 1}\r\n\r\n{"b": 2}\n', [("", '{"a": 1}'), ("", '{"b": 2}')]),
        (b'{\n "a": [\n  1\n ]\n}\n', [("", '{\n "a": [\n  1\n ]\n}')]),
        (b'[{"a": 1}\n,\n{"b": 2}]\n', [("", '[{"a": 1}\n,\n{"b": 2}]')]),
        ('\ufeff{"a": 1}'.encode(), [("", '{"a": 1}')]),
        ("\ufeffdata: x\n\n".encode(), [("", "x")]),
        (b'{"a": ', [("", '{"a": ')]),
        (b"", []),
        (b" \n", []),
    ],
)
def test_a_body_is_read_as_what_it_is(body: bytes, expected: list[tuple[str, str]]) -> None:
    assert body_of(body) == expected
    assert body_of(*(body[at : at + 1] for at in range(len(body)))) == expected


def test_a_page_is_not_taken_for_events() -> None:
    events = EventDecoder()
    assert list(events.feed(b" \n")) == list(events.feed(b"<html>")) == []
    assert events.is_markup


ENDS = st.sampled_from(["\n", "\r\n", "\r"])
DATA = st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=["Cs"]), max_size=20)


@examples(50)
@given(st.lists(DATA, min_size=1, max_size=5), ENDS, st.lists(st.integers(1, 7), min_size=1, max_size=50))
def test_however_the_bytes_are_cut_the_events_are_the_same(
    data: list[str], end: str, cuts: list[int]
) -> None:
    stream = "".join(f"event: e{end}data: {each}{end}{end}" for each in data).encode()
    pieces, at = [], 0
    for cut in cuts * len(stream):
        pieces.append(stream[at : at + cut])
        at += cut
    assert events_of(*pieces) == [("e", each) for each in data]


def test_a_line_without_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 100)
    with pytest.raises(StreamError) as raised:
        lines_of(*[b"x" * 30] * 4)
    assert raised.value.code == "too_big"


def test_a_line_without_end_behind_a_whole_one_is_not_kept_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_LINE_BYTES", 100)
    with pytest.raises(StreamError):
        LineDecoder().feed(b"short\n" + b"x" * 101)
    assert LineDecoder().feed(b"x" * 300 + b"\n" + b"x" * 100) == ["x" * 300]
