"""Speaks to the OpenAI Realtime API: the shell around the pure reader, with a socket and deadlines."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from voxd.errors import AudioError, NotConnected, ProviderError
from voxd.events import EventType
from voxd.net.endpoint import address_of, require_key, websocket_url
from voxd.net.faults import CloseReason, error_for_close
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.base import BaseProvider, Capabilities, ProviderEvent, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.facts import default_model
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.realtime.openai_protocol.answers import Answers, Waiter
from voxd.providers.realtime.openai_protocol.reader import Reader
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage

_log = logging.getLogger(__name__)

SESSION_LIMIT_S = 55 * 60.0
"""The vendor ends a session after 60 minutes with close code 1001."""


class OpenAIProvider(BaseProvider):
    """One session of the Realtime API, GA protocol.

    ``config`` holds ``api_key``, ``model``, ``voice`` and ``endpoint`` (``wss://…/v1``, with or without
    ``/realtime``), and in ``metadata`` the vendor's own settings: ``organization``, ``project``,
    ``headers``, ``ca_file``, ``proxy`` and those of `openai_wire.update_session`.
    """

    name: ClassVar[str] = "openai"
    endpoint: ClassVar[str] = "wss://api.openai.com/v1/realtime"
    model: ClassVar[str] = default_model("openai", "realtime")
    transcription_model: ClassVar[str] = "gpt-transcribe"
    capabilities: ClassVar[Capabilities] = Capabilities(
        server_vad=True, tools=True, session_limit_s=SESSION_LIMIT_S
    )

    def __init__(self, config: Mapping[str, Any], deadlines: Deadlines | None = None) -> None:
        super().__init__(config)
        self.metadata: dict[str, Any] = dict(self.config.get("metadata") or {})
        self._extra = {"transcription_model": self.transcription_model, **self.metadata}
        self._deadlines = deadlines or Deadlines()
        self._session = SessionConfig()
        self._reader = self._new_reader()
        self._connection: WebSocketConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers = Answers()
        self._ready = False
        self._voice = ""
        self._pending_bytes = 0
        self._changes = 0

    @property
    def is_connected(self) -> bool:
        """Whether the session is open."""
        return self._ready and self._connection is not None and self._connection.ending is None

    def address(self) -> WebSocketAddress:
        """Return where this vendor is reached. Raises `AuthenticationError`, `ConfigError`."""
        key = self.key()
        headers = {"Authorization": f"Bearer {key}"}
        for name in ("organization", "project"):
            if self.metadata.get(name):
                headers[f"OpenAI-{name.title()}"] = str(self.metadata[name])
        return address_of(self.url(), headers, self.metadata, key=key)

    def url(self, **query: str) -> str:
        """Return the URL of the endpoint with the model and ``query``. Raises `ConfigError`."""
        return websocket_url(self.endpoint_url, {"model": self.model_name, **query}, path="/realtime")

    def key(self) -> str:
        """Return the key. Raises `AuthenticationError` when there is none that can be used."""
        return require_key(self.name, self.config.get("api_key"))

    @property
    def endpoint_url(self) -> str:
        """Where the vendor is, as the configuration says or as everybody knows."""
        return str(self.config.get("endpoint") or self.metadata.get("endpoint") or self.endpoint)

    @property
    def model_name(self) -> str:
        """The model that answers."""
        return str(self.config.get("model") or self.metadata.get("model") or self.model)

    async def connect(self) -> None:
        """Open the session. Raises `ProviderError`; `AuthenticationError` for a wrong key."""
        if self.is_connected:
            return
        await self.disconnect()
        address = self.address()
        self._reader = self._new_reader()
        self._pending_bytes = 0
        try:
            self._connection = await WebSocketConnection.open(
                self.name, address, self._deadlines, resolver=self.resolver
            )
            self._reading = asyncio.create_task(self._read(self._connection), name=f"read {self.name}")
            await self._begin()
        except BaseException:
            await self.disconnect()
            raise
        self.session_id = self._reader.session_id
        self._ready = True
        if not self.is_connected:
            await self.disconnect()
            raise error_for_close(self.name, CloseReason("network_error", "the connection broke at once"))

    async def disconnect(self) -> None:
        """Close the session; idempotent."""
        self._ready = False
        connection, self._connection = self._connection, None
        reading, self._reading = self._reading, None
        if connection is not None:
            await connection.close()
        if reading is not None and reading is not asyncio.current_task():
            await asyncio.gather(reading, return_exceptions=True)

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``, now if the session is open. Raises `ProviderError` when the vendor refuses."""
        self._session = as_session_config(config)
        if self._ready:
            await self._update()

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at 24 kHz. Raises `ProviderError`."""
        if not audio_data:
            return
        connection = self._open()
        self._pending_bytes += len(audio_data)
        connection.active = True
        await connection.send(wire.append_audio(audio_data))

    async def send_text(self, text: str) -> None:
        """Send a user's message and ask for a response. Raises `ProviderError`."""
        self._open()
        self._reader.begin_turn()
        await self._send([wire.message("user", text)])
        await self.request_response()

    async def commit(self) -> None:
        """End the utterance and ask for a response; where the vendor decides that himself, do nothing.

        Raises `AudioError` when less than 100 ms were sent, `ProviderError` otherwise.
        """
        self._open()
        if self._session.turn_detection != "client":
            return
        if self._pending_bytes < wire.LEAST_COMMIT_MS * wire.BYTES_PER_MS:
            await self.clear_audio()
            raise AudioError("too little sound was sent to answer it", code="audio_too_short")
        changes = self._changes
        self._pending_bytes = 0
        await self._ask(wire.commit(self._reader.event_id("commit")), "input_audio_buffer.committed")
        if changes == self._changes:
            await self.request_response()

    async def clear_audio(self) -> None:
        """Forget sound that was sent and not committed. Raises `ProviderError`."""
        self._changes += 1
        self._pending_bytes = 0
        await self._send([wire.clear()])

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Give the reply up and make the model forget what was not heard of it. Raises `ProviderError`."""
        self._open()
        self._changes += 1
        cut = self._reader.interrupt(played_ms)
        self._tell(cut.events)
        await self._send(cut.frames)

    async def add_history(self, role: str, text: str) -> None:
        """Tell an earlier turn without asking for a response. Raises `ProviderError`."""
        await self._send([wire.message(role, text)])

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Tell the model what a tool said. Raises `ProviderError`."""
        await self._send([wire.tool_result(call_id, output)])

    async def request_response(self) -> None:
        """Ask for a response, or for one after that under way. Raises `ProviderError`."""
        self._open()
        for frame in self._reader.request():
            await self._ask(frame, "response.created")

    async def get_usage(self) -> Usage | None:
        """Return what this session used, as the vendor counts it."""
        return self._reader.usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return cost_of(self.model_name, self._reader.usage, transcriber=self._extra["transcription_model"])

    def _new_reader(self) -> Reader:
        return Reader(self.name)

    async def _begin(self) -> None:
        with self._answers.expected("session.created") as created:
            await self._answered(created)
        await self._update()

    async def _update(self) -> None:
        """Send the settings. A voice is fixed from the model's first word on, and not repeated after that."""
        voice = self._session.voice or str(self.config.get("voice") or "")
        if self._reader.has_spoken and voice != self._voice:
            msg = "the voice cannot change once the model has spoken"
            raise ProviderError(msg, provider=self.name, code="voice_fixed", hint="open a new session")
        spoken = "" if self._reader.has_spoken else voice
        frame = wire.update_session(self._reader.event_id("update"), self._session, self._extra, voice=spoken)
        found = wire.turn_detection(self._session, self._extra)
        self._reader.server_answers = found is not None
        self._reader.server_interrupts = bool(found and found["interrupt_response"])
        await self._ask(frame, "session.updated")
        self._voice = voice

    def _open(self) -> WebSocketConnection:
        if self._connection is None or not self._ready:
            raise NotConnected(f"there is no session with {self.name}", provider=self.name)
        return self._connection

    async def _send(self, frames: Sequence[wire.Frame]) -> None:
        if self._connection is None:
            raise NotConnected(f"there is no session with {self.name}", provider=self.name)
        for frame in frames:
            await self._connection.send(wire.encode(frame))
        self._note_activity()

    async def _ask(self, frame: wire.Frame, answer: str) -> None:
        """Send ``frame`` and wait until the vendor sends an ``answer``. Raises `ProviderError`."""
        with self._answers.expected(answer, str(frame["event_id"])) as waiter:
            await self._send([frame])
            await self._answered(waiter)

    async def _answered(self, waiter: Waiter) -> None:
        try:
            async with asyncio.timeout(self._deadlines.answer_s):
                await waiter
        except TimeoutError:
            silence = CloseReason("timeout", "the vendor did not answer in time")
            if self._connection is not None:
                self._connection.abort(silence)
            raise error_for_close(self.name, silence) from None

    async def _read(self, connection: WebSocketConnection) -> None:
        """Turn what arrives into events until the connection is over."""
        try:
            while (message := await connection.receive()) is not None:
                reading = self._reader.read(message)
                if self._reader.server_answers and reading.type == "input_audio_buffer.committed":
                    self._pending_bytes = 0
                if not self._answers.settle(reading):
                    self._tell(reading.events)
                if reading.fatal:
                    reason = str(reading.error or reading.fatal)
                    connection.abort(CloseReason(reading.fatal, reason))
                elif reading.frames:
                    await self._send(reading.frames)
                self._note_activity()
        except ProviderError as error:
            _log.info("the session with %s broke: %s", self.name, error)
        except Exception:
            _log.exception("what %s sent could not be handled", self.name)
            connection.abort(CloseReason("internal", "an event could not be handled"))
        self._over(connection)

    def _over(self, connection: WebSocketConnection) -> None:
        end = connection.ending or CloseReason("network_error", "the connection broke")
        self._answers.fail(error_for_close(self.name, end))
        was_ready, self._ready = self._ready, False
        if was_ready:
            data = {"provider": self.name, "code": end.code, "reason": end.reason, "reconnecting": False}
            self.emit_event(EventType.CONNECTION_LOST, data)

    def _tell(self, events: Sequence[ProviderEvent]) -> None:
        for event in events:
            self.on_event(event)

    def _note_activity(self) -> None:
        if self._connection is not None:
            self._connection.active = self._reader.busy or self._pending_bytes > 0
