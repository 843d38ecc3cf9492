"""Writes a configuration and the commented sample as TOML, and the schema as JSON Schema for editors."""

import textwrap
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import inspect as mi

from voxd.config import schema_types
from voxd.config.problems import dotted
from voxd.config.schema import Config
from voxd.config.schema_types import toml_key, toml_value
from voxd.config.secrets import SOURCES, to_builtins
from voxd.config.toml_lines import KeyPath

_HEAD = """\
The configuration of voxd. Every key is here, commented out, with its default or an example: remove the "#" to
change it. `voxctl config reload` applies changes of "live" keys; the others need a restart. Files in conf.d/
beside this file are read after it. Refer to secrets by name; do not put them in this file. Lists of providers
are in order of preference. `voxctl config check` reports every problem."""

# Values shown for keys without a default, or with one that is not a useful example.
_EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "endpoint.silence_s": 0.7,
        "providers.openai.kind": "openai",
        "providers.openai.api_key": {"credential": "openai_key"},
        "providers.openai.requests_per_minute": 100,
        "providers.openai.tokens_per_minute": 50_000,
        "providers.openai.max_concurrent": 4,
        "providers.openai.queue_excess": False,
        "providers.openai.max_queue_size": 3,
        "providers.openai.usd_per_day": 2.0,
        "pipelines.cloud.llm": ("openai",),
        "pipelines.cloud.max_output_tokens": 300,
        "pipelines.cloud.temperature": 0.7,
        "spend.usd_per_day": 5.0,
        "prices.model": "llama-4*",
        "prices.usd_per_million_input": 0.2,
        "prices.usd_per_million_cached": 0.1,
        "prices.usd_per_million_output": 0.6,
        "prices.usd_per_million_audio_input": 10.0,
        "prices.usd_per_million_audio_cached": 0.3,
        "prices.usd_per_million_audio_output": 20.0,
        "prices.usd_per_million_characters": 15.0,
        "prices.usd_per_minute": 0.006,
        "prices.usd_per_request": 0.001,
        "rate_limit.requests_per_minute": 20,
        "rate_limit.tokens_per_minute": 50_000,
        "rate_limit.max_concurrent": 2,
        "button.pin": 17,
        "button.mute_switch_pin": 27,
        "skills.commands.name": "lamp",
        "skills.commands.sentences": ("(turn|switch) on [the] {room} light",),
        "skills.commands.slots": {"room": ("kitchen", "hall")},
        "skills.commands.action.command": ("lamp", "on", "{room}"),
        "skills.commands.action.url": "http://lamp.local/{room}",
        "skills.commands.action.body": '{"on": true}',
        "skills.commands.action.headers": {"Authorization": {"credential": "lamp_token"}},
        "skills.commands.action.text": "The {room} has no lamp.",
    }
)

# The names of example tables where there is none by default.
_EXAMPLE_TABLES: Mapping[str, str] = MappingProxyType({"providers": "openai", "pipelines": "cloud"})

_WIDTH = 110


