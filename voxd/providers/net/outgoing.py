"""What becomes of every request before it is sent: the configured headers, and where a key may go at all."""

import uuid
from collections.abc import Mapping
from urllib.parse import urlsplit

from voxd.providers.net import faults
from voxd.providers.net.endpoint import is_near

_IN_CLEAR = frozenset({"http", "ws", "tcp"})


def dressed(headers: Mapping[str, str], configured: Mapping[str, str], *, wall_s: float) -> dict[str, str]:
    """Return ``headers`` with the configured ones, which win; {uuid} and {unix_s} of those are filled in."""
    names = {name.lower() for name in configured}
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return {**kept, **{name: _filled(value, wall_s) for name, value in configured.items()}}


def checked(provider: str, url: str) -> str:
    """Return ``url``. Raises `ProviderError` when it would send a key across the internet in clear."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise faults.misled(provider, "it is no URL") from None
    if parts.scheme in _IN_CLEAR and not is_near(parts.hostname or ""):
        raise faults.misled(provider, "the endpoint is not encrypted: write it as https:// or wss://")
    return url


def _filled(value: str, wall_s: float) -> str:
    return value.replace("{uuid}", str(uuid.uuid4())).replace("{unix_s}", str(int(wall_s)))
