"""Rules about who answers: agents, the pipelines and vendors they name, and the keys those need."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from voxd.config.lines import KeyPath
from voxd.config.problems import Finding
from voxd.config.reaching import reaching
from voxd.config.suggest import did_you_mean
from voxd.config.vendors import LOCAL
from voxd.config.written import Settings, error, warning

LIVE = "providers"
"""The group of kinds that answer speech with speech, and so may be an agent's provider."""

STAGES: Mapping[str, str] = MappingProxyType({"stt": "listens", "llm": "thinks", "tts": "speaks"})
"""The other groups: what a kind does in a pipeline."""

MIDDLEWARE = "middleware"

GROUPS = tuple(f"voxd.{name}" for name in (LIVE, *STAGES, MIDDLEWARE))
"""The entry point groups in which packages name what they bring."""

KEYED = frozenset(
    {
        "anthropic",
        "assemblyai",
        "aws",
        "azure",
        "deepgram",
        "deepgram_flux",
        "elevenlabs",
        "elevenlabs_stream",
        "gemini",
        "google",
        "gpt_live",
        "huggingface",
        "openai",
        "openai_live",
        "openai_realtime",
        "openai_responses",
    }
)
"""Kinds that never answer without a key, at the vendor's own address."""

OWN_SERVER = frozenset({"openai", "openai_responses"})
"""Kinds of `KEYED` that many servers speak: at an address of the owner's they may need no key."""

HEARS_ENDS = frozenset({"gpt_live"})
"""Kinds that decide themselves when the user has finished, whatever they are told."""

LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrent")
"""What is counted for each request; a speech-to-speech session is one for as long as it lasts."""

Installed = Callable[[], Mapping[str, Collection[str]]]
"""Returns the names in each group that are installed; called only when somebody names one."""


def installed_kinds() -> dict[str, tuple[str, ...]]:
    """Return the names that are installed by group (without "voxd."), without loading any."""
    # 2.6 MB (it reads metadata with the mail parser), which a device without a cloud need not pay.
    from importlib.metadata import entry_points

    found = entry_points()
    return {
        group.removeprefix("voxd."): tuple(sorted({entry.name for entry in found.select(group=group)}))
        for group in GROUPS
    }


def answerers(settings: Settings, installed: Installed) -> Iterator[Finding]:
    """Yield what is wrong with ``[agents]``, ``[pipelines]``, ``[providers]`` and ``[middleware]``."""
    installed = functools.cache(installed)
    providers = {name: settings.get("providers", name, "kind") for name in _names(settings, "providers")}
    pipelines = _names(settings, "pipelines")
    for name in providers:
        yield from _provider(settings, name, installed)
    for name in pipelines:
        if name in providers or name == LOCAL:
            message = f'"{name}" is a provider already'
            yield error(("pipelines", name), message, "give the pipeline another name")
        yield from _pipeline(settings, name, providers, installed)
    for name in _names(settings, "agents"):
        yield from _agent(settings, name, providers, pipelines, installed)
    yield from _middleware(settings, installed)


def _names(settings: Settings, table: str) -> tuple[str, ...]:
    found = settings.get(table)
    return tuple(found) if isinstance(found, dict) else ()


def _agent(
    settings: Settings,
    name: str,
    providers: Mapping[str, Any],
    pipelines: Collection[str],
    installed: Installed,
) -> Iterator[Finding]:
    path: KeyPath = ("agents", name)
    first = settings.get(*path, "provider")
    if first in (None, LOCAL) and settings.get(*path, "persona"):
        message = "the device itself has no persona: only a model can play one"
        yield warning((*path, "persona"), message, 'provider = "..."')
    yield from _answerer((*path, "provider"), first, providers, pipelines, installed)
    rest = settings.get(*path, "fallback") or ()
    seen = {first}
    for index, each in enumerate(rest):
        here = (*path, "fallback", index)
        if each in seen and each != LOCAL:
            yield warning(here, f'"{each}" is asked twice', "name each once")
        seen.add(each)
        yield from _answerer(here, each, providers, pipelines, installed)


def _answerer(
    path: KeyPath, name: Any, providers: Mapping[str, Any], pipelines: Collection[str], installed: Installed
) -> Iterator[Finding]:
    """Yield why ``name`` cannot answer a whole turn."""
    if name in (None, LOCAL) or name in pipelines:
        return
    if name not in providers:
        hint = did_you_mean(name, (*providers, *pipelines, LOCAL)) or f"add [providers.{name}]"
        yield error(path, f'there is no provider "{name}"', hint)
        return
    kind = providers[name]
    doing = [verb for stage, verb in STAGES.items() if kind in installed()[stage]]
    if isinstance(kind, str) and kind not in installed()[LIVE] and doing:
        message = f"{kind} only {' and '.join(doing)}: it cannot answer alone"
        yield error(path, message, f'add [pipelines.NAME] with "{name}" in it, and name that')


