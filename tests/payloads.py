"""Judges events by the table of payloads: by what was really emitted, and by what the source text emits."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from voxd.events import EVENT_TYPES, Absent, EventType

EMITTERS = {"emit", "_emit", "_tell", "note", "_note", "emit_event", "ProviderEvent"}


def problem(type: str, data: Mapping[str, Any]) -> str:
    """What is wrong with the ``data`` of an event, "" if nothing; a user's own types may hold anything."""
    if type not in EVENT_TYPES:
        return ""
    payload = EVENT_TYPES[EventType(type)]
    fields = [
        (name, kind, msgspec.UNSET) if _is_optional(kind) else (name, kind)
        for name, kind in payload.fields.items()
    ]
    struct = msgspec.defstruct(EventType(type).name, fields, forbid_unknown_fields=True, kw_only=True)
    try:
        msgspec.convert(dict(data), struct)
    except msgspec.ValidationError as error:
        return f"{type}: {error}"
    return ""


@dataclass(frozen=True)
class Emission:
    """One place in the source that emits a type; ``is_whole``: all of its data is written there."""

    place: str
    type: EventType
    names: frozenset[str]
    is_whole: bool

    def problem(self) -> str:
        """What is wrong with it, "" if nothing."""
        fields = EVENT_TYPES[self.type].fields
        required = {name for name, kind in fields.items() if not _is_optional(kind)}
        unknown = self.names - set(fields)
        missing = required - self.names if self.is_whole else set()
        if unknown or missing:
            return f"{self.place}: {self.type}: unknown {sorted(unknown)}, missing {sorted(missing)}"
        return ""


def emissions(path: Path) -> Iterator[Emission]:
    """Every place of the source file ``path`` that emits an event with its type spelled out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and _called(node) in EMITTERS:
            # `note` and `_tell` are words that others use too.
            type = _type_of(node.args[0], is_event=_called(node) in {"emit", "_emit", "emit_event"})
            if type is not None:
                names, is_whole = _names(node)
                # What the library's parts say is completed on its way to the caller.
                is_whole = is_whole and "engine" not in path.parts
                yield Emission(f"{path}:{node.lineno}", type, names, is_whole)


def _is_optional(kind: Any) -> bool:
    return Absent in get_args(kind)


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _type_of(node: ast.expr, *, is_event: bool) -> EventType | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return EventType(node.value) if node.value in EVENT_TYPES or is_event else None
    if isinstance(node, ast.Attribute) and node.attr in EventType.__members__:
        return EventType[node.attr]
    return None


def _names(node: ast.Call) -> tuple[frozenset[str], bool]:
    names = {keyword.arg for keyword in node.keywords if keyword.arg} - {"turn"}
    # A provider's events are completed by the session that drives it.
    is_whole = _called(node) in {"emit", "_emit", "_tell"}
    parts = [keyword.value for keyword in node.keywords if keyword.arg is None] + node.args[1:]
    for part in parts:
        if isinstance(part, ast.Dict):
            names |= {key.value for key in part.keys if isinstance(key, ast.Constant)}
            is_whole = is_whole and all(isinstance(key, ast.Constant) for key in part.keys)
        else:
            is_whole = False
    return frozenset(names), is_whole
