"""Typed options of providers: one struct declares names, ranges, defaults and other accepted spellings.

Every option passes through here: of ``voxd.toml``, of the library's ``metadata``, of mock scripts.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar, get_type_hints

import msgspec
from msgspec import inspect as mi

from voxd.config import schema_types
from voxd.config.mistakes.words import did_you_mean
from voxd.config.problems import Severity
from voxd.config.provider_schema import ProviderConfig
from voxd.errors import ConfigError

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)

OptionPath = tuple[str, ...]

# A longer list of names does not help the reader.
_MOST_NAMES = 12
_LONGEST_VALUE = 40
# msgspec's message for a table of ours that forbids unknown keys.
_UNKNOWN_FIELD = re.compile(r"unknown field `([^`]*)`")


class ProviderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the options of a stage or a provider; a plain `msgspec.Struct` will do as well.

    ``aliases``: other names of fields. ``readers`` turn the value of such a name into that of the field; they
    raise `ValueError` with what was expected. ``tables``: names of tables whose keys are fields of this
    struct. ``without_effect``: why a field that is accepted does nothing. ``state``: fields that are not
    options. A name may also be written in camel case or with dashes.
    """

    aliases: ClassVar[Mapping[str, str]] = {}
    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    tables: ClassVar[frozenset[str]] = frozenset()
    without_effect: ClassVar[Mapping[str, str]] = {}
    state: ClassVar[frozenset[str]] = frozenset()


class TransportOptions(ProviderOptions, frozen=True, kw_only=True):
    """How any vendor is reached: a file with certificates of its own, the URL of a proxy."""

    ca_file: str = ""
    proxy: str = ""


# Options that are keys of the table itself, and how vendors spell them.
_LIFTED: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "model_id", "model_name", "speech_model"),
    "voice": ("voice", "voice_id", "voice_name"),
    "language": ("language", "language_code", "lang"),
    "endpoint": ("endpoint", "base_url", "api_base"),
}
# What a session gets beside its options: the table has keys of its own for these.
SESSION_KEYS = frozenset({"headers"})
_LIFTS = {spelling: key for key, spellings in _LIFTED.items() for spelling in spellings}


@dataclass(frozen=True, slots=True)
class OptionMistake:
    """What is wrong with the option at ``path``."""

    path: OptionPath
    message: str
    hint: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.message}"


@dataclass(frozen=True, slots=True)
class OptionTypes:
    """The option structs of one kind by stage ("realtime", "stt", "llm", "tts"); None accepts anything."""

    by_stage: Mapping[str, type[msgspec.Struct] | None]

    @property
    def names(self) -> list[str]:
        """Every name that one of the structs accepts."""
        return known_names(self._declared)

    def knows(self, name: str) -> bool:
        """Whether one of the structs accepts ``name``, or it is a key of the table in another spelling."""
        return snake_case(name) in _LIFTS or any(_knows(kind, name) for kind in self._declared)

    @property
    def _declared(self) -> list[type[msgspec.Struct]]:
        kinds = [kind for kind in self.by_stage.values() if kind is not None]
        return [*kinds, TransportOptions]

    def check(
        self, options: Mapping[str, Any], stages: Iterable[str] = (), beside: Mapping[str, Any] = {}
    ) -> Iterator[OptionMistake]:
        """Yield the mistakes in ``options`` of a provider that is used for ``stages`` (none: any).

        ``beside`` has the keys of the provider's table.
        """
        for name, value in options.items():
            if (other := beside.get(_LIFTS.get(snake_case(str(name)), ""))) and other != value:
                message = f"it is set twice, to {_shown(other)} beside the options"
                yield OptionMistake((str(name),), message, "remove one of them")
        wanted = [stage for stage in stages if stage in self.by_stage] or list(self.by_stage)
        kinds = [self.by_stage[stage] for stage in wanted]
        declared = [kind for kind in kinds if kind is not None]
        if not declared or len(declared) < len(kinds):
            return
        elsewhere = {
            stage: kind for stage, kind in self.by_stage.items() if kind is not None and stage not in wanted
        }
        known: Sequence[type[msgspec.Struct]] = (*declared, TransportOptions)
        yield from _check_names(options, known, elsewhere, ())
        yield from _check_values(options, known)


