"""A mistake is told by its kind and place, and never by what was said."""

from voxd.providers.mistakes import mistake


def test_the_kind_and_the_place_are_told_and_nothing_else() -> None:
    words: dict[str, int] = {}
    try:
        words["my secret"]
    except KeyError as error:
        told = mistake(error)
    assert told.startswith("KeyError in test_mistakes.py, line ")
    assert "secret" not in told


def test_a_mistake_that_was_never_raised_has_no_place() -> None:
    assert mistake(ValueError("my secret")) == "ValueError"
