"""What a vendor's refusal says about trying again, in its headers."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_S = 86_400.0
"""A longer wait is a mistake of the vendor's, and no different from this one to anybody."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the vendor asks us to wait, None if he does not say; at most a day.

    ``retry-after-ms`` counts before ``retry-after``, which is in seconds or a date (RFC 9110, section
    10.2.3). A date is compared with the vendor's own clock: a small device may not know the time yet.
    """
    millis = _number(headers.get("retry-after-ms", ""))
    if millis is not None:
        return _sane(millis / 1000)
    asked = headers.get("retry-after", "")
    seconds = _number(asked)
    if seconds is not None:
        return _sane(seconds)
    until_s = _date_s(asked)
    if until_s is None:
        return None
    now_s = _date_s(headers.get("date", ""))
    return _sane(until_s - (time.time() if now_s is None else now_s))


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what the vendor says himself of trying again (reference/providers.md, section 2)."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _sane(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_S)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _date_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
