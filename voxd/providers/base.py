"""The contract of a speech-to-speech provider: one session with a vendor, audio and text both ways."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from voxd.config.provider_options import plain_options
from voxd.events import EventType
from voxd.net.dns import Resolver
from voxd.providers.events import OnEvent, event_of
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do; ``input_rate_hz`` and ``output_rate_hz`` are the rates of its PCM.

    ``server_vad``: the vendor can detect the end of the user's turn; with "semantic" configured, a vendor
    without it uses the detection it has. ``session_limit_s`` is the age at which an idle session is replaced,
    None for never.
    """

    # The only PCM rate of the OpenAI Realtime protocol, which most providers speak.
    input_rate_hz: int = 24_000
    output_rate_hz: int = 24_000
    server_vad: bool = False
    tools: bool = False
    # Some minutes below the vendor's own limit: the session is replaced only in a quiet moment.
    session_limit_s: float | None = None


class BaseProvider(ABC):
    """One session. Subclass it in one file and register the class by entry point ``voxd.providers``.

    A class may declare the version of this contract it was written for (``api_version``, see
    `voxd.providers.registry`): a class for another version is refused.

    ``config`` holds ``api_key``, ``model``, ``voice``, ``endpoint`` and the vendor's own ``metadata``. A
    provider opens no device: audio comes in by `send_audio` and goes out as events. Its methods raise
    `voxd.errors.ProviderError` or a subclass; faults between calls are events of type ``error`` or
    ``connection.lost``. Events are reported on the event loop, by `emit_event` or, typed, by `on_event`.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    options_type: ClassVar[type[msgspec.Struct] | None] = None
    """The fields of ``metadata``, which are then checked before a session is created; None accepts any."""

    resolver: Resolver | None = None
    """Resolves the vendor's host. The creator of a provider may set a shared one; otherwise successive
    sessions share one, so that the next session tries the address that was reachable first."""

    queued_s: float = 0.0
    """How long the current question has waited in a queue of ours: deadlines of its reply move on by it."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        self.session_id: str | None = None
        self.on_event: OnEvent = lambda event: None
        """Takes every event of this session; set by the session before `connect`."""

    def own_settings(self) -> dict[str, Any]:
        """Return ``metadata`` under the names of the fields of `options_type`. Raises `ConfigError`."""
        metadata = dict(self.config.get("metadata") or {})
        return metadata if self.options_type is None else plain_options(metadata, self.options_type)

    def emit_event(self, type: EventType | str, data: Mapping[str, Any] | None = None) -> None:
        """Report an event by its type and the payload that `voxd.events.EVENT_TYPES` lists.

        Raises `ValueError` for an unknown type, `ProviderError` for a payload that does not fit.
        """
        self.on_event(event_of(type, data or {}))

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
        """Send a user's message and request a response."""

    @abstractmethod
    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cancel the response in progress; only ``played_ms`` of its audio was played (None: all of it)."""

    @abstractmethod
    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply instructions, voice, tools, turn detection; before `connect`: the initial settings."""

    # The methods below are optional: a vendor that lacks the feature inherits one that does nothing. A new
    # one must be optional too, or every third party's provider would stop loading.
    async def commit(self) -> None:
        """End the user's turn and request a response. Needed with client turn detection."""

    async def clear_audio(self) -> None:
        """Discard audio that was sent and not committed."""

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message (``role`` user or assistant) without requesting a response."""

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a ``function.invoked``."""

    async def request_response(self) -> None:
        """Request a response once all tool results are sent."""

    async def request_answer(self) -> None:
        """Request a response like `request_response`, one that calls no tool."""
        await self.request_response()

    async def abandon_response(self) -> None:
        """Regard the response in progress, or requested, as over: its end did not come in time."""

    async def get_usage(self) -> Usage | None:
        """Return what this session used, None where the vendor does not report it."""
        return None

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return None


def as_session_config(config: SessionConfig | Mapping[str, Any]) -> SessionConfig:
    """Return ``config`` as a `SessionConfig`. Raises `msgspec.ValidationError`."""
    return config if isinstance(config, SessionConfig) else msgspec.convert(dict(config), SessionConfig)
