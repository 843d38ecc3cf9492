"""Sentences judged by what they change."""

from datetime import UTC, datetime

import pytest

from voxd.config import schema
from voxd.skills.evaluation.confusions import Mishearing
from voxd.skills.evaluation.effects import Changes, Effect
from voxd.skills.evaluation.evaluate import CaseOutcome, CaseVerdict, count, evaluate, judge
from voxd.skills.evaluation.phrase_file import Expected, Given, GivenItem, read_expected, read_phrases

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
NOW_S = round(NOW.timestamp())
GIVEN = Given(
    NOW,
    UTC,
    (
        GivenItem("p", "timer", length_s=600, left_s=600),
        GivenItem("q", "timer", length_s=900, left_s=900),
    ),
)
FIVE, NINE = (Effect("timer.set", due_s=NOW_S + minutes * 60) for minutes in (5, 9))


def expected(text: str) -> Expected:
    return read_expected(text, GIVEN)


def outcome(
    *effects: Effect, intent: str = "", asked: bool = False, implied: tuple[Effect, ...] = ()
) -> CaseOutcome:
    held = frozenset((Effect("volume", level=50), Effect("sound on")))
    return CaseOutcome(Changes(effects, implied), held, asked, intent, "")


@pytest.mark.parametrize(
    ("wanted", "got", "verdict"),
    [
        ("timer.set 5m", outcome(FIVE, intent="timer_set"), CaseVerdict.RIGHT),
        ("timer.set 5m; timer.set 9m", outcome(NINE, FIVE), CaseVerdict.RIGHT),
        ("timer.set 5m; ask", outcome(FIVE, asked=True), CaseVerdict.RIGHT),
        ("timer.set 5m; ask", outcome(FIVE), CaseVerdict.WRONG),
        ("timer.set 5m", outcome(FIVE, asked=True), CaseVerdict.ASKED),
        ("timer.set 5m", outcome(asked=True), CaseVerdict.ASKED),
        ("timer.set 5m", outcome(), CaseVerdict.REFUSED),
        ("timer.set 5m", outcome(intent="timer_set"), CaseVerdict.REFUSED),
        ("timer.set 5m", outcome(intent="no_home"), CaseVerdict.REFUSED),
        ("timer.set 5m", outcome(intent="time"), CaseVerdict.WRONG),
        ("timer.set 5m", outcome(NINE), CaseVerdict.WRONG),
        ("timer.set 5m; timer.set 5m", outcome(FIVE), CaseVerdict.WRONG),
        ("timer.set 5m", outcome(FIVE, FIVE), CaseVerdict.WRONG),
        ("timer.set 5m", outcome(FIVE, Effect("cancel", "p")), CaseVerdict.DESTROYED),
        ("cancel p", outcome(Effect("cancel", "q")), CaseVerdict.DESTROYED),
        ("cancel p", outcome(Effect("change", "p", NOW_S)), CaseVerdict.WRONG),
        ("change p left=5m", outcome(Effect("change", "p", NOW_S + 60)), CaseVerdict.WRONG),
        ("change p left=5m", outcome(Effect("change", "q", NOW_S + 300)), CaseVerdict.DESTROYED),
        ("pause p", outcome(Effect("cancel", "p")), CaseVerdict.DESTROYED),
        ("snooze p 5m", outcome(Effect("silence", "p")), CaseVerdict.DESTROYED),
        ("refuse", outcome(), CaseVerdict.RIGHT),
        ("refuse", outcome(intent="no_music"), CaseVerdict.RIGHT),
        ("refuse", outcome(intent="cancel"), CaseVerdict.RIGHT),
        ("refuse", outcome(intent="time"), CaseVerdict.WRONG),
        ("refuse", outcome(asked=True, intent="cancel"), CaseVerdict.ASKED),
        ("refuse", outcome(Effect("mic off")), CaseVerdict.DESTROYED),
        ("ask", outcome(asked=True), CaseVerdict.RIGHT),
        ("ask", outcome(), CaseVerdict.REFUSED),
        ("ask", outcome(FIVE, asked=True), CaseVerdict.WRONG),
        ("say time|date", outcome(intent="date"), CaseVerdict.RIGHT),
        ("say time|date", outcome(intent="list"), CaseVerdict.WRONG),
        ("say time", outcome(), CaseVerdict.REFUSED),
        ("say list", outcome(Effect("cancel", "p"), intent="list"), CaseVerdict.DESTROYED),
        ("volume 40", outcome(Effect("volume", level=40)), CaseVerdict.RIGHT),
        ("volume 40", outcome(Effect("sound off")), CaseVerdict.DESTROYED),
        # It is so already: nothing changes.
        ("volume 50", outcome(intent="volume_set"), CaseVerdict.RIGHT),
        ("volume 50", outcome(), CaseVerdict.REFUSED),
        ("sound on", outcome(intent="sound_on"), CaseVerdict.RIGHT),
        (
            "change p repeat=daily left=5m",
            outcome(
                Effect("change", "p", repeat="daily"), implied=(Effect("change", "p", due_s=NOW_S + 300),)
            ),
            CaseVerdict.RIGHT,
        ),
    ],
)
def test_the_verdict_follows_from_what_changed(wanted: str, got: CaseOutcome, verdict: CaseVerdict) -> None:
    assert judge(expected(wanted), got) is verdict


