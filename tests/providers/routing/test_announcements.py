import pytest

from voxd.providers.routing.announcements import KEPT, REASONS, UNREACHABLE, kept, notice, reason


@pytest.mark.parametrize(
    ("code", "who", "instead", "said"),
    [
        ("network_error", "cloud", "local", "I can't reach cloud, so I answer myself."),
        ("something_new", "cloud", "local", "I can't reach cloud, so I answer myself."),
        ("invalid_api_key", "open_ai", "big-brain", "Open ai does not accept my key, so big brain answers."),
        ("spend_limit", "cloud", "local", "Today's money for cloud is spent, so I answer myself."),
    ],
)
def test_who_fails_why_and_who_answers(code: str, who: str, instead: str, said: str) -> None:
    assert notice(code, who, instead) == said


def test_a_promise_has_its_reason() -> None:
    assert kept("timeout", "cloud") == (
        "Cloud does not answer. I have kept your question, and I will answer it later."
    )


def test_a_reason_that_was_just_told_is_not_told_again() -> None:
    assert reason("timeout", "cloud") == "Cloud does not answer."
    assert kept("timeout", "cloud", told=True) == KEPT


@pytest.mark.parametrize("words", [*REASONS.values(), UNREACHABLE])
def test_every_reason_names_who_fails(words: str) -> None:
    assert words.count("{who}") == 1
