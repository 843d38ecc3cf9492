"""The error tree: what a program may rely on."""

import pytest

from voxd import errors
from voxd.errors import ProviderError, VoxdError

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VoxdError)]


@pytest.mark.parametrize(
    ("theirs", "kind", "retryable"),
    [
        ("RATE_LIMITED", errors.RateLimited, True),
        ("INVALID_API_KEY", errors.AuthenticationError, False),
        ("NETWORK_ERROR", errors.ConnectionFailed, True),
        ("CONTEXT_TOO_LONG", errors.ContextTooLong, False),
    ],
)
def test_a_code_of_the_reference_text_is_ours_in_lower_case(
    theirs: str, kind: type[ProviderError], retryable: bool
) -> None:
    error = kind("no")
    assert (error.code, error.retryable) == (theirs.lower(), retryable)
    assert f"{theirs} " in str(errors.__doc__)


def test_catching_provider_error_catches_each_of_its_kinds() -> None:
    kinds = {kind for kind in CLASSES if issubclass(kind, ProviderError)}
    assert {kind.code for kind in kinds} == {
        "provider_unavailable",
        "invalid_api_key",
        "rate_limited",
        "network_error",
        "not_connected",
        "stream_failed",
        "empty_answer",
        "context_too_long",
        "spend_limit",
    }


def test_a_fault_names_its_provider_and_how_long_to_wait() -> None:
    error = errors.RateLimited("slow down", provider="gemini", retry_after_s=2.5)
    assert (str(error), error.provider, error.retry_after_s) == ("slow down", "gemini", 2.5)
    assert (ProviderError("no").provider, ProviderError("no").retry_after_s) == ("", None)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_code_and_a_hint_can_be_more_exact_than_the_class(kind: type[VoxdError]) -> None:
    plain, exact = kind("it broke"), kind("it broke", code="special", hint="mend it")
    assert (plain.code, plain.hint, str(plain)) == (kind.code, kind.hint, "it broke")
    assert (exact.code, exact.hint, exact.retryable) == ("special", "mend it", kind.retryable)


def test_every_class_has_a_code_of_its_own_and_a_row_in_the_tree() -> None:
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)
    for kind in set(CLASSES) - {VoxdError}:
        assert f"{kind.__name__} " in str(errors.__doc__)
        assert kind.code in str(errors.__doc__)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.ProviderError("no such key", provider="mind"), "mind: no such key"),
        (errors.ProviderError("mind said nothing", provider="mind"), "mind said nothing"),
        (errors.ProviderError("no such key"), "no such key"),
        (errors.AudioError("too short"), "too short"),
    ],
)
def test_a_message_names_whose_fault_it_is_once(error: errors.VoxdError, said: str) -> None:
    assert errors.named(error) == said
