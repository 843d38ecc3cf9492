"""How long a vendor asks us to wait, from the headers, the body and the words of its refusal; pure functions.

`requested_wait_s` is the one place that knows the forms: those of RFC 9110, section 10.2.3 (``retry-after``),
OpenAI, Azure and Groq (``retry-after-ms``, ``x-ratelimit-reset-*``), Anthropic
(``anthropic-ratelimit-*-reset``), Google (``google.rpc.RetryInfo``), Hugging Face (``estimated_time``) and of
the IETF's draft of ``ratelimit``.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from voxd.json_text import json_or

# A longer wait is taken for a mistake of the vendor and cut to a day.
MAX_RETRY_AFTER_S = 86_400.0

# A number above it is a moment in seconds since 1970, above the second one in milliseconds.
_EPOCH_S = 1e9
_EPOCH_MS = 1e11

# Nested deeper, or longer, it is not a refusal.
_MAX_DEPTH = 8
_MAX_BODY_BYTES = 65_536

_UNITS_S: Mapping[str, float] = MappingProxyType(
    {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
)
_UNIT = (
    r"ms|msecs?|millis(?:econds?)?|milliseconds?|us|µs|μs|microseconds?|ns|nanoseconds?"
    r"|d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?"
)
_NUMBER = r"\d+(?:\.\d+)?|\.\d+"
_PART = re.compile(rf"({_NUMBER})\s*({_UNIT})(?![a-zµμ])", re.IGNORECASE)
_DURATION = rf"(?:(?:{_NUMBER})\s*(?:{_UNIT})(?![a-zµμ])\s*(?:,\s*)?(?:and\s+)?)+"
_WHOLE_DURATION = re.compile(rf"\s*{_DURATION}\s*", re.IGNORECASE)
# "Please try again in 6m0s.", "Please retry after 20 seconds.", "Please wait 10 seconds", "Expected available
# in 42 seconds.", "Your quota will reset after 2h7m23s."
_IN_TEXT = re.compile(
    r"\b(?:again|retry|retrying|wait|available|resets?)\b(?:\s+(?:your\s+request|the\s+request|again))?"
    rf"(?:\s+(?:in|after|for))?(?:\s+(?:about|approximately|at\s+least|another))?[\s:~]*({_DURATION})",
    re.IGNORECASE,
)

_RESET_NAME = re.compile(r"(?:[\w-]+-)?rate-?limit-(?:[\w-]+-)?reset(?:-[\w-]+)?")
# ``"default";r=0;t=50`` and ``limit=100, remaining=0, reset=50``: two drafts of ``ratelimit``.
_DRAFT_RESET = re.compile(r"\b(?:t|reset)\s*=\s*(\d+)")

# Entries of a JSON body, without "_" and "-", in lower case, and the seconds of one of their units.
_BODY_NAMES: Mapping[str, float] = MappingProxyType(
    {
        "retrydelay": 1.0,
        "quotaresetdelay": 1.0,
        "retryafter": 1.0,
        "retryafterseconds": 1.0,
        "retryafters": 1.0,
        "retryafterms": 1e-3,
        "retryin": 1.0,
        "estimatedtime": 1.0,
    }
)


def requested_wait_s(headers: Mapping[str, str], body: bytes = b"") -> float | None:
    """Return how many seconds a refusal asks us to wait, None if it does not say; at most a day.

    The names of ``headers`` are lower case. What states the wait counts before what lets it be computed.
    """
    found = [
        wait
        for wait in (
            retry_after_s(headers),
            _in_body(body),
            wait_in_text(body[:_MAX_BODY_BYTES].decode(errors="replace")),
            _by_resets(headers),
        )
        if wait is not None
    ]
    # A zero says "not now" and no more: any other statement is more exact.
    return next((wait for wait in found if wait > 0), found[0] if found else None)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the wait in ``retry-after-ms`` or else ``retry-after``, None without; at most a day."""
    # OpenAI and Azure send the finer one beside the other; their own clients prefer it too.
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        millis = _number(headers.get(name, ""))
        if millis is not None:
            return _clamp(millis / 1000)
    for name in ("retry-after", "x-retry-after", "x-ratelimit-retry-after"):
        value = headers.get(name, "")
        seconds = _number(value)
        if seconds is None:
            # Not in the RFC: gateways written in Go print their own durations, such as "1.5s".
            seconds = duration_s(value)
        if seconds is None and (moment_s := _moment_s(value)) is not None:
            seconds = moment_s - _now_s(headers)
        if seconds is not None:
            return _clamp(seconds)
    return None


