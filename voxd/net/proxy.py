"""The configured HTTP proxy, checked before the first connection."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from voxd.errors import ProviderError
from voxd.net import faults

_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that speaks HTTP; ``account`` is "name:password@" or ""."""

    scheme: str
    host: str
    port: int
    account: str = field(default="", repr=False)

    def url(self, host: str) -> str:
        """Return its URL, with the address ``host`` in the place of its name."""
        return f"{self.scheme}://{self.account}{f'[{host}]' if ':' in host else host}:{self.port}"


def proxy_of(provider: str, url: str) -> Proxy:
    """Return the proxy at ``url``. Raises `ProviderError`; its text does not repeat what may be a password.

    Proxies that speak SOCKS are not supported: both libraries would need another one for them.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _unusable(provider) from None
    account, _, _ = parts.netloc.rpartition("@")
    whole = not account or parts.password is not None
    if parts.scheme not in _USUAL_PORTS or not parts.hostname or parts.path.strip("/") or not whole:
        raise _unusable(provider)
    return Proxy(
        parts.scheme, parts.hostname, port or _USUAL_PORTS[parts.scheme], f"{account}@" if account else ""
    )


def _unusable(provider: str) -> ProviderError:
    error = faults.bad_endpoint(provider, "the proxy is not an address like http://host:port")
    error.hint = "correct options.proxy of the provider in the configuration"
    return error
