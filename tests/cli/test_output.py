"""What people and programs read."""

from argparse import Namespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.cli.exits import exit_code
from voxd.cli.output import bar, clean, duration
from voxd.cli.table import print_table
from voxd.cli.tree import chosen_command
from voxd.cli.watch import line
from voxd.control.codes import ProtocolError
from voxd.errors import Busy, ConfigError, DaemonUnreachable, DeadlineExceeded, NotPermitted, VoxdError

PLAIN = Namespace(no_color=True, json=False)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (3661, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-5, "5 s"),
    ],
)
def test_durations_are_said_in_two_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("start", "end", "total", "drawn"),
    [
        (0, 10, 10, "██████████"),
        (0, 5, 10, "█████     "),
        (5, 10, 10, "     █████"),
        (9.99, 10, 10, "         █"),
        (3, 3, 10, "   █      "),
        (0, 0, 0, "          "),
    ],
)
def test_a_stage_is_a_bar_however_short(start: float, end: float, total: float, drawn: str) -> None:
    assert bar(start, end, total, 10) == drawn


@examples(50, deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(1, 80))
def test_a_bar_always_has_its_width(start: float, took: float, width: int) -> None:
    drawn = bar(start, start + took, start + took + 1, width)
    assert len(drawn) == width
    assert "█" in drawn


@examples(50, deadline=None)
@given(st.text())
def test_nobodys_words_steer_the_terminal(text: str) -> None:
    assert clean(text).isprintable()


def test_columns_are_as_wide_as_their_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "name"), [(1, "\x1b[31mred"), (20, None), (3, True), (4, 0.5)], PLAIN)
    assert capsys.readouterr().out.splitlines() == [
        "ID  NAME",
        "1    [31mred",
        "20  -",
        "3   yes",
        "4   0.50",
    ]


def test_an_empty_table_is_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("id", "name"), [], PLAIN)
    assert capsys.readouterr().out == "ID  NAME\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Busy("x"), 1),
        (VoxdError("x"), 1),
        (DaemonUnreachable("x"), 69),
        (DeadlineExceeded("x"), 75),
        (ProtocolError("x"), 76),
        (NotPermitted("x"), 77),
        (ConfigError("x"), 78),
    ],
)
def test_errors_have_the_exit_codes_of_sysexits(error: VoxdError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["status"], "status"),
        (["--json", "status"], "status"),
        (["--socket", "say", "stop"], "stop"),
        (["--socket=say", "stop"], "stop"),
        (["--config", "x", "ask", "status"], "ask"),
        (["--help", "status"], None),
        (["--json"], None),
        ([], None),
    ],
)
def test_the_command_is_found_among_the_options(argv: list[str], command: str | None) -> None:
    assert chosen_command(argv) == command


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            {"state": {"state": "idle", "summary": "listening"}, "last_id": 3, "lost": 0},
            "state idle: listening",
        ),
        (
            {"state": {"state": "idle", "summary": "listening"}, "last_id": 3, "lost": 2},
            "listening (2 events lost)",
        ),
        ({"dropped": 7}, "too slow: 7 events dropped"),
        (
            {"id": 1, "type": "wake.detected", "time": 0.0, "data": {"word": "alexa", "score": 0.876}},
            "wake.detected      word=alexa score=0.88",
        ),
        (
            {"id": 2, "type": "turn.reply", "time": 0.0, "data": {"text": "It is\nnoon."}},
            'turn.reply         text="It is noon."',
        ),
        ({"id": 3, "type": "daemon.stopping", "time": 0.0, "data": {}}, "daemon.stopping"),
    ],
)
def test_an_event_is_a_line(message: dict[str, object], shown: str) -> None:
    assert line(message)[9:].endswith(shown)


def test_what_a_small_question_used_and_cost_can_be_read() -> None:
    data = {"provider": "mind", "usage": {"input_text_tokens": 120, "characters": 0}, "cost_usd": 0.000169}
    said = line({"type": "provider.used", "time": 0.0, "data": data})
    assert said.endswith("provider=mind usage=input_text_tokens=120 cost_usd=0.00017")
