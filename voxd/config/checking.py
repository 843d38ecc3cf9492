"""Checks settings against the schema key by key and reports all mistakes at once."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import NODEFAULT
from msgspec import inspect as mi

from voxd.config import schema_types
from voxd.config.files.access import Unchecked, View
from voxd.config.layers import Layer, from_toml, merge
from voxd.config.mistakes.numbers import meant_number
from voxd.config.mistakes.pins import LAST_LINE, meant_line
from voxd.config.mistakes.words import did_you_mean, meant_word
from voxd.config.problems import Finding, Place, Problem, Severity, dotted
from voxd.config.provider_rules import GetFacts
from voxd.config.rules import check_rules
from voxd.config.secrets import SOURCES
from voxd.config.toml_lines import KeyPath

_PIN_KEYS = ("pin", "pins", "mute_switch_pin")


def check(texts: Mapping[str, str], *, get_facts: GetFacts, view: View | None = None) -> list[Problem]:
    """Return all problems of TOML texts by file name, sorted by file and line; later files override.

    Without a ``view`` no file that a key names is looked at.
    """
    layers, problems = [], []
    for file, text in texts.items():
        layer, broken = from_toml(file, text)
        layers.append(layer)
        problems += broken
    return sort_problems(
        problems + check_settings(merge(layers), view=view or Unchecked(), get_facts=get_facts)
    )


def check_settings(settings: Layer, *, get_facts: GetFacts, view: View) -> list[Problem]:
    """Return all problems of merged settings.

    ``view`` says which files can be used, ``get_facts`` returns the facts about providers.
    """
    findings = list(check_schema(settings.data))
    # The rules read a key with a mistake as absent, so that one mistake is reported once; so is
    # what a misspelt key was meant to be.
    spoiled = {finding.path for finding in findings}
    meant = {(*path[:-1], key) for path in spoiled if (key := _meant_key(path))}
    spoiled |= {path for path in meant if path not in settings.places}
    findings += check_rules(settings.data, spoiled, view, get_facts)
    problems = []
    for finding in findings:
        # A missing key has the line of its table; a default that breaks a rule has none.
        place = settings.place(finding.path) or Place("configuration")
        key, severity = dotted(finding.path), finding.severity
        problems.append(Problem(place.file, place.line, key, severity, finding.message, finding.hint))
    return problems


def _meant_key(path: KeyPath) -> str:
    kind = schema_types.bare(schema_types.kind_at(path[:-1]) or schema_types.root()) if path else None
    if not isinstance(kind, mi.StructType) or not isinstance(path[-1], str):
        return ""
    known = [field.encode_name for field in kind.fields]
    return "" if path[-1] in known else meant_word(path[-1], known)


def check_schema(data: dict[str, Any]) -> Iterator[Finding]:
    """Yield all mistakes against the schema; none means that ``data`` can be converted to a `Config`."""
    return _check(schema_types.root(), data, ())


def sort_problems(problems: list[Problem]) -> list[Problem]:
    """Return ``problems`` sorted by line within each file, files in order of first mention.

    Of a line with a syntax error only that is kept: the others follow from it.
    """
    broken = {(problem.file, problem.line) for problem in problems if problem.line and not problem.key}
    problems = [each for each in problems if not each.key or (each.file, each.line) not in broken]
    # Not by name: the main file comes before conf.d, as it is read.
    files = {problem.file: 0 for problem in problems}
    ranks = {file: rank for rank, file in enumerate(files)}
    return sorted(problems, key=lambda problem: (ranks[problem.file], problem.line))


def _check(kind: mi.Type, value: Any, path: KeyPath, default: Any = NODEFAULT) -> Iterator[Finding]:
    kind = schema_types.bare(kind)
    if tables := schema_types.variants(kind):
        yield from _check_variant(tables, value, path)
        return
    match kind:
        case mi.StructType():
            yield from _check_table(kind, value, path)
        case mi.DictType():
            yield from _check_dict(kind, value, path)
        case mi.VarTupleType():
            yield from _check_list(kind, value, path)
        case mi.CustomType():
            yield from _check_secret(kind, value, path)
        case mi.AnyType():
            return
        case _ if not schema_types.fits(kind, value):
            message = f"expected {schema_types.in_words(kind)}, got {_shown(value)}"
            yield _error(path, message, _suggest(kind, value, path, default))


def _check_table(kind: mi.StructType, value: Any, path: KeyPath) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _error(path, f"expected a table, got {_shown(value)}", f"[{dotted(path)}]")
        return
    fields = {field.encode_name: field for field in kind.fields}
    meant = set()
    for key, item in value.items():
        if key in fields:
            yield from _check(fields[key].type, item, (*path, key), schema_types.default_of(fields[key]))
        elif key != kind.tag_field:
            meant.add(meant_word(key, fields))
            yield _unknown(key, item, list(fields), path)
    for key, field in fields.items():
        # A misspelt key is not also a missing one.
        if field.required and key not in value and key not in meant:
            hint = f"{key} = {_example(schema_types.bare(field.type))}"
            yield _error(path, f"{key} is missing", hint)


def _check_variant(tables: dict[str, mi.StructType], value: Any, path: KeyPath) -> Iterator[Finding]:
    tag_field = next(iter(tables.values())).tag_field or "type"
    wanted = ", ".join(f'"{tag}"' for tag in tables)
    if not isinstance(value, dict):
        yield _error(path, f"expected a table, got {_shown(value)}", f"[{dotted(path)}]")
    elif tag_field not in value:
        yield _error(path, f"{tag_field} is missing", f"{tag_field} = one of {wanted}")
    elif (tag := value[tag_field]) not in tables:
        hint = did_you_mean(tag, list(tables))
        yield _error((*path, tag_field), f"expected one of {wanted}, got {_shown(tag)}", hint)
    else:
        yield from _check_table(tables[tag], value, path)


def _check_dict(kind: mi.DictType, value: Any, path: KeyPath) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _error(path, f"expected a table, got {_shown(value)}", f"[{dotted(path)}]")
        return
    for key, item in value.items():
        if not schema_types.fits(schema_types.bare(kind.key_type), key):
            yield _error((*path, key), f"a name has {schema_types.NAME_RULE}", "rename it")
        yield from _check(kind.value_type, item, (*path, key))


def _check_list(kind: mi.VarTupleType, value: Any, path: KeyPath) -> Iterator[Finding]:
    if not isinstance(value, list):
        of_tables = isinstance(schema_types.bare(kind.item_type), mi.StructType)
        hint = f"[[{dotted(path)}]]" if of_tables else f"{path[-1]} = {_as_list(path, value)}"
        yield _error(path, f"expected a list, got {_shown(value)}", hint)
        return
    if len(value) < (kind.min_length or 0):
        yield _error(path, f"expected at least {kind.min_length} element, got none")
    for index, item in enumerate(value):
        yield from _check(kind.item_type, item, (*path, index))


def _as_list(path: KeyPath, value: Any) -> str:
    """Return ``value``, written where a list belongs, as the list that it probably means."""
    parts = [value]
    if isinstance(value, str) and path[-1] == "command":
        try:
            parts = shlex.split(value)
        except ValueError:
            # Quotes that do not end: a single program then.
            parts = [value]
    elif isinstance(value, str) and path[-1] != "sentences":
        parts = [part.strip() for part in value.split(",") if part.strip()]
    return f"[{', '.join(map(schema_types.toml_value, parts))}]"


def _check_secret(kind: mi.CustomType, value: Any, path: KeyPath) -> Iterator[Finding]:
    if isinstance(value, str):
        return
    known = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SOURCES
    if not known or not all(isinstance(name, str) and name for name in value.values()):
        # The wrong value may be the secret itself: do not print it.
        yield _error(
            path, f"expected {schema_types.in_words(kind)}", f'{path[-1]} = {{ credential = "name" }}'
        )


def _suggest(kind: mi.Type, value: Any, path: KeyPath, default: Any) -> str:
    """Return a corrected setting that can be copied into the file."""
    assign = f"{path[-1]} = " if isinstance(path[-1], str) else ""
    if isinstance(kind, mi.LiteralType):
        return did_you_mean(value, [str(allowed) for allowed in kind.values])
    if isinstance(kind, mi.BoolType):
        meant = str(value).lower() in {"true", "yes", "on", "1", "enabled", "ja", "oui", "si", "y"}
        return assign + schema_types.toml_value(meant)
    if isinstance(kind, mi.IntType | mi.FloatType):
        return assign + _number_for(kind, value, path, default)
    if isinstance(kind, mi.StrType) and kind.pattern and isinstance(value, str):
        name = re.sub(r"[^a-z0-9_-]+", "_", value.strip().casefold()).strip("_")
        return f'{assign}"{name}"' if schema_types.fits(kind, name) else ""
    if isinstance(kind, mi.StrType) and not isinstance(value, dict | list | str):
        return f'{assign}"{schema_types.toml_value(value)}"'
    return ""


def _number_for(kind: mi.IntType | mi.FloatType, value: Any, path: KeyPath, default: Any) -> str:
    """Return the number that is meant, the maximum for a larger one, else the default."""
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if key in _PIN_KEYS:
        # Not the text of a number: "-1" would be line 1, and 17.0 none.
        line = int(value) if _is_number(value) and 0 <= value <= LAST_LINE else None
        if isinstance(value, str):
            line = meant_line(value)
        return "17" if line is None else str(line)
    number = meant_number(value, key, lambda number: schema_types.fits(kind, number))
    if number is not None:
        return str(number)
    if _is_number(value) and kind.le is not None and value > kind.le:
        return str(kind.le)
    # Not the minimum, which is rarely useful: a volume of 0 is silence.
    return schema_types.toml_value(default) if schema_types.fits(kind, default) else _example(kind)


def _is_number(value: Any) -> bool:
    # TOML keeps true apart from 1, and Python does not.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _example(kind: mi.Type) -> str:
    match kind:
        case mi.IntType() | mi.FloatType():
            return str(kind.ge if kind.ge is not None else 1)
        case mi.StrType() if kind.pattern:
            return '"a_name"'
        case mi.StrType():
            return '"..."'
        case mi.VarTupleType():
            return '["..."]'
    return "{ ... }"


def _unknown(key: str, value: Any, known: list[str], path: KeyPath) -> Finding:
    where = (*path, key)
    # A key in the wrong table is more likely than a spelling mistake of another key.
    section = _section_of(key) if path or not isinstance(value, dict) else ""
    hint = f"{key} belongs to [{section}]" if section else did_you_mean(key, known)
    if not hint and path[:1] == ("providers",):
        hint = f"write what only its kind knows as options = {{ {key} = ... }}"
    if not hint and not path and isinstance(value, dict) and {"api_key", "kind"} & value.keys():
        hint = f"write [providers.{key}]"
    what = "section" if not path and isinstance(value, dict | list) else "key"
    return _error(where, f"unknown {what}", hint or f"known keys: {', '.join(known)}")


def _section_of(key: str) -> str:
    sections = [
        section.encode_name
        for section in schema_types.root().fields
        if isinstance(kind := schema_types.bare(section.type), mi.StructType)
        and any(field.encode_name == key for field in kind.fields)
    ]
    # "enabled" belongs to several: that says nothing.
    return sections[0] if len(sections) == 1 else ""


def _error(path: KeyPath, message: str, hint: str = "") -> Finding:
    return Finding(path, Severity.ERROR, message, hint)


def _shown(value: Any) -> str:
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
    text = schema_types.toml_value(value)
    # A problem is one line that editors and terminals show whole.
    return text if len(text) <= 40 else f"{text[:37]}..."
