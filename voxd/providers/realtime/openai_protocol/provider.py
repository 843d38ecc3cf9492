"""One session of the OpenAI Realtime protocol: the socket and the deadlines around the reader.

Vendors with this protocol subclass `OpenAIProtocolProvider` and define the address and the key.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, ClassVar

from voxd.errors import AudioError, NotConnected, ProviderError
from voxd.net.endpoint import require_key
from voxd.net.faults import CloseReason, error_for_close
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.base import BaseProvider, Capabilities, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.events import ConnectionLost, ProviderEvent
from voxd.providers.realtime.openai_protocol import wire
from voxd.providers.realtime.openai_protocol.reader import FrameOutcome, RealtimeReader
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.tasks import TaskScope

_log = logging.getLogger(__name__)

_Waiter = asyncio.Future[None]

SESSION_LIMIT_S = 55 * 60.0
"""OpenAI ends a session after 60 minutes with close code 1001: it is replaced before that."""


class OpenAIProtocolProvider(BaseProvider):
    """One session, GA protocol. A subclass defines the defaults below and `address`.

    ``config`` holds ``api_key``, ``model``, ``voice`` and ``endpoint``, and in ``metadata`` the vendor's own
    settings: ``headers``, ``ca_file``, ``proxy`` and those of `wire.update_session`.
    """

    name: ClassVar[str]
    endpoint: ClassVar[str] = ""
    model: ClassVar[str] = ""
    transcription_model: ClassVar[str] = ""
    capabilities: ClassVar[Capabilities] = Capabilities(
        server_vad=True, tools=True, speaks_text=True, session_limit_s=SESSION_LIMIT_S
    )

    def __init__(self, config: Mapping[str, Any], deadlines: Deadlines | None = None) -> None:
        super().__init__(config)
        self.metadata = self.own_settings()
        self._extra = {"transcription_model": self.transcription_model, **self.metadata}
        self._deadlines = deadlines or Deadlines()
        self._session = SessionConfig()
        self._reader = self._new_reader()
        self._connection: WebSocketConnection | None = None
        self._tasks = TaskScope(f"read {self.name}")
        self._reading: asyncio.Task[None] | None = None
        self._pending = PendingFrames()
        self._ready = False
        self._voice = ""
        self._pending_bytes = 0
        # Counts `clear_audio` and `interrupt`: a commit that waited meanwhile must not request a response.
        self._changes = 0

    @property
    def is_connected(self) -> bool:
        """Whether the session is open."""
        return self._ready and self._connection is not None and self._connection.ending is None

    @abstractmethod
    def address(self) -> WebSocketAddress:
        """Return URL, headers and key of this vendor. Raises `AuthenticationError`, `ConfigError`."""

    def key(self) -> str:
        """Return the API key. Raises `AuthenticationError` when it is missing or malformed."""
        return require_key(self.name, self.config.get("api_key"))

    @property
    def endpoint_url(self) -> str:
        """The endpoint of the configuration, else the vendor's own."""
        return str(self.config.get("endpoint") or self.metadata.get("endpoint") or self.endpoint)

    @property
    def model_name(self) -> str:
        """The model of the configuration, else the default."""
        return str(self.config.get("model") or self.metadata.get("model") or self.model)

    async def connect(self) -> None:
        """Open the session. Raises `ProviderError`; `AuthenticationError` for a refused key."""
        if self.is_connected:
            return
        await self.disconnect()
        address = self.address()
        self._reader = self._new_reader()
        self._pending_bytes = 0
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.disconnect)
            self._connection = await WebSocketConnection.open(
                self.name, address, self._deadlines, resolver=self.resolver
            )
            self._reading = self._tasks.start(self._read(self._connection))
            await self._begin()
            stack.pop_all()
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
        # The reader itself closes a session that broke, and cannot wait for its own end.
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
        """Send a user's message and request a response. Raises `ProviderError`."""
        self._open()
        self._reader.begin_turn()
        await self._send([wire.message("user", text)])
        await self.request_response()

    async def speak_text(self, text: str) -> None:
        """Have ``text`` read aloud, outside of the conversation. Raises `ProviderError`.

        A response in progress is cancelled: the vendor gives one at a time.
        """
        self._open()
        if self._reader.busy:
            with self._pending.expected("response.done") as done:
                await self.interrupt()
                await self._wait_for(done)
        for frame in self._reader.request():
            await self._request(wire.read_aloud(frame, text), "response.created")

    async def commit(self) -> None:
        """End the utterance and request a response; do nothing where the vendor detects the end.

        Raises `AudioError` when less than 100 ms were sent, `ProviderError` otherwise.
        """
        self._open()
        if self._session.turn_detection != "client":
            return
        if self._pending_bytes < wire.LEAST_COMMIT_MS * wire.BYTES_PER_MS:
            # Else the next utterance would begin with this remainder.
            await self.clear_audio()
            raise AudioError("too little audio was sent to answer it", code="audio_too_short")
        changes = self._changes
        self._pending_bytes = 0
        await self._request(wire.commit(self._reader.event_id("commit")), "input_audio_buffer.committed")
        if changes == self._changes:
            await self.request_response()

    async def clear_audio(self) -> None:
        """Discard audio that was sent and not committed. Raises `ProviderError`."""
        self._changes += 1
        self._pending_bytes = 0
        await self._send([wire.clear()])

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Cancel the reply and remove what was not played from the conversation. Raises `ProviderError`."""
        self._open()
        self._changes += 1
        cut = self._reader.interrupt(played_ms)
        self._report(cut.events)
        await self._send(cut.frames)

    async def add_history(self, role: str, text: str) -> None:
        """Add an earlier message without requesting a response. Raises `ProviderError`."""
        await self._send([wire.message(role, text)])

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Send the result of a tool. Raises `ProviderError`."""
        await self._send([wire.tool_result(call_id, output)])

    async def request_response(self) -> None:
        """Request a response; while one is in progress, after it. Raises `ProviderError`."""
        self._open()
        for frame in self._reader.request():
            await self._request(frame, "response.created")

    async def request_answer(self) -> None:
        """Request a response that calls no tool. Raises `ProviderError`."""
        self._open()
        for frame in self._reader.request(tools=False):
            await self._request(frame, "response.created")

    async def abandon_response(self) -> None:
        """Regard the response in progress as over, and ask the vendor to stop it. Raises `ProviderError`."""
        frames = self._reader.abandon()
        self._pending.release("response.created")
        if self.is_connected:
            await self._send(frames)

    async def get_usage(self) -> Usage | None:
        """Return what this session used, as the vendor counts it."""
        return self._reader.usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return cost_of(
            self.model_name,
            self._reader.usage,
            transcriber=self._extra["transcription_model"],
            prices=self.config.get("prices"),
        )

    def _new_reader(self) -> RealtimeReader:
        return RealtimeReader(self.name)

    async def _begin(self) -> None:
        with self._pending.expected("session.created") as created:
            await self._wait_for(created)
        await self._update()

    async def _update(self) -> None:
        """Send the settings. The voice is fixed by the model's first audio and must not be sent after it."""
        voice = self._session.voice or str(self.config.get("voice") or "")
        if self._reader.has_spoken and voice != self._voice:
            msg = "the voice cannot change once the model has spoken"
            raise ProviderError(msg, provider=self.name, code="voice_fixed", hint="open a new session")
        # The vendor refuses the field itself after the first audio, even with the same voice.
        spoken = "" if self._reader.has_spoken else voice
        frame = wire.update_session(self._reader.event_id("update"), self._session, self._extra, voice=spoken)
        found = wire.turn_detection(self._session, self._extra)
        self._reader.server_answers = found is not None
        self._reader.server_interrupts = bool(found and found["interrupt_response"])
        await self._request(frame, "session.updated")
        self._voice = voice

    def _open(self) -> WebSocketConnection:
        if self._connection is None or not self._ready:
            raise NotConnected(f"the session with {self.name} is not open", provider=self.name)
        return self._connection

    async def _send(self, frames: Sequence[wire.Frame]) -> None:
        if self._connection is None:
            raise NotConnected(f"the session with {self.name} is not open", provider=self.name)
        for frame in frames:
            await self._connection.send(wire.encode(frame))
        self._note_activity()

    async def _request(self, frame: wire.Frame, answer: str) -> None:
        """Send ``frame`` and wait for a frame of type ``answer``. Raises `ProviderError`."""
        with self._pending.expected(answer, str(frame["event_id"])) as waiter:
            await self._send([frame])
            await self._wait_for(waiter)

    async def _wait_for(self, waiter: _Waiter) -> None:
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
                outcome = self._reader.read(message)
                # The vendor ended the utterance itself: what was sent is not pending any more.
                if self._reader.server_answers and outcome.type == "input_audio_buffer.committed":
                    self._pending_bytes = 0
                if not self._pending.settle(outcome) or outcome.is_guess:
                    # A refusal is raised where the caller waits, and not reported a second time.
                    self._report(outcome.events)
                if outcome.fatal:
                    reason = str(outcome.error or outcome.fatal)
                    connection.abort(CloseReason(outcome.fatal, reason))
                elif outcome.frames:
                    await self._send(outcome.frames)
                self._note_activity()
        except ProviderError as error:
            _log.info("the session with %s broke: %s", self.name, error)
        except Exception:
            # The boundary of the reading task: the session must end, not hang without a reader.
            _log.exception("what %s sent could not be handled", self.name)
            connection.abort(CloseReason("internal", "an event could not be handled"))
        self._over(connection)

    def _over(self, connection: WebSocketConnection) -> None:
        end = connection.ending or CloseReason("network_error", "the connection broke")
        self._pending.fail(error_for_close(self.name, end))
        was_ready, self._ready = self._ready, False
        if was_ready:
            self.on_event(ConnectionLost(self.name, end.code, end.reason))

    def _report(self, events: Sequence[ProviderEvent]) -> None:
        for event in events:
            self.on_event(event)

    def _note_activity(self) -> None:
        if self._connection is not None:
            self._connection.active = self._reader.busy or self._pending_bytes > 0


