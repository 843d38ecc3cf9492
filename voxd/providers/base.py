"""The contract of a speech-to-speech provider: one session with a vendor, sound and text both ways."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from voxd.events import EventType
from voxd.net.dns import Resolver
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """What a provider tells: one of `EventType`, and its data as `EVENT_TYPES` lists it."""

    type: EventType
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do; ``input_rate_hz`` and ``output_rate_hz`` are the rates of its PCM.

    ``server_vad``: the vendor can notice himself that the user has finished; asked for "semantic", one who
    has nothing of that name uses the way he has. ``session_limit_s`` is the age at which a session is
    replaced when it is idle, None for never: set it some minutes below the vendor's own limit.
    """

    input_rate_hz: int = 24_000
    output_rate_hz: int = 24_000
    server_vad: bool = False
    tools: bool = False
    session_limit_s: float | None = None


class BaseProvider(ABC):
    """One session. Subclass it in one file, and register it by name or by entry point ``voxd.providers``.

    A class written for another version of voxd may say for which version of this contract it was written
    (``api_version``, see `voxd.providers.registry`): then it is refused rather than misunderstood.

    ``config`` holds ``api_key``, ``model``, ``voice``, ``endpoint`` and the vendor's own ``metadata``. A
    provider opens no device: sound comes in by `send_audio` and goes out as events. Its methods raise
    `voxd.errors.ProviderError` or a subclass; faults between calls are events of type ``error`` or
    ``connection.lost``. Events are emitted on the event loop.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    resolver: Resolver | None = None
    """Finds the vendor's host. Whoever makes the provider may set one that it shares with others; else the
    sessions that follow one another share one, so that an address that was good is known to the next."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        self.session_id: str | None = None
        self.on_event: Callable[[ProviderEvent], None] = lambda event: None

    def emit_event(self, type: EventType | str, data: Mapping[str, Any] | None = None) -> None:
        """Tell whoever drives this session that something happened."""
        self.on_event(ProviderEvent(EventType(type), dict(data or {})))

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """Whether the session is open."""

    @abstractmethod
    async def connect(self) -> None:
        """Open the session; returns when the vendor accepts input."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Close the session; idempotent, never raises for a broken one."""

    @abstractmethod
    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at ``capabilities.input_rate_hz``, in real time or faster."""

    @abstractmethod
    async def send_text(self, text: str) -> None:
        """Send a user's message and ask for a response."""

    @abstractmethod
    async def interrupt(self, played_ms: float | None = None) -> None:
        """Give the response under way up; only ``played_ms`` of its sound was heard (None: all of it)."""

    @abstractmethod
    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply instructions, voice, tools, turn detection; before `connect`: what it begins with."""

    async def commit(self) -> None:
        """The user has finished speaking: answer what was sent. Needed with client turn detection."""

    async def clear_audio(self) -> None:
        """Forget sound that was sent and not committed."""

    async def add_history(self, role: str, text: str) -> None:
        """Tell an earlier turn (``role`` user or assistant) without asking for a response."""

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Answer a ``function.invoked``."""

    async def request_response(self) -> None:
        """Ask for a response once all tool results are in."""

    async def get_usage(self) -> Usage | None:
        """Return what this session used, None where the vendor does not tell."""
        return None

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return None


def as_session_config(config: SessionConfig | Mapping[str, Any]) -> SessionConfig:
    """Return ``config`` as a `SessionConfig`. Raises `msgspec.ValidationError`."""
    return config if isinstance(config, SessionConfig) else msgspec.convert(dict(config), SessionConfig)
