"""Settings as vendors of live transcription want them: in the query of the socket's URL."""

from collections.abc import Iterable
from typing import Any

import msgspec


def query_options(options: msgspec.Struct) -> dict[str, Any]:
    """Return the options that are set, as a URL has them: ``true`` and ``false`` in small letters."""
    told = {name: getattr(options, name) for name in options.__struct_fields__}
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in told.items()
        if value is not None
    }


def select_terms(*lists: Iterable[str], most: int, longest: int = 100) -> list[str]:
    """Return the words that are likely, each once, as many and as long as the vendor takes them."""
    found = dict.fromkeys(term.strip() for select_terms in lists for term in select_terms)
    return [term for term in found if 0 < len(term) <= longest][:most]