class PendingFrames:
    """The frames of one session that wait for their answer, in the order they were sent.

    The protocol acknowledges by type only ("session.updated"); an error names our ``event_id``, or nothing.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, _Waiter]] = {}

    @contextmanager
    def expected(self, answer: str, event_id: str = "") -> Iterator[_Waiter]:
        """Yield a future that is done when a frame of type ``answer`` arrives.

        It fails with a `ProviderError` when the vendor refuses our frame ``event_id`` ("": we sent none).
        """
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        self._open[event_id] = (answer, waiter)
        try:
            yield waiter
        finally:
            del self._open[event_id]
            if not waiter.cancel() and not waiter.cancelled():
                waiter.exception()  # Retrieved, or asyncio reports it as never retrieved.

    def settle(self, outcome: FrameOutcome) -> bool:
        """Wake the caller that waits for this frame; True for a refusal, which is raised there."""
        for event_id, (answer, waiter) in self._open.items():
            if waiter.done():
                continue
            if answer == outcome.type:
                waiter.set_result(None)
                return False
            if outcome.error is not None and _refuses(outcome, event_id, answer):
                waiter.set_exception(outcome.error)
                return True
        return False

    def release(self, answer: str) -> None:
        """Let every caller that waits for a frame of type ``answer`` go on: it will not come."""
        for expected, waiter in self._open.values():
            if expected == answer and not waiter.done():
                waiter.set_result(None)

    def fail(self, error: ProviderError) -> None:
        """Fail every waiting caller: no answer will come."""
        for _, waiter in self._open.values():
            if not waiter.done():
                waiter.set_exception(error)


def _refuses(outcome: FrameOutcome, event_id: str, answer: str) -> bool:
    """Whether an error refuses the frame ``event_id``; some vendors do not name the frame."""
    if outcome.concerns:
        return outcome.concerns == event_id
    return bool(outcome.fatal) or answer.startswith("session.") or "committed" in answer