def _pipeline(
    settings: Settings, name: str, providers: Mapping[str, Any], installed: Installed
) -> Iterator[Finding]:
    path: KeyPath = ("pipelines", name)
    for stage, verb in STAGES.items():
        names = settings.get(*path, stage)
        if isinstance(names, list | tuple) and not names:
            someone = "..." if stage == "llm" else LOCAL
            yield error((*path, stage), f"nobody {verb}", f'{stage} = ["{someone}"]')
        for index, each in enumerate(names if isinstance(names, list | tuple) else ()):
            if each in names[:index]:
                yield warning((*path, stage, index), f'"{each}" is asked twice', "name each once")
            else:
                yield from _member((*path, stage, index), stage, each, providers, installed)


def _member(
    path: KeyPath, stage: str, name: Any, providers: Mapping[str, Any], installed: Installed
) -> Iterator[Finding]:
    """Yield why ``name`` cannot do ``stage``."""
    if name == LOCAL:
        if stage == "llm":
            message = "this device has no language model of its own"
            yield error(path, message, 'add [providers.NAME] with kind = "ollama", and name that')
        return
    if name not in providers:
        hint = did_you_mean(name, (*providers, LOCAL)) or f"add [providers.{name}]"
        yield error(path, f'there is no provider "{name}"', hint)
        return
    kind, known = providers[name], installed()[stage]
    if isinstance(kind, str) and kind in _kinds(installed) and kind not in known:
        yield error(path, f"{kind} is nobody who {STAGES[stage]}", f"use one of {', '.join(known)}")


def _provider(settings: Settings, name: str, installed: Installed) -> Iterator[Finding]:
    path: KeyPath = ("providers", name)
    kind, endpoint = settings.get(*path, "kind"), settings.get(*path, "endpoint")
    endpoint = endpoint or settings.get(*path, "options", "endpoint")
    more = settings.get(*path, "endpoints") or ()
    if name == LOCAL:
        yield error(path, '"local" is the device itself', "give the provider another name")
    if kind == "pipeline":
        yield error((*path, "kind"), "a pipeline has a table of its own", f"write [pipelines.{name}]")
    elif isinstance(kind, str) and kind not in (known := _kinds(installed)):
        hint = did_you_mean(kind, known) or f"install its package, or use one of {', '.join(known)}"
        yield error((*path, "kind"), f'there is no kind of provider "{kind}"', hint)
    keys = [settings.get(*path, "api_key"), *(settings.get(*path, "api_keys") or ())]
    yield from _key(path, name, kind, keys, own_server=bool(endpoint or more))
    if kind in HEARS_ENDS and settings.get(*path, "turn_detection") != "server":
        message = f"{kind} decides itself when the user has finished"
        yield error(path, message, 'turn_detection = "server"')
    yield from reaching(settings, path)
    yield from _limits(settings, path, name, kind, installed)


def _limits(
    settings: Settings, path: KeyPath, name: str, kind: Any, installed: Installed
) -> Iterator[Finding]:
    """Yield which limits of ``name`` do nothing, because no pipeline makes requests to it."""
    told = [each for each in LIMITS if settings.get(*path, each) is not None]
    if not told or kind not in installed()[LIVE]:
        return
    lists = [
        settings.get("pipelines", each, stage) or ()
        for each in _names(settings, "pipelines")
        for stage in STAGES
    ]
    if not any(name in members for members in lists):
        for each in told:
            message = "it counts the requests of pipelines, and none asks this provider"
            yield warning((*path, each), message, "limit the money: usd_per_day = 1.0")


def _kinds(installed: Installed) -> list[str]:
    found = installed()
    return sorted({kind for group in (LIVE, *STAGES) for kind in found[group]} - {"pipeline"})


def _key(path: KeyPath, name: str, kind: Any, keys: list[Any], *, own_server: bool) -> Iterator[Finding]:
    reference = f'api_key = {{ credential = "{name}_key" }}, and /etc/voxd/credentials/{name}_key'
    for number, key in enumerate(keys):
        if isinstance(key, str) and key:
            here = (*path, "api_key") if number == 0 else (*path, "api_keys", number - 1)
            yield warning(here, "a secret stands in the file", reference)
    if not any(keys) and kind in KEYED and not (own_server and kind in OWN_SERVER):
        yield warning(path, f"{kind} does not answer without an api_key", reference)


def _middleware(settings: Settings, installed: Installed) -> Iterator[Finding]:
    for where in ("request", "message"):
        for index, name in enumerate(settings.get(MIDDLEWARE, where) or ()):
            if name not in (known := installed()[MIDDLEWARE]):
                hint = did_you_mean(name, known) or "install the package that brings it"
                yield error((MIDDLEWARE, where, index), f'there is no middleware "{name}"', hint)
