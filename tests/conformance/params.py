"""Makes the types of a vendor's requests strict: required fields, literals, no other fields, at any depth.

His SDK describes a request by TypedDicts whose lists are ``Iterable``, which pydantic checks when somebody
iterates, so never; and which allow other fields. Both are changed while an adapter is built, and put back.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

from pydantic import TypeAdapter, ValidationError
from pydantic_core import core_schema
from typing_extensions import is_typeddict

_CONFIG = "__pydantic_config__"


class Judge:
    """Says what is wrong with a request of ``kind``, a TypedDict of ``package``."""

    def __init__(self, package: str, kind: Any) -> None:
        eager = mock.patch.object(core_schema, "generator_schema", core_schema.list_schema)
        with _closed(package), eager:
            self._adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def complaint(self, body: Any) -> str:
        """Return what is wrong, "" when nothing is."""
        try:
            self._adapter.validate_python(body)
        except ValidationError as error:
            return str(error)
        return ""


@contextlib.contextmanager
def _closed(package: str) -> Iterator[None]:
    """Let no TypedDict of ``package`` have other fields than its own."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(f"{package}.")]
    found = {
        kind
        for module in modules
        for kind in list(vars(module).values())
        if is_typeddict(kind) and _CONFIG not in vars(kind)
    }
    for kind in found:
        setattr(kind, _CONFIG, {"extra": "forbid"})
    try:
        yield
    finally:
        for kind in found:
            delattr(kind, _CONFIG)
