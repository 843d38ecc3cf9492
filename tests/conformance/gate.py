"""Holds every frame of any test to the vendor's strict types, where the vendor's SDK is installed."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any


def realtime_complaints(frames: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with frames that were sent to an OpenAI Realtime server; [] without the SDK."""
    if find_spec("openai") is None:
        return []
    from openai.types.realtime import RealtimeClientEvent

    from tests.conformance.strict import complaints

    return complaints(RealtimeClientEvent, frames)


def live_complaints(frames: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with frames that were sent to a GPT-Live server; [] without the SDK."""
    if find_spec("openai") is None:
        return []
    from openai.types.live.client_event import ClientEvent

    from tests.conformance.strict import complaints

    return complaints(ClientEvent, frames)


def streaming_complaints(frames: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with frames that were sent to AssemblyAI's streaming API; [] without the SDK."""
    if find_spec("assemblyai") is None:
        return []
    from assemblyai.streaming.v3 import models

    from tests.conformance.strict import complaints

    known = models.TerminateSession | models.ForceEndpoint | models.KeepAlive | models.UpdateConfiguration
    return complaints(known, frames)
