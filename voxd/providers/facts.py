"""Facts about vendors (prices, shutdowns, limits, voices, keys), read from their ``facts.toml`` files.

A built-in vendor keeps its file in its folder, a third-party package beside the module of its entry point.
Reading them imports no code of any vendor.
"""

import fnmatch
import functools
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli

from voxd.config.provider_options import OptionTypes
from voxd.config.provider_rules import GROUPS, REALTIME, STAGES, KindRules, ProviderFacts
from voxd.config.provider_schema import LOCAL
from voxd.entry_points import find_entry_points, load_entry_point
from voxd.errors import ConfigError, third_party

_log = logging.getLogger(__name__)

FILE = "facts.toml"
_BUILT_IN = Path(__file__).parent / "vendors"


class ModelPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The price of a model or voice in US dollars; None where the vendor does not bill in that unit.

    ``as_of`` is the day on which ``source``, the vendor's own page of prices, said so; both default to those
    of the list. ``is_estimate``: the page does not say it in this unit, or was not seen itself.
    """

    usd_per_million_input: float | None = None
    usd_per_million_cached: float | None = None
    usd_per_million_output: float | None = None
    usd_per_million_audio_input: float | None = None
    usd_per_million_audio_cached: float | None = None
    usd_per_million_audio_output: float | None = None
    usd_per_million_characters: float | None = None
    usd_per_minute: float | None = None
    usd_per_request: float | None = None
    as_of: date | None = None
    source: str = ""
    is_estimate: bool = False

    @property
    def day(self) -> str:
        """The day of the price; where there is none, it is one of the owner."""
        return self.as_of.isoformat() if self.as_of is not None else "[[prices]]"


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prices of one vendor by model or voice; "*" in a name matches any text.

    "stt", "llm" and "tts" are the names of all models of the vendor's stages without an entry of their own.
    """

    as_of: date
    source: str
    currency: Literal["USD"] = "USD"
    # Names such as "neural" mean something else at each vendor.
    are_names_common: bool = False
    models: dict[str, ModelPrice] = {}

    def dated(self) -> dict[str, ModelPrice]:
        """Return the prices, each with its date and source."""
        return {
            name: msgspec.structs.replace(
                price, as_of=price.as_of or self.as_of, source=price.source or self.source
            )
            for name, price in self.models.items()
        }


class PriceTable(msgspec.Struct, frozen=True):
    """The prices of all vendors by kind of provider; ``private``: kinds whose names are common words."""

    by_kind: Mapping[str, Mapping[str, ModelPrice]]
    private: frozenset[str] = frozenset()

    @property
    def as_of(self) -> str:
        """The oldest date of a price."""
        days = [price.day for prices in self.by_kind.values() for price in prices.values()]
        return min(days, default=date.min.isoformat())

    def find(self, name: str, kind: str = "") -> ModelPrice | None:
        """Return the price of ``name``, first that of ``kind``, else that of any vendor; None without."""
        own = self.by_kind.get(kind, {})
        price = _find_price(name, own)
        patterns = (each for each in own if "*" in each and fnmatch.fnmatchcase(name, each))
        if price is None:
            price = next((own[pattern] for pattern in patterns), None)
        # A model of another vendor, such as one of OpenAI at Azure or behind a proxy.
        if price is None and name not in _STAGES:
            others = (prices for each, prices in self.by_kind.items() if each not in self.private)
            price = next(filter(None, (_find_price(name, prices) for prices in others)), None)
        return price


# The names of all models of a stage of one vendor.
_STAGES = frozenset({"stt", "llm", "tts"})


# Of a model: "gpt-realtime-2.1-2026-05-12", "claude-haiku-5-5-20261007".
_DATED = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d")


def _find_price(name: str, prices: Mapping[str, ModelPrice]) -> ModelPrice | None:
    # Only a date may follow the name: "gpt-realtime-2.1-mini" must not be priced as "gpt-realtime-2.1".
    dated = _DATED.search(name)
    base = name[: dated.start()] if dated is not None and dated.end() == len(name) else name
    return prices.get(name) or prices.get(base)


