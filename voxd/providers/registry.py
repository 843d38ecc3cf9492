"""Finds provider classes by name among the entry points, built-in and third-party ones alike."""

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from voxd.entry_points import DISTRIBUTION
from voxd.errors import ConfigError, NotFound, ProviderError, third_party
from voxd.providers.base import BaseProvider

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")

_log = logging.getLogger(__name__)

GROUP = "voxd.providers"
"""The entry point group in which a package lists its providers."""

API_VERSION = 1
"""The version of `BaseProvider`, and of the stages. A class with an ``api_version`` must have this one."""


class ProviderStatus(msgspec.Struct, frozen=True):
    """One name: ``source`` is the package, or "registered"; ``load_error`` is "" when it can be used."""

    name: str
    source: str
    enabled: bool
    load_error: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    entry: "EntryPoint"
    source: str


_BY_GROUP: "dict[str, Registry[Any]]" = {}


class Registry(Generic[T]):
    """The classes of one entry point ``group`` by name, subclasses of ``base``; a broken one is skipped.

    ``what`` describes them in messages.
    """

    def __init__(self, base: type[Any], *, group: str = GROUP, what: str = "provider") -> None:
        self._base = base
        self._group = group
        self._what = what
        self._registered: dict[str, type[T]] = {}
        self._found: dict[str, _Found] | None = None
        self._refused: list[ProviderStatus] = []
        self._reading = threading.Lock()
        _BY_GROUP[group] = self

    def register(self, name: str, cls: type[T]) -> None:
        """Use ``cls`` for ``name`` from now on, also if it was taken. Raises `ProviderError`."""
        problem = self._problem(cls)
        if problem:
            raise ProviderError(f"the {self._what} {name} cannot be registered: {problem}")
        self._registered[name] = cls

    def registered(self, name: str) -> type[T] | None:
        """Return the class that this process registered as ``name``, None without one."""
        return self._registered.get(name)

    def is_replaced(self, name: str) -> bool:
        """Whether the class of ``name`` was registered, and is not one of ours."""
        cls = self._registered.get(name)
        return cls is not None and cls.__module__.partition(".")[0] != "voxd"

    def __contains__(self, name: str) -> bool:
        return name in self._registered or name in self._entries()

    def find(self, name: str) -> type[T]:
        """Return the class of ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
        if name in self._registered:
            return self._registered[name]
        found = self._entries().get(name)
        if found is None:
            names = ", ".join(sorted({*self._registered, *self._entries()}))
            raise NotFound(f"unknown {self._what} {name}", hint=f"use one of {names}")
        cls, problem = self._load(found)
        if cls is None:
            hint = f"update or remove the package {found.source}"
            raise ProviderError(f"the {self._what} {name} cannot be loaded: {problem}", hint=hint)
        return cls

    def statuses(self) -> list[ProviderStatus]:
        """Return every name in alphabetical order, the broken ones with their error."""
        statuses = [ProviderStatus(name, "registered", True) for name in self._registered]
        for name, found in self._entries().items():
            if name not in self._registered:
                cls, problem = self._load(found)
                statuses.append(ProviderStatus(name, found.source, cls is not None, problem))
        return sorted([*statuses, *self._refused], key=lambda status: (status.name, status.source))

    def _entries(self) -> dict[str, _Found]:
        # A thread may import what the first turn needs while that turn has already begun.
        with self._reading:
            if self._found is None:
                self._found = self._read()
            return self._found

    def _read(self) -> dict[str, _Found]:
        # Takes 2.6 MB (it reads metadata with the mail parser), which a device without a cloud does not need.
        from importlib.metadata import entry_points

        entries: dict[str, _Found] = {}
        candidates = (
            _Found(entry, entry.dist.name if entry.dist else "unknown")
            for entry in entry_points(group=self._group)
        )
        # Built-in ones first: a second entry point of the same name is refused.
        for found in sorted(candidates, key=lambda each: (each.source != DISTRIBUTION, each.source)):
            first = entries.setdefault(found.entry.name, found)
            if first.entry != found.entry:
                problem = f"the name is taken by {first.source}"
                _log.warning("%s %s of %s: %s", self._what, found.entry.name, found.source, problem)
                self._refused.append(ProviderStatus(found.entry.name, found.source, False, problem))
        return entries

    def _load(self, found: _Found) -> tuple[type[T] | None, str]:
        try:
            with third_party(lambda error: ConfigError(f"{type(error).__name__}: {error}"), passes=()):
                cls: Any = found.entry.load()
        except ConfigError as error:
            # The other entries stay usable.
            _log.warning("%s %s of %s: %s", self._what, found.entry.name, found.source, error.__cause__)
            return None, str(error)
        problem = self._problem(cls)
        return (None, problem) if problem else (cls, "")

    def _problem(self, cls: object) -> str:
        """Return why ``cls`` cannot be used, "" when it can."""
        if not isinstance(cls, type) or not issubclass(cls, self._base):
            return f"it is not a subclass of {self._base.__name__}"
        version = getattr(cls, "api_version", API_VERSION)
        if version != API_VERSION:
            return f"it was written for version {version} of the contract, this is version {API_VERSION}"
        # Python refuses an abstract class only when it is created, which would be in the middle of a
        # question.
        missing = sorted(getattr(cls, "__abstractmethods__", ()))
        return f"it lacks {', '.join(missing)}" if missing else ""


# Process-wide because the documented way to add a provider is a plain function, called before any engine.
_REGISTRY: Registry[BaseProvider] = Registry(BaseProvider)


def register_provider(name: str, cls: type[BaseProvider]) -> None:
    """Make ``cls`` known as ``name`` in this process. Raises `ProviderError` when it is not a provider."""
    _REGISTRY.register(name, cls)


def registered_class(group: str, name: str) -> type[Any] | None:
    """Return the class that this process registered as ``name`` of ``group``, None without one."""
    registry = _BY_GROUP.get(group)
    return registry.registered(name) if registry is not None else None


def is_replaced(name: str) -> bool:
    """Whether a program has registered a class of its own for ``name``."""
    return _REGISTRY.is_replaced(name)


def provider_class(name: str) -> type[BaseProvider]:
    """Return the class of ``name``. Raises `NotFound`, and `ProviderError` when it is broken."""
    return _REGISTRY.find(name)


def has_provider(name: str) -> bool:
    """Whether a provider ``name`` exists, broken or not; imports none."""
    return name in _REGISTRY


def provider_statuses() -> list[ProviderStatus]:
    """Return every provider, the broken ones with their error; imports all of them."""
    return _REGISTRY.statuses()
