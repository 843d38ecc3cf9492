"""What every table of the schema is made of: its base, and the types that recur."""

from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Pin = Annotated[int, Meta(ge=0, le=53, description="GPIO line, BCM numbering")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
LIVE = Meta(extra_json_schema={"x-live": True})
"""Marks a key that SIGHUP applies without a restart."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of the file: unknown keys are errors."""
