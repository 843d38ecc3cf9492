"""The headers of a request: those of the vendor's protocol, and over them those its owner has configured."""

import uuid
from collections.abc import Mapping


def merge_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` with ``more``, which win, however their names are written."""
    names = {name.lower() for name in more}
    return {**{name: value for name, value in headers.items() if name.lower() not in names}, **more}


def fill_placeholders(headers: Mapping[str, str], *, wall_s: float) -> dict[str, str]:
    """Return ``headers`` with a new {uuid}, and {unix_s} as whole seconds, in place of these words."""
    return {name: _filled(value, wall_s) for name, value in headers.items()}


def _filled(value: str, wall_s: float) -> str:
    return value.replace("{uuid}", str(uuid.uuid4())).replace("{unix_s}", str(int(wall_s)))
