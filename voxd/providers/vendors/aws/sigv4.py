"""AWS Signature Version 4, in a header or in a URL: pure functions of request, keys and time.

Both are byte-identical to botocore's for the same request (`tests/conformance/test_sigv4.py`).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from voxd.errors import AuthenticationError

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_S = 300
"""The longest lifetime of a presigned URL that Amazon Transcribe accepts."""

# A default port is not part of the ``Host`` header (RFC 9110, section 7.2), nor of the signature.
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_HINT = "set the provider's api_key to ACCESS_KEY_ID:SECRET_ACCESS_KEY, or ...:SESSION_TOKEN after it"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; ``token`` is the session token of temporary credentials, else ""."""

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one service of one region, such as "polly" in "eu-central-1"."""

    credentials: Credentials
    region: str
    service: str

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, at_s: float
    ) -> dict[str, str]:
        """Return ``headers`` with the signature headers added; ``at_s`` is seconds since 1970 UTC.

        All of ``headers`` are signed, so no proxy may change them. The query of ``url`` must be
        percent-encoded.
        """
        stamp = _stamp(at_s)
        added = {"X-Amz-Date": stamp}
        if self.credentials.token:
            added["X-Amz-Security-Token"] = self.credentials.token
        parts = urlsplit(url)
        signed = {**{name.lower(): value for name, value in {**headers, **added}.items()}, "host": _host(url)}
        # The canonical request has its parameters sorted, whatever their order in the URL.
        query = "&".join(sorted(parts.query.split("&")))
        signature = self._signature(
            method, parts.path, query, signed, hashlib.sha256(body).hexdigest(), stamp
        )
        added["Authorization"] = (
            f"{ALGORITHM} Credential={self.credentials.key_id}/{self._scope(stamp)}, "
            f"SignedHeaders={_names(signed)}, Signature={signature}"
        )
        return {**headers, **added}

    def url(self, url: str, at_s: float, *, expires_s: int = MAX_EXPIRES_S) -> str:
        """Return ``url`` with a signature in its query, valid for ``expires_s`` seconds after ``at_s``.

        It is for a GET request without a body, and signs only the header ``host``.
        """
        stamp = _stamp(at_s)
        parts = urlsplit(url)
        parameters = [
            *parse_qsl(parts.query, keep_blank_values=True),
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{self.credentials.key_id}/{self._scope(stamp)}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(expires_s)),
            ("X-Amz-SignedHeaders", "host"),
        ]
        if self.credentials.token:
            # Before signing: Transcribe includes the token in the signed query.
            parameters.append(("X-Amz-Security-Token", self.credentials.token))
        query = "&".join(sorted(f"{_escaped(name)}={_escaped(value)}" for name, value in parameters))
        # Transcribe signs an empty payload: the audio comes in frames, which need no signature of their
        # own.
        nothing = hashlib.sha256(b"").hexdigest()
        signature = self._signature("GET", parts.path, query, {"host": _host(url)}, nothing, stamp)
        return urlunsplit((*parts[:3], f"{query}&X-Amz-Signature={signature}", ""))

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"

    def _signature(
        self, method: str, path: str, query: str, headers: Mapping[str, str], digest: str, stamp: str
    ) -> str:
        # Headers in alphabetical order, with runs of spaces folded.
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
        request = (method, quote(path or "/", safe="/~"), query, *lines, "", _names(headers), digest)
        hashed = hashlib.sha256("\n".join(request).encode()).hexdigest()
        key = f"AWS4{self.credentials.secret}".encode()
        # The signing key is a chain of HMACs over date, region, service and "aws4_request".
        for part in self._scope(stamp).split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = "\n".join((ALGORITHM, stamp, self._scope(stamp), hashed))
        return hmac.digest(key, text.encode(), "sha256").hex()


def parse_credentials(provider: str, key: str) -> Credentials:
    """Read ``key``, "ID:SECRET" or "ID:SECRET:TOKEN". Raises `AuthenticationError` for any other form."""
    key_id, *rest = key.split(":", 2)
    if not key_id or not rest or not rest[0]:
        raise AuthenticationError(
            f"the api_key of {provider} is not an AWS key", provider=provider, hint=_HINT
        )
    return Credentials(key_id, rest[0], rest[1] if len(rest) == 2 else "")


def _stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    # Only the unreserved characters of RFC 3986 (section 2.3) stay as they are.
    return quote(text, safe="-_.~")


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))


def _host(url: str) -> str:
    """Return the ``Host`` header a client sends: with the port only when it is not the default."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    if parts.port == _DEFAULT_PORTS.get(parts.scheme):
        host = host.removesuffix(f":{parts.port}")
    return host