def wait_in_text(text: str) -> float | None:
    """Return the wait that a message for people states, such as "try again in 1.2s"; None without."""
    found = _IN_TEXT.search(text)
    return None if found is None else _clamp(_sum_s(found[1]))


def duration_s(text: str) -> float | None:
    """Return a duration such as "6m0s", "250ms", "45.8s" or "2 minutes" in seconds, None for other texts."""
    return _sum_s(text) if _WHOLE_DURATION.fullmatch(text) else None


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the vendor's verdict on a retry (``x-should-retry`` of OpenAI and Anthropic), None without."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _in_body(body: bytes) -> float | None:
    content = json_or(body, None) if len(body) <= _MAX_BODY_BYTES else None
    waits = (_of_entry(name, value) for name, value in _entries(content, _MAX_DEPTH))
    return next((wait for wait in waits if wait is not None), None)


def _entries(content: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield every entry of nested JSON: a list around the error (Google), its details, its metadata."""
    inner: list[Any] = []
    if isinstance(content, Mapping):
        yield from content.items()
        inner = list(content.values())
    elif isinstance(content, list):
        inner = content
    for each in inner if depth else ():
        yield from _entries(each, depth - 1)


def _of_entry(name: str, value: Any) -> float | None:
    # Proxies, such as OpenRouter, pass on the headers of the vendor behind them.
    if name == "headers" and isinstance(value, Mapping):
        headers = {str(each).lower(): str(text) for each, text in value.items()}
        return requested_wait_s(headers)
    unit_s = _BODY_NAMES.get(name.replace("_", "").replace("-", "").lower())
    if unit_s is None or isinstance(value, bool):
        return None
    # A protobuf duration that was printed by its fields.
    if isinstance(value, Mapping):
        parts = [value.get("seconds", 0), value.get("nanos", 0)]
        numbers = [_number(str(each)) for each in parts]
        return None if None in numbers else _clamp((numbers[0] or 0.0) + (numbers[1] or 0.0) / 1e9)
    number = _number(str(value))
    if number is not None:
        return _clamp(number * unit_s)
    seconds = duration_s(value) if isinstance(value, str) else None
    return None if seconds is None else _clamp(seconds)


def _by_resets(headers: Mapping[str, str]) -> float | None:
    """Return when the limit that is used up starts anew, by the headers that count each limit."""
    used_up: list[tuple[float, float]] = []
    for name in filter(_RESET_NAME.fullmatch, headers):
        wait = _reset_s(headers[name], headers)
        if wait is not None:
            left = _number(headers.get(name.replace("reset", "remaining"), ""))
            limit = _number(headers.get(name.replace("reset", "limit"), ""))
            # A refused request may be larger than what is left: then the scarcest limit has refused it.
            used_up.append((1.0 if left is None else max(left, 0.0) / (limit or max(left, 1.0)), wait))
    drafts = [float(each) for each in _DRAFT_RESET.findall(headers.get("ratelimit", ""))]
    used_up += [(0.0, each) for each in drafts]
    least = min((share for share, _ in used_up), default=0.0)
    return max((_clamp(wait) for share, wait in used_up if share == least), default=None)


def _reset_s(value: str, headers: Mapping[str, str]) -> float | None:
    number = _number(value)
    if number is None:
        seconds = duration_s(value)
        moment_s = _moment_s(value) if seconds is None else None
        return seconds if moment_s is None else moment_s - _now_s(headers)
    if number < _EPOCH_S:
        return number
    return (number / 1000 if number >= _EPOCH_MS else number) - _now_s(headers)


def _now_s(headers: Mapping[str, str]) -> float:
    # The vendor's own `date`: a Pi has no battery-backed clock and may not know the time yet.
    now_s = _moment_s(headers.get("date", ""))
    return time.time() if now_s is None else now_s


def _moment_s(text: str) -> float | None:
    """Return an HTTP date or one of RFC 3339 in seconds since 1970."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _sum_s(text: str) -> float:
    return sum(float(number) * _UNITS_S[_unit(unit)] for number, unit in _PART.findall(text))


def _unit(name: str) -> str:
    name = name.lower()
    for begins, unit in (("ms", "ms"), ("mil", "ms"), ("us", "us"), ("mic", "us"), ("n", "ns")):
        if name.startswith(begins):
            return unit
    return "us" if name[0] in "µμ" else name[0]


def _clamp(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    # `float` accepts "nan", which would compare as neither too long nor too short.
    return None if math.isnan(number) else number
