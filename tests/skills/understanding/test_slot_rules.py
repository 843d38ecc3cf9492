"""Free words take nothing that has a meaning of its own."""

import pytest

from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.slot_rules import MAX_NAME_WORDS, MAX_REFERENCE_WORDS, Fit, fit_wildcard
from voxd.skills.understanding.slots import find_spans, mark
from voxd.skills.understanding.speech import load_speech


def fit(slot: str, text: str) -> Fit:
    said = text.split()
    marked = mark(said, find_spans(said, load_language(), load_speech()))
    return fit_wildcard(slot, marked.words, marked.spans, load_language(), load_speech())


@pytest.mark.parametrize(
    "name", ["pizza", "green tea", "jürgen müller", "hard boiled eggs", "mac and cheese", "zoë's cake"]
)
def test_names(name: str) -> None:
    assert fit("name", name) is Fit.GOOD
    assert fit("ref", name) is Fit.GOOD


@pytest.mark.parametrize(
    "name",
    [
        "to the",
        "timer and a ten minute",
        "five minutes",
        "seven",
        "twenty",
        "every day",
        "daily",
        "tomorrow",
        "weekdays",
        "and cake",
        "cake and",
        "pizza to",
        "all",
        "cancel",
        "not pizza",
        "so",
        " ".join(["cake"] * (MAX_NAME_WORDS + 1)),
        "",
    ],
)
def test_no_names(name: str) -> None:
    assert fit("name", name) is Fit.NONE


@pytest.mark.parametrize(
    "reference",
    [
        "the pizza",
        "all of them",
        "pizza and",
        "and pizza",
        "two pizzas",
        "five minutes",
        "second",
        "pizza timer",
        "pizza not tea",
        "volume",
        "music",
        " ".join(["cake"] * (MAX_REFERENCE_WORDS + 1)),
    ],
)
def test_what_names_nothing_that_is_set(reference: str) -> None:
    assert fit("ref", reference) is Fit.NONE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call mom", Fit.GOOD),
        ("feed the two cats", Fit.GOOD),
        ("buy milk and eggs", Fit.GOOD),
        ("take out the bins before bed", Fit.GOOD),
        # Part of it may be a time, a second request or a correction.
        ("call mom tomorrow at seven", Fit.DOUBTFUL),
        ("take my daily pills", Fit.DOUBTFUL),
        ("set the alarm", Fit.DOUBTFUL),
        ("call mom no wait dad", Fit.DOUBTFUL),
        # No clock knows when that is.
        ("call mom when i get home", Fit.NONE),
        ("water the plants if it is dry", Fit.NONE),
        ("to call mom", Fit.NONE),
        ("every single thing", Fit.NONE),
        ("at home", Fit.NONE),
        ("", Fit.NONE),
    ],
)
def test_texts_of_reminders(text: str, expected: Fit) -> None:
    assert fit("text", text) is expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("new york", Fit.GOOD),
        ("the living room", Fit.GOOD),
        ("new york tomorrow at seven", Fit.NONE),
        ("a place with far too long a name", Fit.NONE),
    ],
)
def test_places(place: str, expected: Fit) -> None:
    assert fit("place", place) is expected


def test_slots_of_the_owner_take_any_words() -> None:
    assert fit("what", "cancel all timers at seven") is Fit.GOOD
