"""Holds every frame a test sends to Gemini Live to the vendor's strict types, where its SDK is installed."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any


def live_complaints(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with messages that were sent to Gemini Live; [] without the SDK.

    `LiveClientSetup` lacks ``realtimeInputConfig``, which the SDK itself sends: that part is checked against
    its own type.
    """
    if find_spec("google.genai") is None:
        return []
    from google.genai.types import LiveClientMessage, RealtimeInputConfig
    from pydantic import ValidationError

    found = []
    for message in messages:
        rest = dict(message)
        try:
            if "setup" in rest:
                rest["setup"] = dict(rest["setup"])
                RealtimeInputConfig.model_validate(rest["setup"].pop("realtimeInputConfig"))
            LiveClientMessage.model_validate(rest)
        except ValidationError as error:
            found.append(str(error))
    return found
