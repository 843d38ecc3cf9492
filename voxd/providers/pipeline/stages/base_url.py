"""Where a vendor's resources are, from an endpoint as people write it."""

from urllib.parse import urlsplit, urlunsplit

from voxd.net import faults


def resource_url(provider: str, endpoint: str, path: str, *, prefix: str = "", written: str = "") -> str:
    """Return the URL of ``path`` at ``endpoint``.

    ``prefix`` stands between an endpoint that names a host only and ``path``; an endpoint that already ends
    with ``written``, the resource people copy from a manual, loses it first. A query is kept. Raises
    `ProviderError` when the endpoint is no URL; its text does not repeat it, for it may hold a key.
    """
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise faults.bad_endpoint(provider, "the endpoint is no URL")
    base = parts.path.rstrip("/")
    if written:
        base = base.removesuffix(written)
    return urlunsplit((parts.scheme, parts.netloc, f"{base or prefix}{path}", parts.query, ""))
