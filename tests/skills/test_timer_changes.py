"""Everything that is done to what is set: changed, cancelled, snoozed and undone."""

import pytest

from tests.skills.talk import FILLED, Talk
from voxd.skills.replies import say

TEA, PIZZA, ALARM, REMINDER = FILLED


def without(*gone: str) -> list[str]:
    return [item for item in FILLED if item not in gone]


def changed(old: str, new: str) -> set[str]:
    return {*without(old), new}


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("add five minutes to the pizza timer", PIZZA, "pizza timer 15m"),
        ("give the tea timer another two minutes", TEA, "tea timer 7m"),
        ("three more minutes on the tea timer", TEA, "tea timer 8m"),
        ("extend the pizza timer by half an hour", PIZZA, "pizza timer 40m"),
        ("add ten minutes to the alarm", ALARM, "alarm 21 07:10"),
        ("push the reminder back by an hour", REMINDER, "call mom reminder 21 10:00"),
        ("take two minutes off the pizza timer", PIZZA, "pizza timer 8m"),
        ("make the pizza timer three minutes shorter", PIZZA, "pizza timer 7m"),
        ("make the alarm half an hour earlier", ALARM, "alarm 21 06:30"),
        ("pause the pizza timer", PIZZA, "pizza timer 10m paused"),
        ("hold the ten minute timer", PIZZA, "pizza timer 10m paused"),
        ("rename the pizza timer to lasagna", PIZZA, "lasagna timer 10m"),
        ("call the tea timer green tea", TEA, "green tea timer 5m"),
        ("rename the alarm to gym", ALARM, "gym alarm 21 07:00"),
        ("change the pizza timer to twenty minutes", PIZZA, "pizza timer 20m"),
        ("set the tea timer to six minutes", TEA, "tea timer 6m"),
        ("change my alarm to eight a m", ALARM, "alarm 21 08:00"),
        ("change my alarm to 7 pm", ALARM, "alarm 21 19:00"),
        ("move the alarm to monday", ALARM, "alarm 23 07:00"),
        ("make the alarm every day", ALARM, "alarm 21 07:00 daily"),
        ("move the reminder to noon", REMINDER, "call mom reminder 21 12:00"),
    ],
)
async def test_one_is_changed_and_undone(full: Talk, text: str, old: str, new: str) -> None:
    reply = await full.ask(text)
    assert {*full.state()} == changed(old, new), reply
    assert await full.says("undo that") == say("undone")
    assert full.state() == FILLED


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("cancel the pizza timer", [PIZZA]),
        ("cancel the five minute timer", [TEA]),
        ("delete the first timer", [TEA]),
        ("cancel the last timer", [PIZZA]),
        ("cancel the second timer", [PIZZA]),
        ("cancel my alarm", [ALARM]),
        ("cancel the 7 am alarm", [ALARM]),
        ("cancel the alarm for seven", [ALARM]),
        ("cancel tomorrow's alarm", [ALARM]),
        ("delete the reminder", [REMINDER]),
        ("delete the reminder to call mom", [REMINDER]),
        ("cancel the pizza timer and the tea timer", [PIZZA, TEA]),
        ("cancel the pizza and tea timers", [PIZZA, TEA]),
        ("cancel all timers", [PIZZA, TEA]),
        ("cancel both timers", [PIZZA, TEA]),
        ("cancel all timers but the pizza timer", [TEA]),
        ("cancel all timers except the five minute one", [PIZZA]),
        ("cancel all reminders", [REMINDER]),
        ("cancel pizza", [PIZZA]),
    ],
)
async def test_what_is_named_is_cancelled_and_undone(full: Talk, text: str, gone: list[str]) -> None:
    reply = await full.ask(text)
    assert full.state() == without(*gone), reply
    assert await full.says("no, that was wrong") == say("undone")
    assert full.state() == FILLED


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("cancel the 7 pm alarm", "No such alarm is set. There is: tomorrow at seven a m."),
        ("cancel the egg timer", "No such timer is set. There is: tea, five minutes left and pizza, "
         "ten minutes left."),
        ("cancel the third timer", "No such timer is set. There is: tea, five minutes left and pizza, "
         "ten minutes left."),
        ("cancel the alarm for half seven", say("half_hour")),
        ("cancel all alarms on sunday", "No such alarm is set. There is: tomorrow at seven a m."),
        ("cancel all timers but the egg timer", "No such timer is set. There is: tea, five minutes left "
         "and pizza, ten minutes left."),
        ("pause the alarm", say("only_timers_pause")),
        ("resume the pizza timer", "The pizza timer is not paused."),
        ("take an hour off the pizza timer", "Sorry, that did not work: the timer has only 600 s left."),
        ("cancel milk", "Nothing called milk is set."),
        ("snooze", say("nothing_rings")),
        ("stop the ringing alarm", say("nothing_rings")),
        ("undo that", say("nothing_to_undo")),
    ],
)  # fmt: skip
async def test_what_does_not_fit_changes_nothing_and_says_why(full: Talk, text: str, reply: str) -> None:
    assert await full.says(text) == reply
    assert full.state() == FILLED


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("cancel the timer", "You have two timers: tea, five minutes left and pizza, ten minutes left. "
         "Which one?"),
        ("cancel my timers", "Cancel two timers?"),
        ("cancel everything", "Cancel four things?"),
        ("add a minute to the timer", "You have two timers: tea, five minutes left and pizza, "
         "ten minutes left. Which one?"),
        ("extend the pizza timer", "By how long?"),
        ("change the pizza timer", "To how long?"),
        ("change my alarm", "To what time?"),
        ("change the alarm to half seven", "Do you mean seven thirty or six thirty?"),
    ],
)  # fmt: skip
async def test_what_is_open_is_asked(full: Talk, text: str, question: str) -> None:
    reply = await full.ask(text)
    assert (reply.text, reply.expects_answer) == (question, True)
    assert full.state() == FILLED


