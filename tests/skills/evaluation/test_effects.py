"""What changed between two states, as effects."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.skills.evaluation.effects import (
    Changes,
    DeviceState,
    Effect,
    Item,
    duration_text,
    effect_text,
    find_changes,
    read_duration,
    read_repeat,
    repeat_text,
)

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
NOW_S = round(NOW.timestamp())
DAY_S = 86_400
PIZZA = Item("timer", "pizza", NOW_S + 600)
GYM = Item("alarm", "gym", NOW_S + 21 * 3600, repeat="weekdays")
RINGS = Item("timer", "", NOW_S, ringing=True)
BEFORE = DeviceState({1: PIZZA, 2: GYM}, volume=50, mic_open=True)
LABELS = {1: "p", 2: "a"}


def changes(before: DeviceState, after: DeviceState) -> Changes:
    return find_changes(before, after, LABELS, UTC)


def with_item(id: int, item: Item) -> DeviceState:
    return replace(BEFORE, items={**BEFORE.items, id: item})


@pytest.mark.parametrize(
    ("after", "effects"),
    [
        (BEFORE, []),
        (with_item(3, Item("timer", "tea", NOW_S + 60)), [Effect("timer.set", "", NOW_S + 60, "tea")]),
        (
            with_item(3, Item("reminder", "call mom", NOW_S + 60, repeat="daily")),
            [Effect("reminder.set", "", NOW_S + 60, "call mom", "daily")],
        ),
        (replace(BEFORE, items={2: GYM}), [Effect("cancel", "p")]),
        # Undone: it is there again, under another number.
        (replace(BEFORE, items={2: GYM, 9: PIZZA}), []),
        (with_item(1, replace(PIZZA, due_s=NOW_S + 900)), [Effect("change", "p", NOW_S + 900)]),
        (with_item(1, replace(PIZZA, paused=True)), [Effect("pause", "p")]),
        (with_item(1, replace(PIZZA, name="pasta")), [Effect("rename", "p", name="pasta")]),
        (with_item(2, replace(GYM, repeat="")), [Effect("change", "a", repeat="none")]),
        (
            with_item(2, replace(GYM, repeat="daily", due_s=GYM.due_s + 3600)),
            [Effect("change", "a", GYM.due_s + 3600), Effect("change", "a", repeat="daily")],
        ),
        (replace(BEFORE, volume=30), [Effect("volume", level=30)]),
        (replace(BEFORE, volume=0), [Effect("sound off")]),
        (replace(BEFORE, mic_open=False), [Effect("mic off")]),
        (replace(BEFORE, stops=1), [Effect("stop")]),
    ],
)
def test_each_change_is_one_effect(after: DeviceState, effects: list[Effect]) -> None:
    assert [*changes(BEFORE, after).effects] == effects


def test_other_days_move_the_next_occurrence_without_being_asked_to() -> None:
    after = with_item(2, replace(GYM, repeat="weekends", due_s=GYM.due_s + 4 * DAY_S))
    found = changes(BEFORE, after)
    assert found.effects == (Effect("change", "a", repeat="weekends"),)
    assert Effect("change", "a", GYM.due_s + 4 * DAY_S) in found.implied


@pytest.mark.parametrize(
    ("before", "after", "effects"),
    [
        (RINGS, None, [Effect("silence", "p")]),
        (RINGS, Item("timer", "", NOW_S + 300), [Effect("snooze", "p", NOW_S + 300)]),
        (replace(RINGS, repeat="daily"), None, [Effect("cancel", "p")]),
        (replace(RINGS, repeat="daily"), Item("timer", "", NOW_S + DAY_S, "daily"), [Effect("silence", "p")]),
        (
            replace(RINGS, repeat="daily"),
            Item("timer", "", NOW_S + 300, "daily"),
            [Effect("snooze", "p", NOW_S + 300)],
        ),
        (
            replace(RINGS, repeat="every:2h"),
            Item("timer", "", NOW_S + 7200, "every:2h"),
            [Effect("silence", "p")],
        ),
    ],
)
def test_what_rings_is_silenced_snoozed_or_gone(
    before: Item, after: Item | None, effects: list[Effect]
) -> None:
    # The call that stops it is no effect of its own.
    left = DeviceState({1: after} if after else {}, 50, True, stops=1)
    assert [*changes(DeviceState({1: before}, 50, True), left).effects] == effects


def test_a_volume_set_to_what_it_was_is_implied() -> None:
    found = changes(BEFORE, replace(BEFORE, volume_sets=1))
    assert (found.effects, found.implied[-1]) == ((), Effect("volume", level=50))


def test_the_time_of_day_is_local() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    saturday, sunday = (datetime(2026, 10, day, 7, 0, tzinfo=berlin) for day in (24, 25))
    before = DeviceState({2: Item("alarm", "", round(saturday.timestamp()), "weekdays")}, 50, True)
    after = DeviceState({2: Item("alarm", "", round(sunday.timestamp()), "sun")}, 50, True)
    assert find_changes(before, after, LABELS, berlin).effects == (Effect("change", "a", repeat="sun"),)


@given(st.integers(1, 10 * DAY_S))
def test_a_duration_is_read_as_it_is_written(seconds: int) -> None:
    assert read_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "1m1h", "-5m", "five"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("daily", "daily"),
        ("mon,tue,wed,thu,fri", "weekdays"),
        ("sun,sat", "weekends"),
        ("thu,mon", "mon,thu"),
        ("2w:fri", "2w:fri"),
        ("monthly:31", "monthly:31"),
        ("every:120m", "every:2h"),
    ],
)
def test_a_repeat_has_one_spelling(text: str, canonical: str) -> None:
    assert repeat_text(read_repeat(text)) == canonical


@pytest.mark.parametrize("text", ["", "sometimes", "mon,", "monthly:x", "every:", "w:fri"])
def test_what_is_no_repeat_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        read_repeat(text)


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        (Effect("timer.set", "", NOW_S + 5400, "tea"), 'timer.set 1h30m name="tea"'),
        (
            Effect("reminder.set", "", NOW_S + DAY_S, "call mom", "daily"),
            'reminder.set 2026-12-01T10:00 repeat=daily text="call mom"',
        ),
        (Effect("change", "p", NOW_S + 60), "change p at=2026-11-30T10:01 (left=1m)"),
        (Effect("snooze", "a", NOW_S + 600), "snooze a 10m"),
        (Effect("rename", "p", name="tea"), "rename p tea"),
        (Effect("volume", level=40), "volume 40"),
        (Effect("sound off"), "sound off"),
    ],
)
def test_an_effect_is_shown_as_a_file_has_it(effect: Effect, text: str) -> None:
    assert effect_text(effect, NOW) == text