def test_the_sound_is_on_at_whatever_volume() -> None:
    silent = CaseOutcome(
        Changes((Effect("volume", level=30),)), frozenset((Effect("sound off"),)), False, "sound_on", ""
    )
    assert judge(expected("sound on"), silent) is CaseVerdict.RIGHT
    assert judge(expected("volume 40"), silent) is CaseVerdict.WRONG


def test_a_misheard_number_may_set_another_time_but_do_nothing_else() -> None:
    variant = Mishearing("numbers", 0, (), frozenset(("five",)), frozenset(("nine",)), True)
    assert judge(expected("timer.set 5m"), outcome(NINE), variant) is CaseVerdict.RIGHT
    assert judge(expected("timer.set 5m"), outcome(NINE, FIVE), variant) is CaseVerdict.WRONG
    assert judge(expected("say time"), outcome(NINE), variant) is CaseVerdict.WRONG
    assert judge(expected("timer.set 5m"), outcome(Effect("cancel", "p")), variant) is CaseVerdict.DESTROYED


FILE = """\
@clock 2026-11-30T10:00
set a timer for five minutes\ttimer.set 5m
set a timer // five minutes\ttimer.set 5m
what time is it\tsay time
colourless green ideas\trefuse
colourless green ideas\ttimer.set 5m
set a timer for five minutes\ttimer.set 6m
@given p timer 10m pizza
set a timer\tcancel p OR timer.set 5m OR refuse
cancel the pizza timer\tcancel p
cancel the pizza timer\trefuse
@given ringing p
stop\tsilence p
set the volume to zero\tvolume 0
"""


async def test_a_file_is_run_line_by_line_from_the_given_state() -> None:
    report = await evaluate(read_phrases(FILE, "file.tsv"), schema.Skills())
    assert [(result.verdict.name, result.got) for result in report.exact] == [
        ("RIGHT", "timer.set 5m"),
        ("RIGHT", "timer.set 5m"),
        ("RIGHT", "say time"),
        ("RIGHT", "refuse"),
        ("REFUSED", "refuse"),
        ("WRONG", "timer.set 5m"),
        ("ASKED", "ask"),
        ("RIGHT", "cancel p"),
        ("DESTROYED", "cancel p"),
        ("RIGHT", "silence p"),
        ("RIGHT", "sound off"),
    ]
    assert report.confused == ()
    assert [*count(report.exact).values()] == [7, 1, 1, 1, 1]


async def test_misheard_sentences_are_run_too_and_are_the_same_for_the_same_seed() -> None:
    told: list[tuple[int, int]] = []
    text = (
        "@clock 2026-11-30T10:00\n"
        "set a timer // five minutes\ttimer.set 5m\n"
        "set a pot timer for 5 days // no\trefuse\n"
    )
    report = await evaluate(
        read_phrases(text, "file.tsv"),
        schema.Skills(),
        confuse=7,
        progress=lambda done, total: told.append((done, total)),
    )
    assert {result.variant is None for result in report.confused} == {False}
    assert all(result.text != result.case.text for result in report.confused)
    total = len(report.exact) + len(report.confused)
    assert told == [(done, total) for done in range(1, total + 1)]
    # With another number it may make sense: then nothing is known to be expected.
    refused = [result for result in report.confused if result.case.line == 3]
    assert all(result.variant and not result.variant.changes_value for result in refused)
    again = await evaluate(read_phrases(text, "file.tsv"), schema.Skills(), confuse=7)
    assert [result.text for result in again.confused] == [result.text for result in report.confused]
