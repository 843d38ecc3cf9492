"""What ElevenLabs' stages share: error codes, authentication, TTS options and a free check of the quota."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from voxd.errors import AuthenticationError, ProviderError, RateLimited, StreamError
from voxd.net.endpoint import require_key
from voxd.net.faults import (
    BAD_KEY,
    BUSY,
    NO_CREDIT,
    NO_VOICE,
    TOO_LONG,
    ErrorMeaning,
    error_meaning,
    refusal_reader,
)
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.languages import code_of
from voxd.providers.pipeline.stages.contract import PipelineStage, TextToSpeech

ENDPOINT = "https://api.elevenlabs.io"

Share = Annotated[float, Meta(ge=0, le=1)]


NAMES: Mapping[str, ErrorMeaning] = {
    "invalid_api_key": BAD_KEY,
    # These two have status 401 too, but the key itself is valid.
    "quota_exceeded": NO_CREDIT,
    "missing_permissions": ErrorMeaning(
        "missing_permissions", AuthenticationError, hint="allow the key to use this service in its settings"
    ),
    "voice_not_found": NO_VOICE,
    "unsupported_model": ErrorMeaning("unsupported_model", hint="set the provider's model to another one"),
    "max_character_limit_exceeded": TOO_LONG,
    "too_many_concurrent_requests": ErrorMeaning(
        "too_many_concurrent", RateLimited, retryable=True, hint="lower max_concurrent of the provider"
    ),
    # Also status 429, but for the whole service: lowering our own concurrency would not help.
    "system_busy": BUSY,
}

refused = refusal_reader(NAMES)
"""Turns an HTTP error response of ElevenLabs into an error."""


def auth_headers(stage: PipelineStage, access: Access) -> dict[str, str]:
    """Return the authentication header. Raises `AuthenticationError` without a key."""
    return {"xi-api-key": require_key(stage.name, access.key)}


def tts_model(stage: TextToSpeech) -> str:
    """Return the model that speaks; a Scribe model is for the speech-to-text stage of the same provider."""
    model = stage.config.model
    return stage.default_model if not model or model.startswith("scribe") else model


def heeds_previous(model: str) -> bool:
    """Whether ``model`` accepts ``previous_text``; version 3 rejects the whole request (seen in 2026)."""
    return not model.startswith("eleven_v3")


def language_of(model: str, language: str) -> str:
    """Return the language code for a request, "" when the model detects the language itself."""
    return "" if "multilingual" in model else code_of(language)


class _Subscription(msgspec.Struct):
    character_count: int = 0
    character_limit: int = 0
    can_extend_character_limit: bool = False
    allowed_to_extend_character_limit: bool = False


async def check(stage: TextToSpeech, budget: Budget) -> None:
    """Request the state of the account. Raises `ProviderError`, also when its quota is used up."""

    def build(access: Access) -> HttpRequest:
        return HttpRequest("GET", stage.url_at(access, "/v1/user/subscription"), auth_headers(stage, access))

    try:
        async with stage.transport.request(build, budget, kind="check", read_refusal=refused) as answer:
            account = msgspec.convert(await answer.json(), _Subscription)
    except msgspec.ValidationError as error:
        raise StreamError(
            f"the vendor's response is invalid: {error}", provider=stage.name, code="bad_answer"
        ) from None
    except ProviderError as error:
        # A restricted key may not read the account, but it is valid.
        if error.code == "missing_permissions":
            return
        raise
    # Pay-as-you-go beyond the plan: the account is not empty at its limit.
    more = account.can_extend_character_limit and account.allowed_to_extend_character_limit
    if account.character_count >= account.character_limit and account.character_limit and not more:
        raise error_meaning(stage.name, NO_CREDIT, "the characters of the account are used up")
