"""The error tree: what a program may rely on."""

import json
import pickle
import traceback

import msgspec
import pytest

from voxd import errors
from voxd.errors import ProviderError, VoxdError

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VoxdError)]


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        ("RATE_LIMITED", errors.RateLimited),
        ("rate_limit", errors.RateLimited),
        ("Rate-Limit", errors.RateLimited),
        ("RATE_LIMIT_EXCEEDED", errors.RateLimited),
        ("INVALID_API_KEY", errors.AuthenticationError),
        ("NETWORK_ERROR", errors.ConnectionFailed),
        ("CONTEXT_TOO_LONG", errors.ContextTooLong),
        ("TIMEOUT", errors.DeadlineExceeded),
    ],
)
def test_a_code_is_equal_to_its_name_in_the_reference_texts(theirs: str, kind: type[VoxdError]) -> None:
    code = kind("no").code
    assert code == theirs
    assert theirs == code
    assert not code != theirs  # noqa: SIM202
    assert code in (theirs, "other")
    assert code not in ("other", "", None)
    assert code in {kind.code}
    assert {code: 1} == {str(code): 1}


@pytest.mark.parametrize("code", ["rate_limited", "timeout", "network_error"])
def test_a_code_that_is_passed_compares_as_that_of_a_class(code: str) -> None:
    error = ProviderError("no", code=code)
    assert error.code == code.upper()
    assert error.code != "internal"


def test_a_code_is_text_wherever_it_is_written() -> None:
    code = errors.RateLimited("slow down").code
    assert (f"{code}", str(code), "%s" % code) == ("rate_limited",) * 3  # noqa: UP031
    assert json.dumps({"code": code}) == '{"code": "rate_limited"}'
    assert msgspec.json.encode({"code": code}) == b'{"code":"rate_limited"}'
    assert pickle.loads(pickle.dumps(code)) is code


def test_a_traceback_shows_the_hint_once() -> None:
    try:
        raise errors.NotConnected("the engine is not connected")
    except errors.NotConnected as error:
        shown = traceback.format_exception(error)
    assert shown[-2:] == [
        "voxd.errors.NotConnected: the engine is not connected\n",
        "hint: await connect() first\n",
    ]
    assert not hasattr(VoxdError("no"), "__notes__")


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
