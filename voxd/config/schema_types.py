"""The schema as msgspec types, and types and values as text for messages."""

import functools
import json
import math
import re
from typing import Any

from msgspec import NODEFAULT
from msgspec import inspect as mi

from voxd.config.schema import Config
from voxd.config.toml_lines import KeyPath

NAME_RULE = "lower-case letters, digits, _ and -, at most 32"


@functools.cache
def root() -> mi.StructType:
    """Return the schema as a tree of msgspec types."""
    kind = mi.type_info(Config)
    assert isinstance(kind, mi.StructType)
    return kind


def bare(kind: mi.Type) -> mi.Type:
    """Return ``kind`` without its description and without None, which TOML cannot express."""
    while isinstance(kind, mi.Metadata):
        kind = kind.type
    # TOML 1.0 has no null: "unset" is written by leaving the key out.
    if isinstance(kind, mi.UnionType):
        members = [member for member in kind.types if not isinstance(member, mi.NoneType)]
        if len(members) == 1:
            return bare(members[0])
    return kind


def notes(kind: mi.Type) -> dict[str, Any]:
    """Return the description and the mark x-live of a key."""
    return (kind.extra_json_schema or {}) if isinstance(kind, mi.Metadata) else {}


def default_of(field: mi.Field) -> Any:
    """Return the default of ``field``, or `msgspec.NODEFAULT` when it must be given."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def variants(kind: mi.Type) -> dict[str, mi.StructType]:
    """Return the tables of a tagged union by tag; {} for any other type."""
    members = kind.types if isinstance(kind, mi.UnionType) else ()
    return {str(member.tag): member for member in members if isinstance(member, mi.StructType)}


def kind_at(path: KeyPath) -> mi.Type | None:
    """Return the type of the key at ``path``, None for an unknown key."""
    kind: mi.Type = root()
    for part in path:
        found = _inside(bare(kind), part)
        if found is None:
            return None
        kind = found
    return bare(kind)


def _inside(kind: mi.Type, part: str | int) -> mi.Type | None:
    match kind:
        case mi.StructType():
            return next((field.type for field in kind.fields if field.encode_name == part), None)
        case mi.DictType():
            return kind.value_type
        case mi.VarTupleType():
            return kind.item_type if isinstance(part, int) else None
    return None


def fits(kind: mi.Type, value: Any) -> bool:
    """Return whether ``value`` is a plain value (no table, no list) of type ``kind``."""
    match kind:
        case mi.BoolType():
            return isinstance(value, bool)
        case mi.IntType():
            return isinstance(value, int) and not isinstance(value, bool) and _in_range(kind, value)
        case mi.FloatType():
            # TOML has inf and nan; no duration, level or threshold may be either.
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and math.isfinite(value) and _in_range(kind, value)
        case mi.StrType():
            return isinstance(value, str) and re.search(kind.pattern or "", value) is not None
        case mi.LiteralType():
            # By type too: True == 1 in Python, and version = true is not a version.
            return any(value == allowed and type(value) is type(allowed) for allowed in kind.values)
        case mi.UnionType():
            return any(fits(each, value) for each in kind.types)
    raise TypeError(f"the checker does not support {type(kind).__name__}")


def _in_range(kind: mi.IntType | mi.FloatType, value: float) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def in_words(kind: mi.Type) -> str:
    """Return the expected type as text, such as "an integer from 1 to 8"."""
    match kind:
        case mi.BoolType():
            return "true or false"
        case mi.IntType():
            return "an integer" + _range_in_words(kind)
        case mi.FloatType():
            return "a number" + _range_in_words(kind)
        case mi.StrType():
            return f"a name ({NAME_RULE})" if kind.pattern else "text in quotes"
        case mi.LiteralType():
            return "one of " + ", ".join(toml_value(value) for value in kind.values)
        case mi.UnionType():
            return " or ".join(map(in_words, kind.types))
        case mi.VarTupleType():
            return "a list"
        case mi.AnyType():
            return "any value"
        case mi.CustomType():
            return 'text or one of { credential = "name" }, { file = "path" }, { env = "NAME" }'
    return "a table"


def _range_in_words(kind: mi.IntType | mi.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    words = ((" above", kind.gt), (" of at least", kind.ge), (" below", kind.lt), (" up to", kind.le))
    return ",".join(f"{word} {bound}" for word, bound in words if bound is not None)


def toml_value(value: Any) -> str:
    """Return ``value`` as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        # TOML 1.0 "String": a literal string has no escapes, so it cannot hold its own quote or a control
        # character.
        case str() if '"' in value and "'" not in value and value.isprintable():
            return f"'{value}'"
        case str():
            # TOML 1.0 "String": basic strings have all escapes of JSON, but DEL must be escaped as well.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case dict():
            pairs = (f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
            return "{ " + ", ".join(pairs) + " }" if value else "{}"
    return str(value)


def toml_key(key: str) -> str:
    """Return ``key``, quoted if TOML requires it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)