def sample() -> str:
    """Return voxd.toml with every key commented out, which is equal to the defaults."""
    lines = [*_prose(_HEAD), "", "version = 1"]
    for field in schema_types.root().fields:
        if field.encode_name != "version":
            lines += _field(field, (field.encode_name,), commented=False)
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of voxd.toml."""
    reference = {
        "type": "object",
        "properties": {source: {"type": "string", "minLength": 1} for source in SOURCES},
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    # `Secret` is the only type of the schema that msgspec does not know.
    secret = {"anyOf": [{"type": "string"}, reference]}
    schema = msgspec.json.schema(schema_types.root().cls, schema_hook=lambda _: secret)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "voxd.toml", **schema}


def _field(field: mi.Field, path: KeyPath, *, commented: bool) -> Iterator[str]:
    """Yield the lines of a key; ``commented`` when its table is commented out."""
    kind = schema_types.bare(field.type)
    default = schema_types.default_of(field)
    match kind:
        case mi.StructType():
            yield from _table(kind, path, commented=commented)
        case mi.DictType(value_type=mi.StructType() as value):
            for name in default:
                yield from _table(value, (*path, name), commented=commented)
            if not default:
                yield from _table(value, (*path, _EXAMPLE_TABLES[dotted(path)]), commented=True)
        case mi.VarTupleType(item_type=mi.StructType() as element):
            yield from _element(element, path, default[0] if default else None)
        case _:
            yield from _key(field, path, default)


def _table(kind: mi.StructType, path: KeyPath, *, commented: bool) -> Iterator[str]:
    yield ""
    yield from _prose(kind.cls.__doc__ or "")
    yield f"{'#' * commented}[{dotted(path)}]"
    yield from _fields(kind, path, commented=commented)


def _fields(kind: mi.StructType, path: KeyPath, *, commented: bool) -> Iterator[str]:
    # TOML: a key after the header of an inner table would belong to that one.
    for field in sorted(kind.fields, key=_opens_table):
        yield from _field(field, (*path, field.encode_name), commented=commented)


def _opens_table(field: mi.Field) -> bool:
    match schema_types.bare(field.type):
        case mi.StructType() | mi.DictType(value_type=mi.StructType()):
            return True
        case mi.VarTupleType(item_type=mi.StructType()):
            return True
        case mi.UnionType():
            return True
    return False


def _element(kind: mi.StructType, path: KeyPath, default: Any) -> Iterator[str]:
    """Yield an example element of a list of tables for each variant of its tagged union."""
    unions = {
        field.encode_name: schema_types.variants(schema_types.bare(field.type)) for field in kind.fields
    }
    name, tables = next(((name, tables) for name, tables in unions.items() if tables), ("", {}))
    for number, tag in enumerate(tables or ("",)):
        yield ""
        yield from _prose(kind.cls.__doc__ or "")
        yield f"#[[{dotted(path)}]]"
        for field in kind.fields:
            inner = (*path, field.encode_name)
            if field.encode_name == name:
                continue
            # Two elements with one name are an error once every "#" is removed.
            suffix = f"_{number + 1}" if number and field.encode_name == "name" else ""
            known = getattr(default, field.name) if default else schema_types.default_of(field)
            yield from _key(field, inner, known, suffix=suffix)
        if tag:
            table = (*path, name)
            yield from _prose(tables[tag].cls.__doc__ or "")
            yield f"#[{dotted(table)}]"
            yield f"#{tables[tag].tag_field} = {toml_value(tag)}"
            yield from _fields(tables[tag], table, commented=True)


def _key(field: mi.Field, path: KeyPath, default: Any, *, suffix: str = "") -> Iterator[str]:
    notes = schema_types.notes(field.type)
    expected = schema_types.in_words(schema_types.bare(field.type))
    words = [f"{notes['description']}."] if "description" in notes else []
    words.append(f"{expected[0].upper()}{expected[1:]}{'; live' if notes.get('x-live') else ''}.")
    value = _EXAMPLES.get(dotted(path), default)
    if default is None:
        words.append("Unset by default; an example:")
    elif value != default and not isinstance(default, str | tuple):
        words.append("An example:")
    yield from _prose(" ".join(words))
    if suffix:
        value = f"{value}{suffix}"
    yield f"#{field.encode_name} = {toml_value(value)}"


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False)]


def to_toml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """Return ``config`` as TOML; with ``origins`` (see `Loaded`) each line names the origin of its value.

    It can be read again, except literal secrets, which are masked. Unset keys are left out.
    """
    return "\n".join(_written_table(to_builtins(config), (), origins or {})).strip("\n") + "\n"


def _written_table(table: dict[str, Any], path: KeyPath, origins: Mapping[str, str]) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_written_table(value) or _is_tables(value)}
    for key, value in table.items():
        if key not in inner and value is not None:
            origin = _origin(origins, (*path, key))
            yield f"{toml_key(key)} = {toml_value(value)}" + (f"  # {origin}" if origin else "")
    for key, value in inner.items():
        here = (*path, key)
        elements = value if isinstance(value, list | tuple) else [value]
        for index, element in enumerate(elements):
            yield ""
            name = ".".join(toml_key(part) for part in here if isinstance(part, str))
            yield f"[[{name}]]" if _is_tables(value) else f"[{name}]"
            yield from _written_table(element, (*here, index) if _is_tables(value) else here, origins)


def _is_written_table(value: Any) -> bool:
    # The slots of a command, lists alone, read better as an inline table.
    return isinstance(value, dict) and any(not isinstance(item, list | tuple) for item in value.values())


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value)


def _origin(origins: Mapping[str, str], path: KeyPath) -> str:
    key = dotted(path)
    # An inline table has no origin, only its keys have one.
    return origins.get(key) or next((at for name, at in origins.items() if name.startswith(f"{key}.")), "")
