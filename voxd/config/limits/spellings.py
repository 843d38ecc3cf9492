"""Other spellings of keys, as the reference texts of the project write the rate limits."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from voxd.config.toml_lines import KeyPath

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "rateLimit": "rate_limit",
        "requestsPerMinute": "requests_per_minute",
        "tokensPerMinute": "tokens_per_minute",
        "maxConcurrent": "max_concurrent",
        "queueExcess": "queue_excess",
        "maxQueueSize": "max_queue_size",
    }
)

V = TypeVar("V")


def respell(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``table`` with our spelling of its keys; a key that is there in both spellings keeps both."""
    return {_respelled(key, table): value for key, value in table.items()}


def respell_settings(
    data: Mapping[str, Any], places: Mapping[KeyPath, V]
) -> tuple[dict[str, Any], dict[KeyPath, V]]:
    """Return parsed settings and the origins of their keys in our spelling."""
    settings = respell(data)
    # The keys of [rate_limit] and of [providers.NAME]; deeper ones, such as options, are the vendors'.
    tables: dict[KeyPath, Any] = {("rate_limit",): settings.get("rate_limit")}
    providers = settings.get("providers")
    if isinstance(providers, dict):
        settings["providers"] = providers = dict(providers)
        tables |= {("providers", name): table for name, table in providers.items()}
    renamed: dict[KeyPath, KeyPath] = {(key,): (_respelled(key, data),) for key in data}
    for path, table in tables.items():
        if not isinstance(table, dict):
            continue
        parent = settings if len(path) == 1 else settings["providers"]
        parent[str(path[-1])] = respell(table)
        renamed |= {(*path, key): (*path, _respelled(key, table)) for key in table}
    return settings, {_renamed(path, renamed): place for path, place in places.items()}


def _renamed(path: KeyPath, renamed: Mapping[KeyPath, KeyPath]) -> KeyPath:
    for length in range(1, len(path) + 1):
        path = (*renamed.get(path[:length], path[:length]), *path[length:])
    return path


def _respelled(key: str, table: Mapping[str, Any]) -> str:
    ours = SPELLINGS.get(key, key)
    return key if ours in table else ours
