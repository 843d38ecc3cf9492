"""What vendors say when they refuse, in whichever of their shapes, as an error that says what to do."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from voxd.errors import AuthenticationError, ConnectionFailed, ProviderError, RateLimited
from voxd.net import faults
from voxd.net.faults import RefusalReader

_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """What a vendor's name for a refusal is to us."""

    code: str
    kind: type[ProviderError] = ProviderError
    retryable: bool = False
    hint: str = ""


NO_CREDIT = ErrorMeaning("insufficient_quota", hint="add credit to the account at the vendor's console")
BAD_KEY = ErrorMeaning(AuthenticationError.code, AuthenticationError)
NO_VOICE = ErrorMeaning("voice_not_found", hint="set the provider's voice to one the account may use")
TOO_LONG = ErrorMeaning("text_too_long", hint="report this: voxd cuts texts before they are spoken")
SLOW_DOWN = ErrorMeaning(RateLimited.code, RateLimited, retryable=True)
BUSY = ErrorMeaning("overloaded", ConnectionFailed, retryable=True, hint="wait: the vendor is overloaded")


class _Detail(msgspec.Struct):
    status: str | int | None = None
    code: str | int | None = None
    message: str | None = None
    msg: str | None = None


class _Body(msgspec.Struct):
    """The fields of a refusal that any of our vendors uses; no vendor uses many."""

    detail: _Detail | list[_Detail] | str | None = None
    error: _Detail | str | None = None
    err_code: str | None = None
    err_msg: str | None = None
    category: str | None = None
    code: str | int | None = None
    message: str | None = None
    Message: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as the vendor names and words it; "" where he does not."""

    name: str = ""
    message: str = ""


def parse_refusal(headers: Mapping[str, str], body: bytes) -> Refusal:
    """Return what a refusal says; one that says nothing we can read says nothing."""
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _Body()
    amazons = headers.get("x-amzn-errortype", "").partition(":")[0]
    detail = found.detail if found.detail else found.error
    if isinstance(detail, list):
        detail = detail[0]
    if isinstance(detail, str):
        # The name alone, as in a frame of ElevenLabs, or a sentence, as of FastAPI.
        one_word = detail.replace("_", "").isalnum()
        detail = _Detail(code=detail) if one_word else _Detail(message=detail)
    detail = detail or _Detail()
    names = (amazons, detail.status, detail.code, found.err_code, found.category, found.code)
    messages = (detail.message, detail.msg, found.err_msg, found.message, found.Message)
    name = next((each for each in names if isinstance(each, str) and each), "")
    return Refusal(name, next((each for each in messages if each), ""))


def refusal_reader(table: Mapping[str, ErrorMeaning]) -> RefusalReader:
    """Return what reads the refusals of a vendor whose names for them are in ``table``.

    A refusal with another name means what its HTTP status means.
    """

    def read(provider: str, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError:
        told = parse_refusal(headers, body)
        error = {"code": told.name, "message": told.message or None}
        plain = faults.error_for_refusal(provider, status, headers, msgspec.json.encode({"error": error}))
        if told.name not in table:
            return plain
        return error_meaning(provider, table[told.name], str(plain), retry_after_s=plain.retry_after_s)

    return read


def error_meaning(
    provider: str, means: ErrorMeaning, message: str, *, retry_after_s: float | None = None
) -> ProviderError:
    """Return the error for what a vendor means."""
    error = means.kind(
        message[:_MAX_TEXT], provider=provider, code=means.code, hint=means.hint, retry_after_s=retry_after_s
    )
    error.retryable = means.retryable
    return error
