"""Numbers in another unit or spelling than the key has: percent, milliseconds, "5 s", decimal commas."""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

_NUMBER = re.compile(r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+))\s*([a-z%µ]*)\.?", re.IGNORECASE)
_SECONDS: Mapping[str, float] = MappingProxyType(
    {"ms": 0.001, "msec": 0.001, "millis": 0.001, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1}
    | {"m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour": 3600}
    | {"hours": 3600, "d": 86_400, "day": 86_400, "days": 86_400}
)
# Written in the unit of the key already.
_SAME = ("", "%", "percent", "mb", "mib", "hz", "db", "usd", "gpio", "pin")


def meant_number(value: Any, key: str, fits: Callable[[float], bool]) -> float | None:
    """Return the number that ``value`` of ``key`` probably means and that ``fits``; None for none."""
    for candidate in _candidates(value, key.rpartition("_")[2]):
        number = int(candidate) if candidate == int(candidate) else float(f"{candidate:.6g}")
        if fits(number):
            return number
    return None


def _candidates(value: Any, unit: str) -> Iterator[float]:
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value.strip().strip("$€£").strip())
        if found is None:
            return
        number, written = float(found[1].replace(",", ".")), found[2].casefold()
        if written in _SECONDS and unit in _SECONDS:
            yield number * _SECONDS[written] / _SECONDS[unit]
            return
        if written == "%" and unit != "percent":
            yield number / 100
        if written not in _SAME and written != unit:
            return
    elif (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e15
        and value == value
    ):
        number = float(value)
    else:
        return
    yield number
    if unit == "s":
        yield number / 1000
    elif unit == "ms" and number:
        yield number * 1000
    elif unit == "percent" and 0 < number <= 1:
        yield number * 100
    elif unit not in _SECONDS and 1 < number <= 100:
        yield number / 100
