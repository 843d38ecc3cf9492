"""Which models their vendor will shut down, and when, from a dated list beside this module."""

import fnmatch
import functools
from datetime import date
from importlib.resources import files

import msgspec
import tomli


class Sunset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models that ``ends`` on a day, and what their vendor names ``instead``."""

    models: tuple[str, ...]
    ends: date
    instead: str


class Sunsets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What had been announced on ``date``."""

    date: date
    openai: tuple[Sunset, ...]


@functools.cache
def sunsets() -> Sunsets:
    """Return the list voxd was released with."""
    text = files("voxd.providers").joinpath("sunsets.toml").read_text("utf-8")
    return msgspec.convert(tomli.loads(text), Sunsets)


def sunset_of(kind: str, model: str, endpoint: str = "") -> Sunset | None:
    """Return what was announced for ``model`` of a provider of ``kind``, None when nothing was.

    The first entry that names the model counts. An ``endpoint`` of the owner's is not the vendor's.
    """
    if not kind.startswith("openai") or endpoint:
        return None
    for sunset in sunsets().openai:
        if any(fnmatch.fnmatchcase(model, known) for known in sunset.models):
            return sunset
    return None
