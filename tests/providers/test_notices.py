import pytest

from voxd.providers.notices import REASONS, UNREACHABLE, kept, notice


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


@pytest.mark.parametrize("reason", [*REASONS.values(), UNREACHABLE])
def test_every_reason_names_who_fails(reason: str) -> None:
    assert reason.count("{who}") == 1
