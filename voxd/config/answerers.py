"""Rules about who answers: agents, the providers they name, and the keys those need."""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from voxd.config.lines import KeyPath
from voxd.config.problems import Finding
from voxd.config.suggest import did_you_mean
from voxd.config.written import Settings, error, warning

LOCAL = "local"
"""The provider that is always there."""

GROUP = "voxd.providers"
"""The entry point group in which packages name the kinds of providers they bring."""

KEYED = frozenset({"openai", "azure", "gemini", "gpt_live"})
"""Kinds that never answer without a key."""

HEARS_ENDS = frozenset({"gpt_live"})
"""Kinds that decide themselves when the user has finished, whatever they are told."""

PLACED = frozenset({"azure", "custom"})
"""Kinds that have no address of their own."""


def installed_kinds() -> tuple[str, ...]:
    """Return the kinds of providers that are installed, without loading any."""
    # 2.6 MB (it reads metadata with the mail parser), which a device without a cloud need not pay.
    from importlib.metadata import entry_points

    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def answerers(settings: Settings, kinds: Callable[[], Collection[str]]) -> Iterator[Finding]:
    """Yield what is wrong with ``[agents.*]`` and ``[providers.*]``."""
    providers, agents = settings.get("providers"), settings.get("agents")
    names = tuple(providers) if isinstance(providers, dict) else ()
    for name in names:
        yield from _provider(settings, name, kinds)
    for name in agents if isinstance(agents, dict) else ():
        yield from _agent(settings, name, names)


def _agent(settings: Settings, name: str, providers: Collection[str]) -> Iterator[Finding]:
    provider = settings.get("agents", name, "provider")
    if provider in (None, LOCAL):
        if settings.get("agents", name, "persona"):
            message = "the device itself has no persona: only a model can play one"
            yield warning(("agents", name, "persona"), message, 'provider = "..."')
    elif provider not in providers:
        hint = did_you_mean(provider, (*providers, LOCAL)) or f"add [providers.{provider}]"
        yield error(("agents", name, "provider"), f'there is no provider "{provider}"', hint)


def _provider(settings: Settings, name: str, kinds: Callable[[], Collection[str]]) -> Iterator[Finding]:
    path: KeyPath = ("providers", name)
    kind, endpoint = settings.get(*path, "kind"), settings.get(*path, "endpoint")
    endpoint = endpoint or settings.get(*path, "options", "endpoint")
    if name == LOCAL:
        yield error(path, '"local" is the device itself', "give the provider another name")
    if isinstance(kind, str) and kind not in (known := kinds()):
        hint = did_you_mean(kind, known) or f"install its package, or use one of {', '.join(known)}"
        yield error((*path, "kind"), f'there is no kind of provider "{kind}"', hint)
    yield from _key(path, name, kind, settings.get(*path, "api_key"))
    if kind in HEARS_ENDS and settings.get(*path, "turn_detection") != "server":
        message = f"{kind} decides itself when the user has finished"
        yield error(path, message, 'turn_detection = "server"')
    if kind in PLACED and not endpoint:
        yield error(path, f"{kind} needs an endpoint", 'endpoint = "wss://..."')
    elif isinstance(endpoint, str) and endpoint and "://" not in endpoint:
        yield error((*path, "endpoint"), "expected a whole address", f'endpoint = "wss://{endpoint}"')


def _key(path: KeyPath, name: str, kind: Any, key: Any) -> Iterator[Finding]:
    reference = f'api_key = {{ credential = "{name}_key" }}, and /etc/voxd/credentials/{name}_key'
    if isinstance(key, str) and key:
        yield warning((*path, "api_key"), "a secret stands in the file", reference)
    elif not key and kind in KEYED:
        yield warning(path, f"{kind} does not answer without an api_key", reference)