class ModelShutdown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that stop working on ``ends``, and their replacement; "*" in a model matches any text."""

    models: tuple[str, ...]
    ends: date
    instead: str


class ModelShutdowns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shutdowns announced up to ``date``."""

    date: date
    source: str
    announced: tuple[ModelShutdown, ...]


class KindFacts(KindRules, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Facts about one kind of provider.

    ``requests_per_minute`` is the usual limit of an account, ``models`` and ``voices`` the defaults by stage
    ("realtime", "stt", "llm", "tts"), ``voice_table`` the table of voices, by default the kind's own.
    ``options`` names the struct of the options of each stage, as ``module:class``; importing that module must
    be cheap.
    """

    is_free: bool = False
    requests_per_minute: int | None = None
    models: dict[str, str] = msgspec.field(default_factory=dict)
    voices: dict[str, str] = msgspec.field(default_factory=dict)
    voice_table: str = ""
    options: dict[str, str] = msgspec.field(default_factory=dict)


class VendorFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ``facts.toml``. ``voices`` maps a character (see `voice_for`) to the vendor's voice for it."""

    kinds: dict[str, KindFacts]
    prices: PriceList | None = None
    shutdowns: ModelShutdowns | None = None
    voices: dict[str, dict[str, str]] = {}


class Facts(msgspec.Struct, frozen=True):
    """The facts of all vendors; ``shutdowns`` by kind."""

    kinds: Mapping[str, KindFacts]
    prices: PriceTable
    shutdowns: Mapping[str, tuple[ModelShutdown, ...]]
    voices: Mapping[str, Mapping[str, str]]

    def kind(self, name: str) -> KindFacts:
        """Return the facts of a kind; all defaults for a kind without facts."""
        return self.kinds.get(name, _UNKNOWN)

    def shutdown_of(self, kind: str, model: str, endpoint: str = "") -> ModelShutdown | None:
        """Return the announced shutdown of ``model``, None when there is none.

        The first entry that matches counts.
        """
        # A custom endpoint is not the vendor's service: the announcement does not apply to it.
        for shutdown in () if endpoint else self.shutdowns.get(kind, ()):
            if any(fnmatch.fnmatchcase(model, pattern) for pattern in shutdown.models):
                return shutdown
        return None

    def voice_for(self, voice: str, kind: str) -> str:
        """Return the voice of ``kind`` that is most like ``voice``; "" for the vendor's default.

        Every table of voices has the same characters (named after the voices of OpenAI) as keys; the first
        character with ``voice`` counts.
        """
        table = self.voices.get(self.kind(kind).voice_table or kind, {})
        if not voice or voice in table.values():
            return voice
        character = next(
            (name for each in self.voices.values() for name, its in each.items() if voice in (name, its)), ""
        )
        # A voice in no table is a custom voice, or newer than the tables: the vendor may have it.
        return table.get(character, "") if character else voice


_UNKNOWN = KindFacts()


# Files and packages do not change while the process runs.
@functools.cache
def facts() -> Facts:
    """Return the facts of every installed vendor. Built-in kinds cannot be redefined by a package."""
    ours = [_read(file) for file in sorted(_BUILT_IN.glob(f"*/{FILE}"))]
    return merge([*ours, *_third_party_facts()])


def merge(vendors: Iterable[VendorFacts]) -> Facts:
    """Merge the facts of ``vendors``; the first entry for a name counts."""
    kinds: dict[str, KindFacts] = {}
    shutdowns: dict[str, tuple[ModelShutdown, ...]] = {}
    voices: dict[str, dict[str, str]] = {}
    prices: dict[str, dict[str, ModelPrice]] = {}
    private: set[str] = set()
    for vendor in vendors:
        dated = vendor.prices.dated() if vendor.prices is not None else {}
        for name, kind in vendor.kinds.items():
            # A package cannot announce the shutdown of a model of a built-in kind, nor set its price.
            if kinds.setdefault(name, kind) is not kind:
                continue
            prices[name] = dated
            if vendor.prices is not None and vendor.prices.are_names_common:
                private.add(name)
            if vendor.shutdowns is not None:
                shutdowns[name] = vendor.shutdowns.announced
        # Unpacked last, the earlier table wins: built-in vendors come first.
        voices = {**vendor.voices, **voices}
    merged = PriceTable(prices, frozenset(private))
    return Facts(kinds, merged, shutdowns, voices)


def is_free(kind: str) -> bool:
    """Whether stages of ``kind`` run on the device or a server of its owner, so that no vendor bills them."""
    return kind == LOCAL or facts().kind(kind).is_free


def default_model(kind: str, stage: str) -> str:
    """Return the model that ``stage`` ("realtime", "stt", "llm", "tts") of ``kind`` uses by default."""
    return facts().kind(kind).models.get(stage, "")


def default_voice(kind: str, stage: str = "tts") -> str:
    """Return the voice that ``stage`` of ``kind`` uses by default."""
    return facts().kind(kind).voices.get(stage, "")


def config_facts() -> ProviderFacts:
    """Return the facts for the configuration check: installed names by group, and facts about kinds."""
    installed = {group.removeprefix("voxd."): tuple(sorted(find_entry_points(group))) for group in GROUPS}
    return ProviderFacts(installed, facts().kinds, option_types)


def option_types(kind: str) -> OptionTypes:
    """Return the options of ``kind`` by stage; a stage of a third party may declare none.

    A class registered in this process comes first. Of a built-in kind no code but its options is imported.
    """
    # Imported here: it brings asyncio and TLS, which no command needs that only reads the configuration.
    from voxd.providers.registry import registered_class

    found: dict[str, type[msgspec.Struct] | None] = {}
    for group, stage in ((REALTIME, "realtime"), *((name, name) for name in STAGES)):
        own = registered_class(f"voxd.{group}", kind)
        declared = facts().kind(kind).options.get(stage)
        entry = _entries(f"voxd.{group}", tuple(sys.path)).get(kind)
        if own is not None:
            found[stage] = _struct(getattr(own, "options_type", None))
        elif entry is not None:
            loaded = _load(kind, declared or entry)
            found[stage] = _struct(loaded if declared else getattr(loaded, "options_type", None))
    return OptionTypes(found)


@functools.lru_cache(maxsize=8)
def _entries(group: str, path: tuple[str, ...]) -> Mapping[str, str]:
    # Reading them takes 7 ms on a PC, and the library asks for every configuration it creates.
    return find_entry_points(group)


def _load(kind: str, reference: str) -> Any:
    try:
        with third_party(lambda error: ConfigError(f"{type(error).__name__}: {error}"), passes=()):
            return load_entry_point(reference)
    except ConfigError as error:
        # A broken package is reported where it is used; its options are not checked.
        _log.warning("the options of %s cannot be read: %s", kind, error)
        return None


def _struct(found: object) -> type[msgspec.Struct] | None:
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


def _third_party_facts() -> Iterator[VendorFacts]:
    references = [reference for group in GROUPS for reference in find_entry_points(group).values()]
    modules = {reference.partition(":")[0] for reference in references}
    folders = {_folder_of(module) for module in modules if not module.startswith("voxd.")}
    for file in sorted(folder / FILE for folder in folders if folder is not None):
        try:
            if file.is_file():
                yield _read(file)
        except (OSError, ValueError) as error:
            # A broken package must not keep the daemon from starting.
            _log.warning("facts of a package cannot be read: %s: %s", file, error)


def _folder_of(module: str) -> Path | None:
    """Return the folder of ``module`` without importing it or its packages."""
    places = None
    spec = None
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        # `importlib.util.find_spec` would import the parent packages.
        name = ".".join(parts[:length])
        specs = (finder.find_spec(name, places) for finder in sys.meta_path)
        spec = next((each for each in specs if each is not None), None)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _read(file: Path) -> VendorFacts:
    return msgspec.convert(tomli.loads(file.read_text("utf-8")), VendorFacts)
