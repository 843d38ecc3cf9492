"""Tables on terminals of every width: columns, wrapped columns or cards, and no word is broken."""

import sys
from argparse import Namespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.cli import table
from voxd.cli.output import cell_width, wrap
from voxd.cli.table import column_widths, print_fields, print_table

PLAIN = Namespace(no_color=True, json=False)

WORDS = st.text(st.sampled_from("abcdefgh-éü你"), min_size=1, max_size=12)
CELLS = st.lists(WORDS, max_size=8).map(" ".join)


def on_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(table, "terminal_columns", lambda: columns)


@examples(100, deadline=None)
@given(CELLS, st.integers(1, 60))
def test_wrapping_breaks_no_word_and_loses_none(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(cell_width(line) <= width or " " not in line for line in lines)


@examples(100, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5), st.integers(20, 200))
def test_columns_fit_the_terminal_or_are_not_used(rows: list[tuple[str, str, str]], total: int) -> None:
    widths = column_widths(rows, total)
    if widths is None:
        return
    assert sum(widths) + 2 * table.GAP <= total
    for row in rows:
        assert all(
            cell_width(word) <= width
            for cell, width in zip(row, widths, strict=True)
            for word in cell.split()
        )


def test_a_wide_column_is_wrapped_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 60)
    print_table(
        ("id", "text"), [(1, "one two three four five six seven eight nine ten eleven twelve")], PLAIN
    )
    assert capsys.readouterr().out.splitlines() == [
        "ID  TEXT",
        "1   one two three four five six seven eight nine ten eleven",
        "    twelve",
    ]


def test_a_row_is_a_card_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 40)
    print_table(("id", "kind", "name"), [(1, "timer", "pizza"), (2, "alarm", "")], PLAIN)
    assert capsys.readouterr().out.splitlines() == [
        "ID 1",
        "  KIND  timer",
        "  NAME  pizza",
        "",
        "ID 2",
        "  KIND  alarm",
    ]


def test_words_that_do_not_fit_beside_each_other_make_cards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 70)
    print_table(("a", "b"), [("x" * 50, "y" * 50)], PLAIN)
    assert capsys.readouterr().out.splitlines() == [f"A {'x' * 50}", f"  B  {'y' * 50}"]


def test_values_are_wrapped_below_themselves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on_terminal(monkeypatch, 30)
    print_fields("voxd", {"state": "idle", "wake words": "hey jarvis, alexa, okay nabu"}, PLAIN)
    assert capsys.readouterr().out.splitlines() == [
        "voxd",
        "  state       idle",
        "  wake words  hey jarvis,",
        "              alexa, okay nabu",
    ]


def test_a_pipe_gets_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stdout.isatty()
    print_table(("id", "text"), [(1, "word " * 100)], PLAIN)
    assert len(capsys.readouterr().out.splitlines()) == 2
