"""Splitting a byte stream into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.control.framing import Lines, LineTooLong


@examples(50, deadline=None)
@given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_do_not_depend_on_the_size_of_chunks(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader, got = Lines(100), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:size])
        stream = stream[size:]
    assert got == [line for line in lines if line.strip()]
    assert reader.partial_bytes == 0


@pytest.mark.parametrize("chunks", [[b"123456"], [b"123", b"456"], [b"12345", b"6\n"], [b"123456\n"]])
def test_a_line_over_the_limit_is_refused_in_any_chunks(chunks: list[bytes]) -> None:
    reader = Lines(5)
    with pytest.raises(LineTooLong):
        [list(reader.feed(chunk)) for chunk in chunks]
    assert reader.partial_bytes == 0


def test_lines_before_a_too_long_line_are_returned() -> None:
    lines = Lines(5).feed(b"one\ntwo\nmuch too long")
    assert [next(lines), next(lines)] == [b"one", b"two"]
    with pytest.raises(LineTooLong):
        next(lines)


def test_a_longer_line_passes_when_it_is_allowed() -> None:
    asked: list[int] = []

    def allow(length: int) -> bool:
        asked.append(length)
        return length <= 8

    reader = Lines(5, allow)
    assert list(reader.feed(b"1234567\n")) == [b"1234567"]
    with pytest.raises(LineTooLong):
        list(reader.feed(b"123456789"))
    assert asked == [7, 9]
