"""Reads the answers of speech vendors: an extra field of a wrong type does not void a good transcript.

Vendors, proxies and compatible servers send numbers as text, null for a list, or fields of another version.
What an answer is about must be right; anything with a default may be wrong, and then counts as absent.
"""

import types
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from voxd.json_text import decode_json

T = TypeVar("T")

# Fields that are the answer itself: a list or an object there is an error, although they have a default.
_WORDS = frozenset({"text", "transcript", "display_text", "delta", "type"})


class WrongWords(msgspec.ValidationError):
    """The words themselves are no text: they must not be lost in silence."""


def decode(body: str | bytes, kind: type[T]) -> T:
    """Return the JSON ``body`` as ``kind``. Raises `msgspec.DecodeError` when it is invalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError:
        return convert(decode_json(body), kind)


def convert(value: Any, kind: type[T]) -> T:
    """Return ``value`` as ``kind``. Raises `msgspec.ValidationError`, which names no value."""
    found: T = _convert(value, kind)
    return found


def _convert(value: Any, kind: Any) -> Any:
    try:
        # Not strict: "0.98" is a number, and "true" is a boolean.
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            return _struct(value, kind)
        if get_origin(kind) in {list, tuple} and isinstance(value, list):
            return _items(value, get_args(kind)[0], get_origin(kind) or list)
        if get_origin(kind) in {Union, types.UnionType}:
            return _first(value, get_args(kind))
        raise


def _struct(value: dict[str, Any], kind: type[msgspec.Struct]) -> msgspec.Struct:
    found = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in value:
            if field.required:
                raise msgspec.ValidationError(f"Object missing required field `{field.encode_name}`")
            continue
        item = value[field.encode_name]
        try:
            found[field.name] = _convert(item, field.type)
        except WrongWords:
            raise
        except msgspec.ValidationError as error:
            if field.name in _WORDS and item is not None:
                raise WrongWords(str(error)) from None
            if field.required:
                raise
    return kind(**found)


def _items(values: list[Any], kind: Any, container: Any) -> Any:
    found = []
    for value in values:
        try:
            found.append(_convert(value, kind))
        except WrongWords:
            raise
        except msgspec.ValidationError:
            continue
    return container(found)


def _first(value: Any, kinds: tuple[Any, ...]) -> Any:
    for kind in kinds:
        try:
            return _convert(value, kind)
        except WrongWords:
            raise
        except msgspec.ValidationError:
            continue
    raise msgspec.ValidationError("the value has an unexpected type")
