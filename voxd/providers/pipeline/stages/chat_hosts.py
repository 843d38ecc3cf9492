"""Tells OpenAI, Azure and all the servers that copy OpenAI apart, and says how each wants to be asked.

Facts: reference/providers.md, sections 2 and 7.
"""

from enum import StrEnum
from typing import Any

import msgspec

from voxd.net.endpoint import belongs_to, host_of, require_key
from voxd.net.transport import Access, HttpResponse
from voxd.providers.pipeline.stages.base_url import resource_url

_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")


class ChatHost(StrEnum):
    """Whose server it is."""

    OPENAI = "openai"
    AZURE = "azure"
    OTHER = "other"


class HostOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``auth``: how the key is told, "bearer" or "api-key"; "" for what is usual there."""

    auth: str = ""
    organization: str = ""
    project: str = ""


class ModelRow(msgspec.Struct, frozen=True):
    """A model that is there; ``shutdown_date`` is YYYY-MM-DD, None while none is announced."""

    id: str
    shutdown_date: str | None = None


class _Models(msgspec.Struct):
    data: list[ModelRow]


def host_at(endpoint: str) -> ChatHost:
    """Return whose server is at ``endpoint``; OpenAI has several regions."""
    if belongs_to(endpoint, "api.openai.com"):
        return ChatHost.OPENAI
    return ChatHost.AZURE if host_of(endpoint).endswith(_AZURE) else ChatHost.OTHER


def chat_url(provider: str, endpoint: str, path: str, written: str) -> str:
    """Return the URL of ``path`` at ``endpoint``, of which often only the host is told."""
    prefix = "/openai/v1" if host_at(endpoint) is ChatHost.AZURE else "/v1"
    return resource_url(provider, endpoint, path, prefix=prefix, written=written)


def chat_headers(provider: str, access: Access, options: HostOptions) -> dict[str, str]:
    """Return the headers of a request. Raises `AuthenticationError` when a key that is needed is missing."""
    host = host_at(access.endpoint)
    headers = {}
    if access.key or host is not ChatHost.OTHER:
        key = require_key(provider, access.key)
        auth = options.auth or ("api-key" if host is ChatHost.AZURE else "bearer")
        headers = {"api-key": key} if auth == "api-key" else {"Authorization": f"Bearer {key}"}
    if options.organization:
        headers["OpenAI-Organization"] = options.organization
    if options.project:
        headers["OpenAI-Project"] = options.project
    return headers


async def parse_models(answer: HttpResponse) -> list[ModelRow] | None:
    """Return the rows of ``answer``, None when it is no list of models."""
    said: Any = await answer.json()
    try:
        return msgspec.convert(said, _Models).data
    except msgspec.ValidationError:
        return None
