"""voxd turns a Raspberry Pi into a voice appliance, and Python programs into voice assistants.

The library: `VoiceEngine`, its configuration, events, providers and errors. ``EngineError`` is the root of
all errors (`voxd.errors.VoxdError`) and ``ConnectionError`` is `voxd.errors.ConnectionFailed`: after
``except AuthenticationError`` and ``except ConnectionError``, ``except EngineError`` catches the rest.
Nothing is imported before it is used, because the daemon's small audio processes import this package too.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxd.engine.config import SessionPresets, VoiceEngineConfig
    from voxd.engine.voice_engine import EngineState, VoiceEngine
    from voxd.errors import (
        AudioError,
        AuthenticationError,
        NotConnected,
        ProviderError,
        RateLimited,
        StreamError,
    )
    from voxd.errors import ConnectionFailed as ConnectionError
    from voxd.errors import VoxdError as EngineError
    from voxd.events import Event, EventType
    from voxd.providers.base import BaseProvider, Capabilities
    from voxd.providers.pipeline.stages.registry import register_stage
    from voxd.providers.registry import register_provider
    from voxd.providers.settings import SessionConfig, ToolSpec
    from voxd.providers.tools import Tool, tool
    from voxd.providers.usage import Cost, Usage

__version__ = "0.1.0"

__all__ = [
    "AudioError",
    "AuthenticationError",
    "BaseProvider",
    "Capabilities",
    "ConnectionError",
    "Cost",
    "EngineError",
    "EngineState",
    "Event",
    "EventType",
    "NotConnected",
    "ProviderError",
    "RateLimited",
    "SessionConfig",
    "SessionPresets",
    "StreamError",
    "Tool",
    "ToolSpec",
    "Usage",
    "VoiceEngine",
    "VoiceEngineConfig",
    "__version__",
    "register_provider",
    "register_stage",
    "tool",
]

_HOMES = {
    "EngineState": ("voxd.engine.voice_engine", "EngineState"),
    "VoiceEngine": ("voxd.engine.voice_engine", "VoiceEngine"),
    "AudioError": ("voxd.errors", "AudioError"),
    "AuthenticationError": ("voxd.errors", "AuthenticationError"),
    "NotConnected": ("voxd.errors", "NotConnected"),
    "ProviderError": ("voxd.errors", "ProviderError"),
    "RateLimited": ("voxd.errors", "RateLimited"),
    "StreamError": ("voxd.errors", "StreamError"),
    "ConnectionError": ("voxd.errors", "ConnectionFailed"),
    "EngineError": ("voxd.errors", "VoxdError"),
    "Event": ("voxd.events", "Event"),
    "EventType": ("voxd.events", "EventType"),
    "VoiceEngineConfig": ("voxd.engine.config", "VoiceEngineConfig"),
    "SessionPresets": ("voxd.engine.config", "SessionPresets"),
    "BaseProvider": ("voxd.providers.base", "BaseProvider"),
    "Capabilities": ("voxd.providers.base", "Capabilities"),
    "register_provider": ("voxd.providers.registry", "register_provider"),
    "register_stage": ("voxd.providers.pipeline.stages.registry", "register_stage"),
    "SessionConfig": ("voxd.providers.settings", "SessionConfig"),
    "ToolSpec": ("voxd.providers.settings", "ToolSpec"),
    "Tool": ("voxd.providers.tools", "Tool"),
    "tool": ("voxd.providers.tools", "tool"),
    "Cost": ("voxd.providers.usage", "Cost"),
    "Usage": ("voxd.providers.usage", "Usage"),
}
"""Where each public name is: the module, and its name there."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module voxd has no attribute {name}") from None
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
