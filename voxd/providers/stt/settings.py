"""Settings as vendors of live transcription want them: in the query of the socket's URL."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from voxd.errors import ConfigError
from voxd.providers.net import faults
from voxd.providers.net.endpoint import socket_url

_PLAIN = {"ws": "http", "wss": "https"}


def live_url(provider: str, endpoint: str, path: str, query: Mapping[str, Any]) -> str:
    """Return the URL of the socket at ``path``; a list in ``query`` is a parameter that is repeated.

    Raises `ProviderError` when ``endpoint`` is no URL.
    """
    try:
        url = socket_url(endpoint, {}, path=path)
    except ConfigError as error:
        raise faults.misled(provider, str(error)) from None
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query, doseq=True)}"


def site_url(endpoint: str, live_path: str, path: str) -> str:
    """Return the URL of ``path`` beside ``live_path``, for a question by HTTP."""
    parts = urlsplit(endpoint)
    base = parts.path.rstrip("/").removesuffix(live_path)
    return urlunsplit((_PLAIN.get(parts.scheme, parts.scheme), parts.netloc, f"{base}{path}", "", ""))


def chosen(options: msgspec.Struct) -> dict[str, Any]:
    """Return the options that are set, as a URL has them: ``true`` and ``false`` in small letters."""
    told = {name: getattr(options, name) for name in options.__struct_fields__}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in told.items()
        if value is not None
    }


def terms(*lists: Iterable[str], most: int, longest: int = 100) -> list[str]:
    """Return the words that are likely, each once, as many and as long as the vendor takes them."""
    found = dict.fromkeys(term.strip() for terms in lists for term in terms)
    return [term for term in found if 0 < len(term) <= longest][:most]
