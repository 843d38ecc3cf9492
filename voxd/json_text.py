"""Decodes JSON as it is really sent: standard JSON first, else what Python and proxies write."""

import codecs
import json
from typing import Any

import msgspec


def decode_json(text: str | bytes) -> Any:
    """Return the value in ``text``; NaN and the infinities, which JSON does not have, are None.

    Raises `msgspec.DecodeError` when it is invalid, and `RecursionError`.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        pass
    # Servers in Python write NaN for a probability that is none, unless they forbid it (json.dumps,
    # ``allow_nan``); a byte order mark in front may be ignored (RFC 8259, section 8.1).
    try:
        if isinstance(text, str):
            return json.loads(text.removeprefix("\ufeff"), parse_constant=_nothing)
        return json.loads(bytes(text).removeprefix(codecs.BOM_UTF8).decode(), parse_constant=_nothing)
    except ValueError as error:
        msg = "the text is not JSON"
        raise msgspec.DecodeError(msg) from error


def json_or(text: str | bytes, default: Any) -> Any:
    """Return the value in ``text``, ``default`` when it is not JSON, such as the page of a proxy."""
    try:
        return decode_json(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return default


def _nothing(name: str) -> None:
    return None
