"""What an engine does, as one word."""

from enum import StrEnum


class EngineState(StrEnum):
    """What an engine does."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LISTENING = "listening"
    RESPONDING = "responding"


def state_of(*, connecting: bool, connected: bool, responding: bool, listening: bool) -> EngineState:
    """Return the word that says most: an engine that listens while it responds is responding."""
    if connecting:
        return EngineState.CONNECTING
    if not connected:
        return EngineState.DISCONNECTED
    if responding:
        return EngineState.RESPONDING
    return EngineState.LISTENING if listening else EngineState.CONNECTED
