"""Speaks to Gemini Live: the socket, deadlines and session resumption around its reader.

A connection lasts about ten minutes; then the vendor sends `goAway` and the session continues on another one,
by the resumption handle. Settings are changed in the same way, because the protocol has no message for them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar

from voxd.errors import AudioError, ProviderError
from voxd.frames import BYTES_PER_SAMPLE
from voxd.net.dns import Resolver
from voxd.net.endpoint import address_of, require_key, websocket_url
from voxd.net.faults import CloseReason
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.events import ConnectionLost, ErrorOccurred, ProviderEvent
from voxd.providers.facts import default_model
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.google import live_wire as wire
from voxd.providers.vendors.google.live_connection import LEAVE_EARLY_S, ResumableConnection
from voxd.providers.vendors.google.live_reader import GeminiReader
from voxd.providers.vendors.google.options import GeminiOptions

_log = logging.getLogger(__name__)

_SILENCE = CloseReason("timeout", "the vendor did not answer in time")

LATE_WORDS_S = 0.6
"""Words outside of a response are whole when none has followed for this long."""

MAX_HISTORY = 64
"""Messages sent at the beginning of a session; the oldest is dropped."""


class GeminiProvider(BaseProvider):
    """One session of Gemini Live, over as many connections as it takes.

    ``config`` holds ``api_key``, ``model``, ``voice`` and ``endpoint`` (a host, or a whole URL), and in
    ``metadata``: ``api_version``, ``behavior`` (BLOCKING or NON_BLOCKING: how functions run, the model's
    default when it is not set), ``ca_file`` and ``proxy``.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=wire.INPUT_RATE_HZ,
        output_rate_hz=wire.OUTPUT_RATE_HZ,
        server_vad=True,
        tools=True,
        speaks_text=False,
    )

    options_type = GeminiOptions

    def __init__(self, config: Mapping[str, Any], deadlines: Deadlines | None = None) -> None:
        super().__init__(config)
        self.metadata = self.own_settings()
        self._deadlines = deadlines or Deadlines()
        self._model = str(self.config.get("model") or default_model("gemini", "realtime"))
        self._generation = wire.generation_of(self._model)
        self._session = SessionConfig()
        self._history: deque[tuple[str, str]] = deque(maxlen=MAX_HISTORY)
        self._reader = GeminiReader()
        self._link = ResumableConnection(self._open, self)
        # ``_untouched``: nothing was sent yet, so a new session can still take history.
        self._untouched = self._speaking = False
        self._late: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the session is open; it is while it moves to another connection."""
        return self._link.connection is not None

    async def connect(self) -> None:
        """Open a session with the history added so far. Raises `ProviderError`."""
        if self._link.connection is None:
            self._reader = GeminiReader()
            await self._link.begin()

    async def disconnect(self) -> None:
        """Close the session; idempotent."""
        self._end_late_words()
        await self._link.close()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``; an open session moves to a new connection for it, after a response in progress.

        Raises `ProviderError`.
        """
        before, self._session = self._session, as_session_config(config)
        if self._link.connection is not None and before != self._session:
            self._link.move_when_quiet()
            await self._link.settled()

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at 16 kHz. Raises `AudioError`, `ProviderError`."""
        if len(audio_data) % BYTES_PER_SAMPLE:
            raise AudioError("half a sample was sent")
        connection = await self._link.settled()
        if not audio_data:
            return
        # With the vendor's detection off, the client marks the beginning and the end (`activityStart`,
        # `activityEnd`).
        is_start = self._session.turn_detection == "client" and not self._speaking
        self._speaking, self._untouched = self._speaking or is_start, False
        connection.active = True
        await _send(connection, *([wire.activity_start()] if is_start else []), wire.audio(audio_data))

    async def commit(self) -> None:
        """End the utterance and request a response. Raises `AudioError` for an empty one, `ProviderError`."""
        connection = await self._link.settled()
        if self._session.turn_detection != "client":
            await _send(connection, wire.stream_end())
            return
        if not self._speaking:
            raise AudioError("too little audio was sent to answer it", code="audio_too_short")
        self._speaking = False
        self._note_request(connection)
        await _send(connection, wire.activity_end())

    async def clear_audio(self) -> None:
        """Discard audio that was not committed: the session moves, as the protocol cannot take it back."""
        await self._link.settled()
        if self._speaking:
            self._speaking = False
            self._link.move()
            await self._link.settled()

    async def send_text(self, text: str) -> None:
        """Send a user's message and request a response. Raises `ProviderError`."""
        connection = await self._link.settled()
        self._untouched = False
        messages = [wire.content([("user", text)], complete=True)]
        if not self._generation.content_any_time:
            # Older models close the socket (1007) at `clientContent` after the beginning.
            messages = [wire.realtime_text(text)]
            if self._session.turn_detection == "client":
                start = [] if self._speaking else [wire.activity_start()]
                messages = [*start, *messages, wire.activity_end()]
                self._speaking = False
        self._note_request(connection)
        await _send(connection, *messages)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Drop the response. The model stops at the next speech or text of the user, and assumes that all of
        it was played: the protocol has no message for either. Raises `NotConnected`.
        """
        await self._link.settled()
        self._report(self._reader.give_up(played_ms))
        self._note_activity()

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message. Older models accept it only at the beginning: there the session restarts.

        Raises `ProviderError`.
        """
        self._history.append((role, text))
        if self._link.connection is None:
            return
        if self._generation.content_any_time:
            await _send(await self._link.settled(), wire.content([(role, text)], complete=False))
        elif self._untouched:
            # The move starts when the caller next waits, so that one new session takes several messages.
            self._link.move()
        else:
            _log.warning("%s does not accept history in the middle of a session", self._model)

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send a tool's result; not for a call the vendor has withdrawn. Raises `ProviderError`."""
        connection = await self._link.settled()
        call = self._reader.take_call(call_id)
        if call is None:
            return
        name, wanted = call
        silent = not wanted and self._behavior() == "NON_BLOCKING"
        await _send(connection, wire.tool_response(call_id, name, output, silent=silent))

    async def abandon_response(self) -> None:
        """Regard the response in progress as over."""
        self._reader.abandon()
        self._note_activity()

    async def get_usage(self) -> Usage | None:
        """Return what this session used, as the vendor counts it."""
        return self._reader.usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return cost_of(self._model, self._reader.usage, kind="gemini", prices=self.config.get("prices"))

    def _note_request(self, connection: WebSocketConnection) -> None:
        self._reader.response_requested()
        self._link.talked = True
        connection.active = True

    def _address(self) -> WebSocketAddress:
        key = require_key(wire.NAME, self.config.get("api_key"))
        endpoint = str(self.config.get("endpoint") or wire.ENDPOINT)
        version = str(self.metadata.get("api_version") or "v1")
        url, headers = wire.url_and_headers(endpoint, key, version)
        return address_of(websocket_url(url, {}), headers, self.metadata, key=key)

    def _behavior(self) -> str:
        return wire.behavior_of(self._model, str(self.metadata.get("behavior") or ""))

    async def _open(self, handle: str) -> WebSocketConnection:
        """Return a connection on which input is accepted. Raises `ProviderError`, leaving nothing open."""
        # A resumed session has its history at the vendor.
        seed = wire.content(self._history, complete=True) if self._history and not handle else None
        setup = wire.setup(
            self._model,
            self._session,
            voice=self._session.voice or str(self.config.get("voice") or ""),
            handle=handle,
            history=seed is not None,
            behavior=self._behavior(),
        )
        connection, session_id = await _open_session(
            self._address(), setup, seed, self._deadlines, self.resolver
        )
        self.session_id = session_id or self.session_id
        return connection

    def is_quiet(self) -> bool:
        """Whether the user is silent and no response is due."""
        return not (self._reader.busy or self._speaking)

    def receive(self, frame: bytes | str) -> None:
        """Turn a frame of the vendor into events."""
        try:
            message = wire.decode(frame)
        except ProviderError as error:
            self.on_event(ErrorOccurred.of(error))
            return
        # Not fatal by itself: if it is, the close follows.
        if (refusal := wire.refusal(message)) is not None:
            self.on_event(ErrorOccurred.of(refusal))
        update = message.get("sessionResumptionUpdate")
        if isinstance(update, dict) and update.get("resumable") and update.get("newHandle"):
            self._link.handle = str(update["newHandle"])
        if isinstance(message.get("goAway"), dict):
            self._link.leave(wire.seconds(message["goAway"].get("timeLeft"), LEAVE_EARLY_S))
        self._report(self._reader.read(message))
        self._await_late_words()
        self._link.talked = self._link.talked or self._reader.busy
        self._note_activity()

    def arrived(self, *, resumed: bool) -> None:
        """The session is on another connection: what was in progress is over."""
        self._report(self._reader.drop())
        self._reader.sound = "audio" in self._session.modalities
        self._reader.detects = self._session.turn_detection != "client"
        self._untouched, self._speaking = not resumed, False

    def lost(self, end: CloseReason) -> None:
        """The session is over: end what was in progress, and report why."""
        self._report(self._reader.drop())
        known = wire.meaning(end)
        self.on_event(ConnectionLost(wire.NAME, known.code, known.reason))

    def _await_late_words(self) -> None:
        if self._late is not None:
            self._late.cancel()
        waits = self._reader.has_late_words
        loop = asyncio.get_running_loop()
        self._late = loop.call_later(LATE_WORDS_S, self._end_late_words) if waits else None

    def _end_late_words(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        self._report(self._reader.late_words())

    def _note_activity(self) -> None:
        if self._link.connection is not None:
            self._link.connection.active = not self.is_quiet()

    def _report(self, events: Iterable[ProviderEvent]) -> None:
        for event in events:
            self.on_event(event)


async def _send(connection: WebSocketConnection, *messages: wire.Message) -> None:
    for message in messages:
        await connection.send(wire.encode(message))


async def _open_session(
    address: WebSocketAddress,
    setup: wire.Message,
    seed: wire.Message | None,
    deadlines: Deadlines,
    resolver: Resolver | None = None,
) -> tuple[WebSocketConnection, str | None]:
    """Return a connection on which input is accepted, and the vendor's id of the session if it sends one.

    ``seed`` is the initial history that ``setup`` announced. Raises `ProviderError`, leaving nothing open.
    """
    connection = await WebSocketConnection.open(wire.NAME, address, deadlines, resolver=resolver)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        try:
            await connection.send(wire.encode(setup))
            async with asyncio.timeout(deadlines.answer_s):
                session_id = await _greeting(connection)
            if seed is not None:
                await connection.send(wire.encode(seed))
        except TimeoutError:
            connection.abort(_SILENCE)
            raise wire.error_of(_SILENCE) from None
        stack.pop_all()
    return connection, session_id


async def _greeting(connection: WebSocketConnection) -> str | None:
    # Nothing may be sent before `setupComplete`.
    while (frame := await connection.receive()) is not None:
        message = wire.decode(frame)
        if (error := wire.refusal(message)) is not None:
            raise error
        if "setupComplete" in message:
            done = message["setupComplete"]
            return str(done.get("sessionId") or "") or None if isinstance(done, dict) else None
    raise wire.error_of(connection.ending or CloseReason("network_error", "the connection broke"))
