"""The file of sentences and what is expected of them."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from voxd.errors import InvalidRequest
from voxd.skills.evaluation.effects import Effect
from voxd.skills.evaluation.phrase_file import Case, Expected, GivenItem, read_phrases

NOW_S = round(datetime(2026, 11, 30, 10, 0, tzinfo=UTC).timestamp())
PHRASES = Path(__file__).parents[1] / "phrases"
HEAD = "@clock 2026-11-30T10:00\n"
SET = """\
@given p timer 10m pizza
@given a alarm 2026-12-01T07:00 repeat=weekdays gym
@given b timer 5m
@given ringing b
"""


def read(text: str) -> list[Case]:
    return read_phrases(text, "file.tsv")


def expected(wanted: str) -> Expected:
    (case,) = read(f"{HEAD}{SET}hello\t{wanted}")
    (only,) = case.expected
    return only


@pytest.mark.parametrize(
    ("wanted", "effects"),
    [
        ("timer.set 5m", [Effect("timer.set", due_s=NOW_S + 300)]),
        ('timer.set 1h30m name="Big Pot"', [Effect("timer.set", due_s=NOW_S + 5400, name="big pot")]),
        ("alarm.set 2026-11-30T11:00", [Effect("alarm.set", due_s=NOW_S + 3600)]),
        (
            'reminder.set 2026-11-30T11:00 repeat=monthly:1 text="call mom; then dad"',
            [Effect("reminder.set", "", NOW_S + 3600, "call mom; then dad", "monthly:1")],
        ),
        ("cancel p; pause p ; resume p", [Effect(what, "p") for what in ("cancel", "pause", "resume")]),
        ("rename p green tea", [Effect("rename", "p", name="green tea")]),
        ("change p left=15m", [Effect("change", "p", NOW_S + 900)]),
        (
            "change a at=2026-11-30T11:00 repeat=none",
            [Effect("change", "a", NOW_S + 3600), Effect("change", "a", repeat="none")],
        ),
        ("snooze a 10m", [Effect("snooze", "a", NOW_S + 600)]),
        ("volume 40; mic off", [Effect("volume", level=40), Effect("mic off")]),
        ("volume 0", [Effect("sound off")]),
        # What rings is over: whoever cancels it, or stops everything, silences it.
        ("cancel b", [Effect("silence", "b")]),
        ("stop", [Effect("silence", "b")]),
    ],
)
def test_effects_are_read(wanted: str, effects: list[Effect]) -> None:
    assert [*expected(wanted).effects] == effects


def test_what_is_not_an_effect_is_read() -> None:
    assert expected("refuse") == Expected("refuse", refuses=True)
    assert expected("ask") == Expected("ask", asks=True)
    assert expected("say time|date") == Expected("say time|date", intents=("time", "date"))
    both = expected("timer.set 5m; ask")
    assert (len(both.effects), both.asks) == (1, True)


def test_alternatives_are_read() -> None:
    (case,) = read(f"{HEAD}hello\trefuse OR ask OR timer.set 5m")
    assert [one.text for one in case.expected] == ["refuse", "ask", "timer.set 5m"]
    assert case.wanted == "refuse OR ask OR timer.set 5m"


def test_the_state_holds_for_the_lines_below_until_it_is_forgotten() -> None:
    text = f"{HEAD}@zone Europe/Berlin\n{SET}@given volume 20\n@given said It is ten.\none\task\n@given\n"
    first, second = read(f"# about\n{text}\ntwo // three\tstop\n")
    berlin = ZoneInfo("Europe/Berlin")
    assert first.given.now == datetime(2026, 11, 30, 10, 0, tzinfo=berlin)
    assert (first.given.volume, first.given.said) == (20, "It is ten.")
    assert first.given.items == (
        GivenItem("p", "timer", "pizza", length_s=600, left_s=600),
        GivenItem("a", "alarm", "gym", datetime(2026, 12, 1, 7, 0, tzinfo=berlin), repeat="weekdays"),
        GivenItem("b", "timer", length_s=300, left_s=0, ringing=True),
    )
    assert (second.given.items, second.given.volume, second.line) == ((), 50, 13)
    assert (second.sentences, second.text) == (("two", "three"), "two // three")


def test_a_timer_may_have_run_and_be_paused() -> None:
    (case,) = read(f"{HEAD}@given p timer 10m left=4m paused big pizza\nhello\task")
    assert case.given.items == (GivenItem("p", "timer", "big pizza", length_s=600, left_s=240, paused=True),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello ask", "a tab"),
        ("hello\t", "a tab"),
        ("// hello\task", "a sentence is empty"),
        ("hello\tnothing", "unknown effect 'nothing'"),
        ("hello\task;", "an effect is empty"),
        ("hello\tsay", "unknown effect"),
        ("hello\tsay time date", "say INTENT"),
        ("hello\tcancel x", "no timer has the label x"),
        ("hello\tcancel p now", "other words behind p"),
        ("hello\tchange p to=5m", "is not left=, at= or repeat="),
        ("hello\ttimer.set soon", "'soon' is not a duration"),
        ("hello\ttimer.set 5m tea", "is not name=, text= or repeat="),
        ("hello\talarm.set 2026-12-01", "is not a local time"),
        ("hello\talarm.set 2026-12-01T07:00+01:00", "is not a local time"),
        ("hello\tvolume 101", "is not a volume"),
        ("hello\tvolume loud", "is not a volume"),
        ("@now 2026-12-01T07:00", "unknown @now"),
        ("@clock noon", "'noon' is not a local time"),
        ("@zone Mars", "'Mars' is not a time zone"),
        ("@given q egg 5m", "expected: @given LABEL"),
        ("@given p timer 5m", "the label p is given twice"),
        ("@given q timer 5m left=6m", "more is left"),
        ("@given q alarm 2026-12-01T07:00 repeat=never", "is not a repeat"),
        ("@given ringing x", "no timer has the label x"),
        ("@given q alarm 2026-11-30T09:00\nhello\task", "which has passed"),
        (
            "@given q alarm 2026-12-01T09:00 repeat=sun\n@given ringing q\nhello\task",
            "cannot ring on this day",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(line: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(f"{HEAD}{SET}{line}")
    assert message in str(raised.value)
    assert str(raised.value).startswith("file.tsv:")


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as raised:
        read(f"hello\n{HEAD}@wrong\nhello\task\nhello\n")
    assert [line.split(" ")[0] for line in str(raised.value).splitlines()] == [
        "file.tsv:1:",
        "file.tsv:3:",
        "file.tsv:5:",
    ]


def test_a_file_without_a_sentence_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="holds no sentence"):
        read(HEAD)


@pytest.mark.parametrize("file", sorted(PHRASES.glob("*.tsv")), ids=lambda file: file.stem)
def test_our_own_files_are_well_formed(file: Path) -> None:
    assert read_phrases(file.read_text(encoding="utf-8"), file.name)


def test_without_a_clock_it_is_a_fixed_monday_morning() -> None:
    (case,) = read_phrases("what time is it\tsay time\n", "my.tsv")
    assert case.given.now.isoformat() == "2026-11-30T10:00:00+00:00"