def check_options(
    options: Mapping[str, Any], kinds: Sequence[type[msgspec.Struct]]
) -> Iterator[OptionMistake]:
    """Yield the mistakes in ``options``, each of which one of ``kinds`` must know."""
    yield from _check_names(options, kinds, {}, ())
    yield from _check_values(options, kinds)


def raise_first(
    mistakes: Iterable[OptionMistake], where: str = "", correction: str = "correct it, or remove it"
) -> None:
    """Raise `ConfigError` for the first of ``mistakes`` that is an error.

    ``where`` names the table; ``correction`` is the hint where the mistake has none.
    """
    for mistake in mistakes:
        if mistake.severity is Severity.ERROR:
            path = f"{where}.{mistake}" if where else str(mistake)
            raise ConfigError(path, hint=mistake.hint or correction)


def read_options(
    options: Mapping[str, Any], kind: type[OptionsT], correction: str = "correct it, or remove it"
) -> OptionsT:
    """Return the options that ``kind`` knows; others are for another stage. Raises `ConfigError`."""
    found: dict[str, Any] = {}
    raise_first(_collect(options, kind, (), found), correction=correction)
    return msgspec.convert(found, kind)


def plain_options(options: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return ``options`` under the names of the fields of ``kind``, with what stands beside them.

    Raises `ConfigError` for the first mistake.
    """
    given = {key: value for key, value in options.items() if key not in SESSION_KEYS}
    raise_first(check_options(given, (kind, TransportOptions)))
    found = {str(key): value for key, value in options.items() if not _knows(kind, str(key))}
    for _ in _collect(options, kind, (), found):
        pass
    return found


def lift_options(table: ProviderConfig) -> ProviderConfig:
    """Return ``table`` with the model, voice, language and endpoint that stand in its options.

    What the table itself sets comes first.
    """
    # The options keep them: a third party's provider may read them there.
    lifted = lifted_options(table.options)
    unset = {key: value for key, value in lifted.items() if not getattr(table, key)}
    return msgspec.structs.replace(table, **unset) if unset else table


def lifted_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the model, voice, language and endpoint that stand in ``options``."""
    named = ((_LIFTS.get(snake_case(str(name))), value) for name, value in options.items())
    return {key: str(value) for key, value in named if key and value}


def without_options(options: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return those of ``options`` that ``kind`` does not know."""
    return {str(key): value for key, value in options.items() if not _knows(kind, str(key))}


def snake_case(name: str) -> str:
    """Return ``name`` as options are written: "voiceSettings", "VoiceSettings" and "voice-settings" agree."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return words.replace("-", "_").lower()


def known_names(kinds: Iterable[type[msgspec.Struct]]) -> list[str]:
    """Return every name that one of ``kinds`` accepts, the fields first."""
    kinds = tuple(kinds)
    fields = [name for kind in kinds for name in _fields(kind)]
    others = [name for kind in kinds for name in (*_aliases(kind), *_tables(kind))]
    return list(dict.fromkeys((*fields, *others)))


def _check_values(
    options: Mapping[str, Any], kinds: Sequence[type[msgspec.Struct]]
) -> Iterator[OptionMistake]:
    # The same option of two stages has the same mistake twice.
    found = [mistake for kind in kinds for mistake in _collect(options, kind, (), {})]
    yield from dict.fromkeys(found)


def _check_names(
    options: Mapping[str, Any],
    kinds: Sequence[type[msgspec.Struct]],
    elsewhere: Mapping[str, type[msgspec.Struct]],
    path: OptionPath,
) -> Iterator[OptionMistake]:
    for key, value in options.items():
        here = (*path, str(key))
        takers = [kind for kind in kinds if _knows(kind, str(key))]
        if lifted := _LIFTS.get(snake_case(str(key))) if not takers else None:
            if not isinstance(value, str) or not value:
                message = f"expected text in quotes, got {_shown(value)}"
                yield OptionMistake(here, message, f'{lifted} = "..."')
        elif not takers:
            yield _unknown(here, kinds, elsewhere)
        elif isinstance(value, Mapping) and all(snake_case(str(key)) in _tables(kind) for kind in takers):
            yield from _check_names(value, takers, {}, here)
        yield from _without_effect(str(key), takers, here)


def _without_effect(
    key: str, takers: Sequence[type[msgspec.Struct]], path: OptionPath
) -> Iterator[OptionMistake]:
    reasons = {getattr(kind, "without_effect", {}).get(_field(kind, key), "") for kind in takers}
    if takers and "" not in reasons:
        message = f"it has no effect: {'; '.join(sorted(reasons))}"
        yield OptionMistake(path, message, "remove it", Severity.WARNING)


def _unknown(
    path: OptionPath, kinds: Sequence[type[msgspec.Struct]], elsewhere: Mapping[str, type[msgspec.Struct]]
) -> OptionMistake:
    key = path[-1]
    for stage, kind in elsewhere.items():
        if _knows(kind, key):
            message = f"it is an option of {stage}, and the provider is not used for that"
            return OptionMistake(path, message, "remove it", Severity.WARNING)
    if key in ProviderConfig.__struct_fields__ and len(path) == 1:
        return OptionMistake(path, "it is not an option", f"set {key} of the provider itself")
    names = known_names(kinds)
    hint = did_you_mean(snake_case(key), [*names, *_LIFTS])
    for stage, kind in elsewhere.items():
        if not hint and (similar := did_you_mean(snake_case(key), known_names([kind]))):
            hint = f"{similar} That is an option of {stage}"
    return OptionMistake(path, "unknown option", hint or _list_of(names))


def _list_of(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return f"known options: {', '.join(names[:_MOST_NAMES])}{more}" if names else "remove it"


def _collect(
    options: Mapping[str, Any], kind: type[msgspec.Struct], path: OptionPath, found: dict[str, Any]
) -> Iterator[OptionMistake]:
    """Put the options that ``kind`` knows into ``found``, by field; yield those with a wrong value."""
    for key, value in options.items():
        here, plain = (*path, str(key)), snake_case(str(key))
        field = _field(kind, str(key))
        if field is None:
            if plain in _tables(kind) and isinstance(value, Mapping):
                yield from _collect(value, kind, here, found)
            elif plain in _tables(kind):
                message = f"expected a table, got {_shown(value)}"
                yield OptionMistake(here, message, f"{key} = {{ ... }}")
            continue
        reader = getattr(kind, "readers", {}).get(plain)
        try:
            value = reader(value) if reader is not None else value
        except ValueError as error:
            yield OptionMistake(here, f"expected {error}, got {_shown(value)}", "")
            continue
        if (problem := _problem(kind, field, value, here)) is not None:
            yield problem
        elif field in found and found[field] != value:
            message = f"{field} is set twice, to {_shown(found[field])} and to {_shown(value)}"
            yield OptionMistake(here, message, "remove one of them")
        else:
            found[field] = value


def _problem(kind: type[msgspec.Struct], field: str, value: Any, path: OptionPath) -> OptionMistake | None:
    wanted = _hints(kind)[field]
    try:
        if isinstance(value, float) and not math.isfinite(value):
            raise msgspec.ValidationError
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        described = _members(mi.type_info(wanted))
        if unknown := _UNKNOWN_FIELD.search(str(error)):
            names = _inner_names(described)
            return OptionMistake(
                path, f'unknown key "{unknown[1]}"', did_you_mean(unknown[1], names) or _list_of(names)
            )
        inner = re.search(r"`\$(\S+)`", str(error))
        place = f" at {inner[1].lstrip('.')}" if inner else ""
        words = " or ".join(dict.fromkeys(map(_in_words, described)))
        message = f"expected {words}, got {_shown(value)}{place}"
        return OptionMistake(path, message, _suggestion(described, path[-1], value))
    return None


def _members(kind: mi.Type) -> list[mi.Type]:
    while isinstance(kind, mi.Metadata):
        kind = kind.type
    if isinstance(kind, mi.UnionType):
        return [each for member in kind.types for each in _members(member)]
    return [] if isinstance(kind, mi.NoneType) else [kind]


def _inner_names(kinds: Iterable[mi.Type]) -> list[str]:
    """Return the names of the fields of all tables within ``kinds``."""
    names: list[str] = []
    for kind in kinds:
        match kind:
            case mi.StructType():
                names += [field.encode_name for field in kind.fields]
                names += _inner_names(each for field in kind.fields for each in _members(field.type))
            case mi.DictType():
                names += _inner_names(_members(kind.value_type))
            case mi.ListType() | mi.VarTupleType():
                names += _inner_names(_members(kind.item_type))
            case mi.TupleType():
                names += _inner_names(each for item in kind.item_types for each in _members(item))
    return list(dict.fromkeys(names))


def _in_words(kind: mi.Type) -> str:
    if isinstance(kind, mi.ListType | mi.VarTupleType):
        return "a list"
    if isinstance(kind, mi.LiteralType) and len(kind.values) == 1:
        return schema_types.toml_value(kind.values[0])
    return schema_types.in_words(kind)


def _suggestion(kinds: Sequence[mi.Type], key: str, value: Any) -> str:
    """Return a hint with a value that can be copied, "" without one."""
    for kind in kinds:
        match kind:
            case mi.LiteralType():
                texts = [str(allowed) for allowed in kind.values if isinstance(allowed, str)]
                if hint := did_you_mean(value, texts):
                    return hint
                if len(kind.values) == 1 or str(value) in map(str, kind.values):
                    same = next((each for each in kind.values if str(each) == str(value)), kind.values[0])
                    return f"{key} = {schema_types.toml_value(same)}"
            case mi.BoolType() if str(value).lower() in {"true", "false", "yes", "no", "on", "off", "1", "0"}:
                return f"{key} = {'true' if str(value).lower() in {'true', 'yes', 'on', '1'} else 'false'}"
            case mi.IntType() | mi.FloatType() if (number := _number(value)) is not None:
                nearest = max(number, kind.ge if kind.ge is not None else number)
                nearest = min(nearest, kind.le if kind.le is not None else nearest)
                if schema_types.fits(kind, nearest):
                    return f"{key} = {nearest}"
            case mi.ListType() | mi.VarTupleType() if isinstance(value, str | int | float):
                return f"{key} = [{schema_types.toml_value(value)}]"
    return ""


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return int(number) if number.is_integer() else number


def _shown(value: Any) -> str:
    try:
        text = schema_types.toml_value(value)
    except (TypeError, AttributeError):
        text = type(value).__name__
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _knows(kind: type[msgspec.Struct], key: str) -> bool:
    return _field(kind, key) is not None or snake_case(key) in _tables(kind)


def _field(kind: type[msgspec.Struct], key: str) -> str | None:
    plain = snake_case(key)
    for name in (key, plain):
        if name in _fields(kind):
            return name
    return _aliases(kind).get(plain)


def _fields(kind: type[msgspec.Struct]) -> list[str]:
    return [name for name in kind.__struct_fields__ if name not in getattr(kind, "state", ())]


def _aliases(kind: type[msgspec.Struct]) -> Mapping[str, str]:
    found: Mapping[str, str] = getattr(kind, "aliases", {})
    return found


def _tables(kind: type[msgspec.Struct]) -> frozenset[str]:
    found: frozenset[str] = getattr(kind, "tables", frozenset())
    return found


@cache
def _hints(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
