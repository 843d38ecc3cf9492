"""The instructions for a deferred answer."""

import pytest

from voxd.providers.factory import ago, deferred_instructions


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "a moment ago"),
        (59.9, "a moment ago"),
        (60.0, "about 1 minute ago"),
        (3599.0, "about 59 minutes ago"),
        (3600.0, "about 1 hour ago"),
        (86_399.0, "about 23 hours ago"),
        (3 * 86_400.0, "about 3 days ago"),
    ],
)
def test_the_age_of_a_question_is_put_into_words(seconds: float, words: str) -> None:
    assert ago(seconds) == words
    assert words in deferred_instructions("Be brief.", seconds)


def test_the_persona_stays() -> None:
    assert deferred_instructions("Be brief.", 60.0).startswith("Be brief.\n\n")
