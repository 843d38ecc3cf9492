"""The contract of a speech-to-speech provider: one session with a vendor, audio and text both ways."""

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from voxd.config.provider_options import plain_options
from voxd.errors import ConnectionFailed, isolate
from voxd.events import EventType
from voxd.net.dns import Resolver
from voxd.providers.events import OnEvent, event_of
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

_log = logging.getLogger(__name__)

# What an event says about the connection, for a class without an `is_connected` of its own.
_CONNECTION_CHANGES: Mapping[EventType, bool] = MappingProxyType(
    {
        EventType.CONNECTION_ESTABLISHED: True,
        EventType.CONNECTION_FAILED: False,
        EventType.CONNECTION_LOST: False,
        EventType.CONNECTION_CLOSED: False,
    }
)

# Entries that the reference text's providers do not report.
_FILLED: Mapping[EventType, Mapping[str, Any]] = MappingProxyType(
    {
        EventType.AUDIO_OUTPUT_STOPPED: {"duration_ms": 0.0},
        EventType.CONNECTION_STARTING: {"source": ""},
        EventType.CONNECTION_FAILED: {
            "provider": "",
            "error": ConnectionFailed("no session could be opened"),
            "error_message": "",
            "code": ConnectionFailed.code,
            "retry_count": 0,
        },
        EventType.CONVERSATION_ENDED: {"turns": 0},
    }
)

_RATED = frozenset({EventType.AUDIO_OUTPUT_STARTED, EventType.AUDIO_OUTPUT_CHUNK})


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do; ``input_rate_hz`` and ``output_rate_hz`` are the rates of its PCM.

    ``server_vad``: the vendor can detect the end of the user's turn; with "semantic" configured, a vendor
    without it uses the detection it has. ``speaks_text``: whether it can say a text word for word, by
    `BaseProvider.speak_text`; None when that is not declared: then `BaseProvider.send_text` gets the text.
    ``session_limit_s`` is the age at which an idle session is replaced, None for never.
    """

    # The only PCM rate of the OpenAI Realtime protocol, which most providers speak.
    input_rate_hz: int = 24_000
    output_rate_hz: int = 24_000
    server_vad: bool = False
    tools: bool = False
    speaks_text: bool | None = None
    # Some minutes below the vendor's own limit: the session is replaced only in a quiet moment.
    session_limit_s: float | None = None


class BaseProvider(ABC):
    """One session. Subclass it in one file and register the class by entry point ``voxd.providers``.

    A class may declare the version of this contract it was written for (``api_version``, see
    `voxd.providers.registry`): a class for another version is refused.

    ``config`` holds ``api_key``, ``model``, ``voice``, ``endpoint``, the vendor's own ``metadata``, and in
    the library the other fields of `voxd.VoiceEngineConfig`. A provider opens no device: audio comes in by
    `send_audio` and goes out as events. Its methods raise `voxd.errors.ProviderError` or a subclass; faults
    between calls are events of type ``error`` or ``connection.lost``. Events are reported on the event loop,
    by `emit_event` or, typed, by `on_event`.

    `connect`, `send_audio` and `send_text` must be defined. A class with the six methods of the reference
    text alone (`interrupt` without arguments, `configure_session` with a dictionary, methods that may be
    synchronous, events without the beginning and end of a response) works too: `voxd.providers.adapter` adds
    what is missing.
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
        # For the class's own use: the default `is_connected` and `disconnect` know it.
        self.connection: Any = None
        self.on_event: OnEvent = lambda event: None
        """Takes every event of this session; set by the session before `connect`."""

    @classmethod
    def preload(cls, config: Mapping[str, Any]) -> None:
        """Import what a session with ``config`` needs; called in a thread, before the first session."""

    def own_settings(self) -> dict[str, Any]:
        """Return ``metadata`` under the names of the fields of `options_type`. Raises `ConfigError`."""
        metadata = dict(self.config.get("metadata") or {})
        return metadata if self.options_type is None else plain_options(metadata, self.options_type)

    def emit_event(self, type: EventType | str, data: Mapping[str, Any] | None = None) -> None:
        """Report an event by its type and the payload that `voxd.events.EVENT_TYPES` lists.

        The name of a member, "TEXT_OUTPUT", is a type too. Audio without a ``sample_rate`` has that of
        ``capabilities``. Raises `ValueError` for an unknown type, `ProviderError` for a payload that does not
        fit.
        """
        kind = EventType.__members__.get(type) or EventType(type)
        if kind in _CONNECTION_CHANGES:
            self._is_established = _CONNECTION_CHANGES[kind]
        payload = {**_FILLED.get(kind, {}), **(data or {})}
        if kind in _RATED:
            payload.setdefault("sample_rate", self.capabilities.output_rate_hz)
        if not isinstance(payload.get("error", ValueError()), Exception):
            # A text in the place of the exception.
            payload["error_message"] = str(payload.pop("error"))
        self.on_event(event_of(kind, payload))

    # The state behind the default `is_connected`: what was assigned to it, and what was reported.
    _assigned_connected: bool | None = None
    _is_established = False

    def _get_connected(self) -> bool:
        """Whether the session is open."""
        if self._assigned_connected is not None:
            return self._assigned_connected
        return self.connection is not None or self._is_established

    def _set_connected(self, value: bool) -> None:
        self._assigned_connected = value

    if TYPE_CHECKING:
        # Read-only to the type checker, or it would refuse every class that defines a property of its own.
        @property
        def is_connected(self) -> bool:
            """Whether the session is open."""
    else:
        is_connected = property(_get_connected, _set_connected)

    @abstractmethod
    async def connect(self) -> None:
        """Open the session; returns when the vendor accepts input."""

    async def disconnect(self) -> None:
        """Close the session; idempotent, never raises for a broken one. The default closes ``connection``."""
        connection, self.connection = self.connection, None
        self._is_established, self._assigned_connected = False, None
        await close_connection(connection)

    @abstractmethod
    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at ``capabilities.input_rate_hz``, in real time or faster."""

    @abstractmethod
    async def send_text(self, text: str) -> None:
        """Send a user's message and request a response."""

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cancel the response in progress; only ``played_ms`` of its audio was played (None: all of it).

        The default does nothing: what still arrives of the response is dropped.
        """

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply instructions, voice, tools, turn detection; before `connect`: the initial settings.

        The default adds those that are set to ``self.config``.
        """
        self.config |= settings_of(config)

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

    async def speak_text(self, text: str) -> None:
        """Say ``text`` word for word as a response; only called where ``capabilities.speaks_text``."""

    async def get_usage(self) -> Usage | None:
        """Return what this session used, None where the vendor does not report it."""
        return None

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return None


def as_session_config(config: SessionConfig | Mapping[str, Any]) -> SessionConfig:
    """Return ``config`` as a `SessionConfig`. Raises `msgspec.ValidationError`."""
    return config if isinstance(config, SessionConfig) else msgspec.convert(dict(config), SessionConfig)


def settings_of(config: SessionConfig | Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of ``config`` that are set, by name, of types that JSON has."""
    # By way of JSON, which turns tuples into lists.
    values = msgspec.json.decode(msgspec.json.encode(config))
    return {name: value for name, value in values.items() if value not in (None, "", (), [])}


async def close_connection(connection: Any) -> None:
    """Close ``connection`` of whatever type, by a ``close`` that may be synchronous; never raises."""
    close = getattr(connection, "close", None)
    # A connection of third-party code that is broken already: there is nothing left to release.
    with isolate(lambda error: _log.debug("a connection did not close: %s", error)):
        result = close() if callable(close) else None
        if inspect.isawaitable(result):
            await result
