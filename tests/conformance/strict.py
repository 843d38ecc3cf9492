"""Makes the lenient types of a vendor's SDK strict: required fields, literals, and no unknown fields.

The SDK's models allow extra fields, and its own parser validates nothing; so a frame is validated against
the one model whose literal ``type`` it bears, and then searched for fields that no model declares.
"""

import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError


def models_of(kind: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in a possibly nested and annotated union."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    else:
        for part in typing.get_args(kind):
            yield from models_of(part)


def by_type(union: Any) -> dict[str, type[BaseModel]]:
    """Map each literal ``type`` of ``union`` to its model."""
    return {
        name: model
        for model in models_of(union)
        if "type" in model.model_fields
        for name in typing.get_args(model.model_fields["type"].annotation)
    }


def complaint(union: Any, frame: Mapping[str, Any], *, unknown_fields: bool = False) -> str:
    """Return what is wrong with ``frame``, "" when nothing is.

    ``unknown_fields`` allows them: vendors add fields to what they send, clients may add none.
    """
    model = by_type(union).get(frame.get("type", ""))
    if model is None:
        return f"there is no type {frame.get('type')!r}"
    try:
        found = TypeAdapter(model).validate_python(dict(frame))
    except ValidationError as error:
        return str(error)
    extra = [] if unknown_fields else list(_extra(found, str(frame["type"])))
    return f"unknown fields: {', '.join(extra)}" if extra else ""


def complaints(union: Any, frames: Iterable[Mapping[str, Any]], *, unknown_fields: bool = False) -> list[str]:
    """Return what is wrong with each of ``frames`` that something is wrong with."""
    found = (complaint(union, frame, unknown_fields=unknown_fields) for frame in frames)
    return [each for each in found if each]


def _extra(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _extra(getattr(value, name, None), f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _extra(each, f"{path}[{index}]")
