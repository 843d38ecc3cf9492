"""Rules about agents, pipelines and providers: names, keys, addresses, headers and limits."""

import functools
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import msgspec

from voxd.config.mistakes.api_keys import looks_like_key, problem_of_key, vendor_of
from voxd.config.mistakes.languages import is_known, meant_code
from voxd.config.mistakes.words import did_you_mean
from voxd.config.problems import Finding
from voxd.config.provider_options import OptionTypes
from voxd.config.provider_schema import LOCAL
from voxd.config.settings import Settings, error, warning
from voxd.config.toml_lines import KeyPath

# The entry point group of speech-to-speech kinds, which need no pipeline.
REALTIME = "providers"

# The entry point groups of pipeline stages, and the ability of their kinds.
STAGES: Mapping[str, str] = MappingProxyType(
    {"stt": "transcribe speech", "llm": "run a language model", "tts": "synthesize speech"}
)

MIDDLEWARE = "middleware"

# The entry point groups for providers, pipeline stages and middleware.
GROUPS = tuple(f"voxd.{name}" for name in (REALTIME, *STAGES, MIDDLEWARE))

# Limits on requests; a whole speech-to-speech session is one request.
LIMITS = ("requests_per_minute", "tokens_per_minute", "max_concurrent", "queue_excess", "max_queue_size")

# Placeholders in a header, replaced in each request.
PLACEHOLDERS = ("{uuid}", "{unix_s}")

_SECRET_HEADER = re.compile(r"auth|token|secret|password|cookie|api-?key", re.IGNORECASE)
# RFC 9110 section 5.6.2: a token.
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BRACES = re.compile(r"\{\w+\}")


class KindRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Facts about a kind of provider for the rules.

    ``own_server_needs_no_key``: a server of the user with the same protocol may need no key.
    ``decides_end_of_turn``: the vendor always detects the end of speech itself.
    ``endpoint_example`` is set for a kind without a default address.
    """

    needs_key: bool = False
    own_server_needs_no_key: bool = False
    decides_end_of_turn: bool = False
    endpoint_example: str = ""
    endpoint_schemes: tuple[str, ...] = ("https", "wss", "http", "ws")


class ProviderFacts(msgspec.Struct, frozen=True):
    """The installed names by group (without "voxd."), facts about kinds, and the options of a kind."""

    installed: Mapping[str, Collection[str]]
    kinds: Mapping[str, KindRules] = {}
    option_types: Callable[[str], OptionTypes] = lambda kind: OptionTypes({})

    def kind(self, name: Any) -> KindRules:
        """Return the rules of a kind; the defaults for an unknown one."""
        return self.kinds.get(name, _UNKNOWN) if isinstance(name, str) else _UNKNOWN


_UNKNOWN = KindRules()

# Returns the facts. Called only if a provider or middleware is configured: it costs time and memory.
GetFacts = Callable[[], ProviderFacts]


def check_providers(settings: Settings, get_facts: GetFacts) -> Iterator[Finding]:
    """Check ``[agents]``, ``[pipelines]``, ``[providers]`` and ``[middleware]``."""
    rules = _Rules(settings, get_facts)
    for name in rules.kinds:
        yield from rules.check_provider(name)
    for name in rules.pipelines:
        yield from rules.check_pipeline(name)
    for name in _names(settings, "agents"):
        yield from rules.check_agent(name)
    yield from rules.check_middleware()


def check_secret_header(path: KeyPath, name: str, value: object) -> Iterator[Finding]:
    """Yield a warning if the header ``name`` looks like a secret and ``value`` is literal."""
    if isinstance(value, str) and _SECRET_HEADER.search(name):
        key = re.sub(r"[^a-z0-9]+", "_", name.lower())
        hint = f'write {{ credential = "{key}" }} and run `voxctl secret set {key}`'
        yield warning((*path, name), "the file contains a secret", hint)


class _Rules:
    """The rules for one configuration; ``kinds`` has the kind of each provider by name."""

    def __init__(self, settings: Settings, get_facts: GetFacts) -> None:
        self.kinds = {name: settings.get("providers", name, "kind") for name in _names(settings, "providers")}
        self.pipelines = _names(settings, "pipelines")
        self._settings = settings
        # Cached, and called by the first rule that needs it: a device without providers loads no facts.
        self._facts = functools.cache(get_facts)

    def check_agent(self, name: str) -> Iterator[Finding]:
        path: KeyPath = ("agents", name)
        first = self._settings.get(*path, "provider")
        if first in (None, LOCAL) and self._settings.get(*path, "persona"):
            message = "a persona needs a language model, and the local provider has none"
            yield warning((*path, "persona"), message, 'provider = "..."')
        yield from self._check_whole_turn((*path, "provider"), first)
        seen = {first}
        # "local" twice is not a mistake: it is the default of the list, and the provider may be local too.
        for index, each in enumerate(self._settings.get(*path, "fallback") or ()):
            here = (*path, "fallback", index)
            if each in seen and each != LOCAL:
                yield warning(here, f'"{each}" is listed twice', "list each once")
            seen.add(each)
            yield from self._check_whole_turn(here, each)

    def _check_whole_turn(self, path: KeyPath, name: Any) -> Iterator[Finding]:
        """Yield why ``name`` cannot do a whole turn, from speech to speech."""
        if name in (None, LOCAL) or name in self.pipelines:
            return
        if name not in self.kinds:
            yield from self._missing(path, name, (*self.kinds, *self.pipelines, LOCAL))
            return
        kind, installed = self.kinds[name], self._facts().installed
        abilities = [ability for stage, ability in STAGES.items() if kind in installed[stage]]
        if isinstance(kind, str) and kind not in installed[REALTIME] and abilities:
            message = f"{kind} can only {' and '.join(abilities)}: an agent needs a complete pipeline"
            hint = f'add [pipelines.NAME] with "{name}" in it, and use NAME'
            yield error(path, message, hint)

    def check_pipeline(self, name: str) -> Iterator[Finding]:
        path: KeyPath = ("pipelines", name)
        if name in self.kinds or name == LOCAL:
            message = f'a provider is already named "{name}"'
            yield error(path, message, "give the pipeline another name")
        for stage, ability in STAGES.items():
            names = self._settings.get(*path, stage)
            if not isinstance(names, list | tuple):
                continue
            if not names:
                message = f"the list is empty: the pipeline cannot {ability}"
                yield error((*path, stage), message, f'{stage} = ["{"..." if stage == "llm" else LOCAL}"]')
            for index, each in enumerate(names):
                here = (*path, stage, index)
                if each in names[:index]:
                    yield warning(here, f'"{each}" is listed twice', "list each once")
                else:
                    yield from self._check_stage(here, stage, each)

    def _check_stage(self, path: KeyPath, stage: str, name: Any) -> Iterator[Finding]:
        """Yield why the provider ``name`` cannot do ``stage``."""
        if name == LOCAL:
            if stage == "llm":
                message = "this device has no language model"
                yield error(path, message, 'add [providers.NAME] with kind = "ollama", and use NAME')
        elif name not in self.kinds:
            yield from self._missing(path, name, (*self.kinds, LOCAL))
        else:
            kind, able = self.kinds[name], self._facts().installed[stage]
            # An unknown kind is reported once, at the provider.
            if isinstance(kind, str) and kind in self._installed_kinds() and kind not in able:
                yield error(path, f"{kind} cannot {STAGES[stage]}", f"use one of {', '.join(able)}")

    def _missing(self, path: KeyPath, name: Any, known: Collection[str]) -> Iterator[Finding]:
        # Its section is misspelt: reported there.
        if not self._settings.is_spoiled("providers") and not self._settings.is_spoiled("pipelines"):
            hint = did_you_mean(name, known) or f"add [providers.{name}]"
            yield error(path, f'unknown provider "{name}"', hint)

    def check_provider(self, name: str) -> Iterator[Finding]:
        path: KeyPath = ("providers", name)
        kind = self.kinds[name]
        if name == LOCAL:
            message = '"local" is reserved for the engines of this device'
            yield error(path, message, "give the provider another name")
        if kind == "pipeline":
            yield error((*path, "kind"), "a pipeline is not a kind of provider", f"write [pipelines.{name}]")
        elif isinstance(kind, str) and kind not in (known := self._installed_kinds()):
            hint = did_you_mean(kind, known) or f"install its package, or use one of {', '.join(known)}"
            yield error((*path, "kind"), f'unknown kind of provider "{kind}"', hint)
        rules = self._facts().kind(kind)
        if rules.decides_end_of_turn and self._settings.get(*path, "turn_detection") != "server":
            message = f"{kind} always detects the end of speech itself"
            yield error(path, message, 'turn_detection = "server"')
        yield from self._check_names(path)
        yield from self._check_network(path, kind, rules)
        yield from self._check_headers((*path, "headers"))
        yield from self._check_limits(path, name)
        yield from self._check_options(path, name, kind)

    def _check_names(self, path: KeyPath) -> Iterator[Finding]:
        """Yield a key or an address where the vendor's name of something belongs, and names of languages."""
        for key in ("model", "voice", "language"):
            written = self._settings.get(*path, key)
            if not isinstance(written, str):
                continue
            if looks_like_key(written):
                # Not printed: it is the secret itself.
                hint = f"change this key at its vendor, then run `voxctl secret set {path[-1]}_key`"
                yield error((*path, key), f"this is a key, not a {key}", hint)
            elif re.match(r"(?:https?|wss?)://", written.strip(), re.IGNORECASE):
                yield warning((*path, key), f"this is an address, not a {key}", "write it as endpoint")
            elif key == "language" and not is_known(written) and (code := meant_code(written)):
                # Only what is known to be wrong: vendors have codes of their own, such as "multi".
                message = f'"{written}" is not the code of a language'
                yield error((*path, key), message, f'language = "{code}"')

    def _check_options(self, path: KeyPath, name: str, kind: Any) -> Iterator[Finding]:
        options = self._settings.get(*path, "options")
        if not isinstance(kind, str) or not isinstance(options, dict) or not options:
            return
        beside = {key: self._settings.get(*path, key) for key in ("model", "voice", "language", "endpoint")}
        for mistake in self._facts().option_types(kind).check(options, self._stages_of(name), beside):
            where = (*path, "options", *mistake.path)
            yield Finding(where, mistake.severity, mistake.message, mistake.hint)

    def _stages_of(self, name: str) -> list[str]:
        """Return what the provider ``name`` is used for: "realtime", and the lists of pipelines."""
        get = self._settings.get
        agents = _names(self._settings, "agents")
        named = [get("agents", agent, "provider") for agent in agents]
        named += [each for agent in agents for each in get("agents", agent, "fallback") or ()]
        lists = {
            stage: [each for pipeline in self.pipelines for each in get("pipelines", pipeline, stage) or ()]
            for stage in STAGES
        }
        found = [stage for stage, members in lists.items() if name in members]
        return ["realtime", *found] if name in named else found

    def _check_network(self, path: KeyPath, kind: Any, rules: KindRules) -> Iterator[Finding]:
        """Check the addresses and keys of the provider at ``path``."""
        get = self._settings.get
        endpoint = get(*path, "endpoint") or get(*path, "options", "endpoint")
        more = get(*path, "endpoints") or ()
        keys = [get(*path, "api_key"), *(get(*path, "api_keys") or ())]
        # An address of the user's: a server in the same network may need no key.
        own_server = bool(endpoint or more)
        name = path[-1]
        reference = f'api_key = {{ credential = "{name}_key" }}'
        hint = f"write {reference} and run `voxctl secret set {name}_key`"
        for number, key in enumerate(keys):
            if isinstance(key, str) and key:
                here = (*path, "api_key") if number == 0 else (*path, "api_keys", number - 1)
                message = problem_of_key(key, "" if own_server else str(kind))
                yield warning(here, message or "the file contains a secret", hint)
        # A key with a mistake is there: that it is missing would follow from the mistake.
        missing = not any(keys) and not any(
            self._settings.is_spoiled(*path, each) for each in ("api_key", "api_keys")
        )
        if missing and rules.needs_key and not (own_server and rules.own_server_needs_no_key):
            yield warning(path, f"{kind} needs an api_key", hint)
        if rules.endpoint_example and not (own_server or get(*path, "options", "region")):
            yield error(path, f"{kind} needs an endpoint", f'endpoint = "{rules.endpoint_example}"')
        if any(keys):
            for each in (endpoint, *more):
                yield from _check_encryption((*path, "endpoint" if each == endpoint else "endpoints"), each)
        yield from _check_address((*path, "endpoint"), rules, endpoint, 'endpoint = "{}"')
        for each in more:
            yield from _check_address((*path, "endpoints"), rules, each, 'endpoints = ["{}"]')

    def _check_headers(self, path: KeyPath) -> Iterator[Finding]:
        headers = self._settings.get(*path)
        for name, value in headers.items() if isinstance(headers, dict) else ():
            yield from check_secret_header(path, name, value)
            if not _FIELD_NAME.fullmatch(name):
                message = f'"{name}" cannot be the name of a header'
                yield error((*path, name), message, "use letters, digits and -")
            elif isinstance(value, str) and re.search(r"[\r\n\0]", value):
                yield error((*path, name), "a header has no line breaks", "write it in one line")
            for found in _BRACES.findall(value) if isinstance(value, str) else ():
                if found not in PLACEHOLDERS:
                    hint = did_you_mean(found, PLACEHOLDERS) or f"use {' or '.join(PLACEHOLDERS)}"
                    yield warning((*path, name), f"{found} is not a placeholder: it is sent unchanged", hint)

    def _check_limits(self, path: KeyPath, name: str) -> Iterator[Finding]:
        """Yield the limits of ``name`` without effect, because no pipeline sends requests to it."""
        limits = [each for each in LIMITS if self._settings.get(*path, each) is not None]
        if not limits or self.kinds[name] not in self._facts().installed[REALTIME]:
            return
        if self._stages_of(name) in ([], ["realtime"]):
            for each in limits:
                message = "this limit counts requests of pipelines, and no pipeline uses this provider"
                yield warning((*path, each), message, "limit the cost instead: usd_per_day = 1.0")

    def check_middleware(self) -> Iterator[Finding]:
        for where in ("request", "message"):
            for index, name in enumerate(self._settings.get(MIDDLEWARE, where) or ()):
                if name not in (known := self._facts().installed[MIDDLEWARE]):
                    hint = did_you_mean(name, known) or "install the package that provides it"
                    yield error((MIDDLEWARE, where, index), f'unknown middleware "{name}"', hint)
        for path, name in self._sessions():
            if self._settings.get(MIDDLEWARE, "message") and not self._settings.get(MIDDLEWARE, "audio"):
                message = f"message middleware cannot filter sound, and {name} is speech to speech"
                hint = 'use a pipeline, or set audio = "unfiltered" in [middleware] to filter its text only'
                yield error(path, message, hint)
            if self._settings.get(MIDDLEWARE, "request"):
                message = f"request middleware does not see {name}: its session is not an HTTP request"
                yield warning(path, message, "use a pipeline, or remove request from [middleware]")

    def _sessions(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the speech-to-speech providers that agents use, each with its place."""
        if not any(self._settings.get(MIDDLEWARE, where) for where in ("request", "message")):
            return
        installed = self._facts().installed[REALTIME]
        for agent in _names(self._settings, "agents"):
            path: KeyPath = ("agents", agent)
            fallback = self._settings.get(*path, "fallback") or ()
            places: list[tuple[KeyPath, Any]] = [((*path, "provider"), self._settings.get(*path, "provider"))]
            places += [((*path, "fallback", index), name) for index, name in enumerate(fallback)]
            for place, name in places:
                if name not in self.pipelines and self.kinds.get(name) in installed:
                    yield place, name

    def _installed_kinds(self) -> list[str]:
        installed = self._facts().installed
        return sorted({kind for group in (REALTIME, *STAGES) for kind in installed[group]} - {"pipeline"})


def _names(settings: Settings, table: str) -> tuple[str, ...]:
    found = settings.get(table)
    return tuple(found) if isinstance(found, dict) else ()


# "localhost:8000/v1": HTTP in the local network, HTTPS elsewhere (`voxd.net.endpoint`).
_HOST_AND_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):\d{1,5}(?:[/?].*)?")


def _check_address(path: KeyPath, rules: KindRules, address: Any, example: str) -> Iterator[Finding]:
    if not isinstance(address, str) or not address:
        return
    if vendor_of(address) or looks_like_key(address):
        # Not printed: it is the secret itself.
        hint = "change this key at its vendor, then run `voxctl secret set`"
        yield error(path, "this is a key, not an address", hint)
        return
    scheme, separator, rest = address.partition("://")
    # RFC 3986 section 3.1: a scheme is case-insensitive.
    usual = (rules.endpoint_example or "https://").partition("://")[0]
    if not separator and _HOST_AND_PORT.fullmatch(address.strip()) and usual != "tcp":
        return
    if not separator:
        yield error(path, "expected a complete address", example.format(f"{usual}://{address}"))
    elif scheme.lower() not in rules.endpoint_schemes:
        begins = " or ".join(f"{each}://" for each in rules.endpoint_schemes)
        yield error(path, f"expected an address with {begins}", example.format(f"{usual}://{rest}"))
    elif not _host(address):
        yield error(path, "the address has no host name", example.format(f"{scheme}://host/path"))


def _check_encryption(path: KeyPath, address: Any) -> Iterator[Finding]:
    """Yield a warning if a key would be sent to ``address`` in clear text beyond the local network."""
    scheme, separator, rest = address.partition("://") if isinstance(address, str) else ("", "", "")
    if separator and scheme.lower() in ("http", "ws") and not _is_local(_host(address) or ""):
        secure = {"http": "https", "ws": "wss"}[scheme.lower()]
        message = f"{scheme}:// sends the key without encryption"
        yield warning(path, message, f'{path[-1]} = "{secure}://{rest}"')


def _is_local(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # RFC 6762 (.local), RFC 8375 (.home.arpa); a name without a dot is one of the local network.
        return "." not in host or host.endswith((".local", ".localhost", ".home.arpa", ".lan", ".internal"))


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        # Python raises for a broken IPv6 address, such as "wss://[::1".
        return None
