"""voxd turns a Raspberry Pi into a voice appliance, and Python programs into voice assistants.

The library: `VoiceEngine`, its configuration, events, providers and errors; `send_message` for text without
a session. ``EngineError`` is `VoxdError`, the base of all errors, and ``ConnectionError`` is
`voxd.errors.ConnectionFailed`: after ``except AuthenticationError`` and ``except ConnectionError``,
``except EngineError`` catches the rest.
Nothing is imported before it is used, because the daemon's small audio processes import this package too.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxd.engine.config import SessionPresets, VoiceEngineConfig
    from voxd.engine.messages.client import (
        create_client,
        create_ollama_provider,
        create_openai_compatible_provider,
        send_message,
        stream_message,
    )
    from voxd.engine.messages.values import MessageProvider, MessageReply
    from voxd.engine.reply import Reply
    from voxd.engine.shared_events import ErrorContext, emit, off, on, on_error, on_rate_limit, once
    from voxd.engine.voice_engine import EngineState, VoiceEngine
    from voxd.errors import (
        AudioError,
        AuthenticationError,
        ConfigError,
        ContextTooLong,
        DeadlineExceeded,
        ErrorCode,
        InvalidRequest,
        NoAnswer,
        NotConnected,
        NotFound,
        ProviderError,
        RateLimited,
        StreamError,
        VoxdError,
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
    "ConfigError",
    "ConnectionError",
    "ContextTooLong",
    "Cost",
    "DeadlineExceeded",
    "EngineError",
    "EngineState",
    "ErrorCode",
    "ErrorContext",
    "Event",
    "EventType",
    "InvalidRequest",
    "MessageProvider",
    "MessageReply",
    "NoAnswer",
    "NotConnected",
    "NotFound",
    "ProviderError",
    "RateLimited",
    "Reply",
    "SessionConfig",
    "SessionPresets",
    "StreamError",
    "Tool",
    "ToolSpec",
    "Usage",
    "VoiceEngine",
    "VoiceEngineConfig",
    "VoxdError",
    "__version__",
    "create_client",
    "create_ollama_provider",
    "create_openai_compatible_provider",
    "emit",
    "off",
    "on",
    "on_error",
    "on_rate_limit",
    "once",
    "register_provider",
    "register_stage",
    "send_message",
    "stream_message",
    "tool",
]

# The public names of each module: importing one imports only what it needs.
_PUBLIC = {
    "voxd.engine.config": ("SessionPresets", "VoiceEngineConfig"),
    "voxd.engine.messages.values": ("MessageProvider", "MessageReply"),
    "voxd.engine.messages.client": (
        "create_client",
        "create_ollama_provider",
        "create_openai_compatible_provider",
        "send_message",
        "stream_message",
    ),
    "voxd.engine.reply": ("Reply",),
    "voxd.engine.shared_events": (
        "ErrorContext",
        "emit",
        "off",
        "on",
        "on_error",
        "on_rate_limit",
        "once",
    ),
    "voxd.engine.voice_engine": ("EngineState", "VoiceEngine"),
    "voxd.errors": (
        "AudioError",
        "AuthenticationError",
        "ConfigError",
        "ConnectionError",
        "ContextTooLong",
        "DeadlineExceeded",
        "EngineError",
        "ErrorCode",
        "InvalidRequest",
        "NoAnswer",
        "NotConnected",
        "NotFound",
        "ProviderError",
        "RateLimited",
        "StreamError",
        "VoxdError",
    ),
    "voxd.events": ("Event", "EventType"),
    "voxd.providers.base": ("BaseProvider", "Capabilities"),
    "voxd.providers.pipeline.stages.registry": ("register_stage",),
    "voxd.providers.registry": ("register_provider",),
    "voxd.providers.settings": ("SessionConfig", "ToolSpec"),
    "voxd.providers.tools": ("Tool", "tool"),
    "voxd.providers.usage": ("Cost", "Usage"),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

# Inside voxd these have names that neither hide a builtin nor mean a local engine.
_RENAMED = {"ConnectionError": "ConnectionFailed", "EngineError": "VoxdError"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module voxd has no attribute {name}")
    return getattr(importlib.import_module(_MODULES[name]), _RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)
