"""Rules about how vendors are reached: their addresses, and the headers of every request."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from voxd.config.lines import KeyPath
from voxd.config.problems import Finding
from voxd.config.suggest import did_you_mean
from voxd.config.written import Settings, error, warning

PLACED: Mapping[str, str] = MappingProxyType(
    {"azure": "wss://...", "custom": "wss://...", "wyoming": "tcp://..."}
)
"""Kinds that have no address of their own, and how theirs begins."""

SCHEMES: Mapping[str, tuple[str, ...]] = MappingProxyType({"wyoming": ("tcp",)})
"""How an address of a kind may begin, else with one of `WEB`."""

WEB = ("https", "wss", "http", "ws")

FILLED = ("{uuid}", "{unix_s}")
"""What is replaced in a header with every request."""

_SECRET_HEADER = re.compile(r"auth|token|secret|password|cookie|api-?key", re.IGNORECASE)
_BRACES = re.compile(r"\{\w+\}")


def reaching(settings: Settings, path: KeyPath) -> Iterator[Finding]:
    """Yield what is wrong with the addresses and headers of the provider at ``path``."""
    kind = settings.get(*path, "kind")
    one = settings.get(*path, "endpoint") or settings.get(*path, "options", "endpoint")
    more = settings.get(*path, "endpoints") or ()
    if kind in PLACED and not (one or more or settings.get(*path, "options", "region")):
        yield error(path, f"{kind} needs an endpoint", f'endpoint = "{PLACED[kind]}"')
    yield from _address((*path, "endpoint"), kind, one, 'endpoint = "{}"')
    for each in more:
        yield from _address((*path, "endpoints"), kind, each, 'endpoints = ["{}"]')
    yield from _headers(settings, (*path, "headers"))


def secret_header(path: KeyPath, name: str, value: object) -> Iterator[Finding]:
    """Yield a warning when the header ``name`` is likely a secret and ``value`` is written out."""
    if isinstance(value, str) and _SECRET_HEADER.search(name):
        key = re.sub(r"[^a-z0-9]+", "_", name.lower())
        hint = f'{{ credential = "{key}" }} and /etc/voxd/credentials/{key}'
        yield warning((*path, name), "a secret stands in the file", hint)


def _address(path: KeyPath, kind: Any, address: Any, example: str) -> Iterator[Finding]:
    if not isinstance(address, str) or not address:
        return
    scheme, there, place = address.partition("://")
    schemes = SCHEMES.get(kind, WEB) if isinstance(kind, str) else WEB
    usual = PLACED.get(kind, "https://") if isinstance(kind, str) else "https://"
    usual = usual.partition("://")[0]
    if not there:
        yield error(path, "expected a whole address", example.format(f"{usual}://{address}"))
    elif scheme.lower() not in schemes:
        begins = " or ".join(f"{each}://" for each in schemes)
        yield error(path, f"expected an address with {begins}", example.format(f"{usual}://{place}"))
    elif not _host(address):
        yield error(path, "the address names no host", example.format(f"{scheme}://host/path"))


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _headers(settings: Settings, path: KeyPath) -> Iterator[Finding]:
    headers = settings.get(*path)
    for name, value in headers.items() if isinstance(headers, dict) else ():
        yield from secret_header(path, name, value)
        for found in _BRACES.findall(value) if isinstance(value, str) else ():
            if found not in FILLED:
                hint = did_you_mean(found, FILLED) or f"use {' or '.join(FILLED)}"
                yield warning((*path, name), f"{found} is sent as it is", hint)
