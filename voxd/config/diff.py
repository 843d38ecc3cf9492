"""Compares two configurations: which changed keys a reload applies, and which need a restart."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect as mi

from voxd.config import schema_types
from voxd.config.problems import dotted
from voxd.config.schema import Config
from voxd.config.toml_lines import KeyPath


def diff(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the changed keys: those marked x-live in the schema, and those that need a restart.

    Elements of lists of equal length are compared one by one; otherwise the list is one key.
    """
    applied_live: list[str] = []
    needs_restart: list[str] = []
    for path, live in _differences(schema_types.root(), old, new, (), live=False):
        (applied_live if live else needs_restart).append(dotted(path))
    return tuple(applied_live), tuple(needs_restart)


def _differences(
    kind: mi.Type, old: Any, new: Any, path: KeyPath, *, live: bool
) -> Iterator[tuple[KeyPath, bool]]:
    # A secret is equal by value and source, so that a rotated key is a change.
    if old == new:
        return
    kind = schema_types.bare(kind)
    if isinstance(kind, mi.StructType):
        for field in kind.fields:
            inner = (*path, field.encode_name)
            # Everything below a live table is live.
            marked = live or bool(schema_types.notes(field.type).get("x-live"))
            before, after = getattr(old, field.name), getattr(new, field.name)
            yield from _differences(field.type, before, after, inner, live=marked)
    elif isinstance(kind, mi.VarTupleType) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _differences(kind.item_type, before, after, (*path, index), live=live)
    elif isinstance(kind, mi.DictType) and old.keys() == new.keys():
        for key in old:
            yield from _differences(kind.value_type, old[key], new[key], (*path, key), live=live)
    else:
        yield path, live
