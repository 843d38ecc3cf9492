"""The sentences about an unavailable provider."""

import pytest

from voxd.providers.routing.announcements import (
    QUEUED,
    REASONS,
    UNREACHABLE,
    announce_failover,
    announce_queued,
    explain,
)


@pytest.mark.parametrize(
    ("code", "name", "instead", "said"),
    [
        ("network_error", "cloud", "local", "I can't reach cloud, so I answer myself."),
        ("something_new", "cloud", "local", "I can't reach cloud, so I answer myself."),
        ("invalid_api_key", "open_ai", "big-brain", "Open ai does not accept my key, so big brain answers."),
        ("spend_limit", "cloud", "local", "Cloud has reached today's spending limit, so I answer myself."),
    ],
)
def test_a_failover_is_announced_with_its_reason(code: str, name: str, instead: str, said: str) -> None:
    assert announce_failover(code, name, instead) == said


def test_the_promise_of_a_deferred_answer_has_its_reason() -> None:
    assert announce_queued("timeout", "cloud") == (
        "Cloud does not answer. I have kept your question, and I will answer it later."
    )


def test_a_reason_that_was_just_said_is_not_repeated() -> None:
    assert explain("timeout", "cloud") == "Cloud does not answer."
    assert announce_queued("timeout", "cloud", is_known=True) == QUEUED


@pytest.mark.parametrize("words", [*REASONS.values(), UNREACHABLE])
def test_every_reason_names_the_provider(words: str) -> None:
    assert words.count("{name}") == 1