@pytest.mark.parametrize("text", ["cancel it", "delete that", "add a minute to it", "rename it to tea"])
async def test_nothing_is_it_before_something_was_said(full: Talk, text: str) -> None:
    await full.ask(text)
    assert full.state() == FILLED


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("cancel it", []),
        ("delete that one", []),
        ("add a minute to it", ["eggs timer 21m"]),
        ("make it ten minutes", ["eggs timer 10m"]),
        ("call it breakfast", ["breakfast timer 20m"]),
        ("pause it", ["eggs timer 20m paused"]),
        ("pause it // resume it", ["eggs timer 20m"]),
        ("no, fifteen minutes", ["eggs timer 15m"]),
        ("fifteen, not twenty", ["eggs timer 15m"]),
        ("that was wrong", []),
    ],
)
async def test_it_is_what_was_set_a_moment_ago(talk: Talk, text: str, last: list[str]) -> None:
    await talk.timer("pizza", 60)
    await talk.ask("set a twenty minute timer called eggs")
    reply = await talk.ask(text)
    assert {*talk.state()} == {*last, "pizza timer 1h"}, reply


async def test_a_date_says_which_one(talk: Talk) -> None:
    await talk.at("alarm", "2026-11-21 07:00")
    await talk.at("alarm", "2026-12-01 07:00")
    await talk.ask("cancel the alarm on the first")
    assert talk.state() == ["alarm 21 07:00"]


async def test_after_a_minute_nothing_is_undone(full: Talk) -> None:
    await full.ask("cancel the pizza timer")
    await full.clock.advance(61)
    assert await full.says("undo that") == say("nothing_to_undo")
    assert len(full.state()) == 3


async def test_undo_is_done_once(full: Talk) -> None:
    assert await full.says("cancel the alarm // undo // undo") == say("nothing_to_undo")
    assert full.state() == FILLED


async def test_the_two_halves_of_a_day_are_told_apart(talk: Talk) -> None:
    await talk.at("alarm", "2026-11-20 19:00", "news")
    await talk.at("alarm", "2026-11-21 07:00", "work")
    await talk.ask("cancel the 7 pm alarm")
    assert talk.state() == ["work alarm 21 07:00"]
    await talk.ask("undo // cancel the alarm in the morning")
    assert talk.state() == ["news alarm 20 19:00"]
    reply = await talk.ask("undo // cancel the alarm for seven")
    assert reply.expects_answer
    assert len(talk.state()) == 2


async def test_a_paused_timer_runs_on_where_it_stopped(full: Talk) -> None:
    await full.ask("pause the tea timer")
    await full.clock.advance(120)
    assert "tea timer 5m paused" in full.state()
    assert await full.says("resume the timer") == "Tea timer resumed, five minutes left."
    await full.clock.advance(30)
    assert "tea timer 4m30s" in full.state()


async def test_a_restarted_timer_runs_its_whole_length(full: Talk) -> None:
    await full.clock.advance(120)
    await full.ask("restart the tea timer from the beginning")
    assert "tea timer 5m" in full.state()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("snooze", "tea timer 10m"),
        ("snooze for five minutes", "tea timer 5m"),
        ("five more minutes", "tea timer 5m"),
        ("remind me again in twenty minutes", "tea timer 20m"),
        ("stop the timer", None),
        ("silence the timer", None),
        ("turn it off", None),
        ("never mind", None),
    ],
)
async def test_what_rings_is_put_off_or_silenced(talk: Talk, text: str, left: str | None) -> None:
    await talk.timer("pizza", 60)
    await talk.timer("tea", 1)
    await talk.clock.advance(61)
    assert "ringing" in talk.state()[0]
    reply = await talk.ask(text)
    assert talk.state() == [*([left] if left else []), "pizza timer 58m59s"], reply


async def test_what_is_next_and_left_is_said(full: Talk) -> None:
    assert await full.says("what is my next alarm") == "Next is your alarm, tomorrow at seven a m."
    assert await full.says("how much time is left on the pizza timer") == (
        "Ten minutes left on the pizza timer."
    )
    assert await full.says("what reminders do I have") == (
        "You have one reminder: call mom, tomorrow at nine a m."
    )
    assert full.state() == FILLED


async def test_no_list_is_longer_than_a_few(talk: Talk) -> None:
    for minutes in range(1, 8):
        await talk.timer("", minutes)
    assert await talk.says("list my timers") == (
        "You have seven timers: one minute left, two minutes left, three minutes left, four minutes left "
        "and three more."
    )
