"""Speaks to Gemini Live: the shell around its pure rules, with a socket, deadlines and resumption.

A connection lives for about ten minutes; then the vendor says `goAway` and the session goes on over another
one, by the handle it gave us. The same way settings are changed, which the protocol has no message for.
"""

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from voxd.errors import AudioError, ProviderError
from voxd.events import EventType
from voxd.frames import BYTES_PER_SAMPLE
from voxd.net.endpoint import address_of, require_key, websocket_url
from voxd.net.faults import CloseReason
from voxd.net.websocket import Deadlines, WebSocketAddress, WebSocketConnection
from voxd.providers.base import BaseProvider, Capabilities, ProviderEvent, as_session_config
from voxd.providers.costs import cost_of
from voxd.providers.facts import default_model
from voxd.providers.settings import SessionConfig
from voxd.providers.usage import Cost, Usage
from voxd.providers.vendors.google import live_wire as wire
from voxd.providers.vendors.google.live_opening import open_session
from voxd.providers.vendors.google.live_route import LEAVE_EARLY_S, Route
from voxd.providers.vendors.google.live_turns import Turns

_log = logging.getLogger(__name__)

MAX_HISTORY = 64
"""Lines told at the beginning of a session; the oldest is forgotten."""


class GeminiProvider(BaseProvider):
    """One session of Gemini Live, over as many connections as it takes.

    ``config`` holds ``api_key``, ``model``, ``voice`` and ``endpoint`` (a host, or a whole URL), and in
    ``metadata``: ``api_version``, ``behavior`` (BLOCKING or NON_BLOCKING: how functions run, the model's
    own way if it is not said), ``ca_file`` and ``proxy``.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        input_rate_hz=wire.INPUT_RATE_HZ, output_rate_hz=wire.OUTPUT_RATE_HZ, server_vad=True, tools=True
    )

    def __init__(self, config: Mapping[str, Any], deadlines: Deadlines | None = None) -> None:
        super().__init__(config)
        self.metadata: dict[str, Any] = dict(self.config.get("metadata") or {})
        self._deadlines = deadlines or Deadlines()
        self._model = str(self.config.get("model") or default_model("gemini", "realtime"))
        self._dialect = wire.dialect_of(self._model)
        self._session = SessionConfig()
        self._history: deque[tuple[str, str]] = deque(maxlen=MAX_HISTORY)
        self._turns = Turns()
        self._route = Route(self._open, self)
        self._untouched = self._speaking = False

    @property
    def is_connected(self) -> bool:
        """Whether the session is open; it is while it moves to another connection."""
        return self._route.connection is not None

    async def connect(self) -> None:
        """Open a session that knows the history told so far. Raises `ProviderError`."""
        if self._route.connection is None:
            self._turns = Turns()
            await self._route.begin()

    async def disconnect(self) -> None:
        """Close the session; idempotent."""
        await self._route.close()

    async def configure_session(self, config: SessionConfig | Mapping[str, Any]) -> None:
        """Apply ``config``; an open session moves for it, after an answer under way.

        Raises `ProviderError`.
        """
        before, self._session = self._session, as_session_config(config)
        if self._route.connection is not None and before != self._session:
            self._route.move_when_quiet()
            await self._route.settled()

    async def send_audio(self, audio_data: bytes) -> None:
        """Send mono s16le PCM at 16 kHz. Raises `AudioError`, `ProviderError`."""
        if len(audio_data) % BYTES_PER_SAMPLE:
            raise AudioError("half a sample was sent")
        connection = await self._route.settled()
        if not audio_data:
            return
        start = self._session.turn_detection == "client" and not self._speaking
        self._speaking, self._untouched = self._speaking or start, False
        connection.active = True
        await _send(connection, *([wire.activity_start()] if start else []), wire.audio(audio_data))

    async def commit(self) -> None:
        """End the utterance and ask for an answer. Raises `AudioError` for an empty one, `ProviderError`."""
        connection = await self._route.settled()
        if self._session.turn_detection != "client":
            await _send(connection, wire.stream_end())
            return
        if not self._speaking:
            raise AudioError("too little sound was sent to answer it", code="audio_too_short")
        self._speaking = False
        self._ask(connection)
        await _send(connection, wire.activity_end())

    async def clear_audio(self) -> None:
        """Forget sound that was not committed: the session moves, for it cannot be taken back."""
        await self._route.settled()
        if self._speaking:
            self._speaking = False
            self._route.move()
            await self._route.settled()

    async def send_text(self, text: str) -> None:
        """Send a user's message and ask for an answer. Raises `ProviderError`."""
        connection = await self._route.settled()
        self._untouched = False
        messages = [wire.content([("user", text)], complete=True)]
        if not self._dialect.content_any_time:
            messages = [wire.realtime_text(text)]
            if self._session.turn_detection == "client":
                start = [] if self._speaking else [wire.activity_start()]
                messages = [*start, *messages, wire.activity_end()]
                self._speaking = False
        self._ask(connection)
        await _send(connection, *messages)

    async def interrupt(self, played_ms: float | None = None) -> None:
        """Give the answer up. The model is stopped by what the user says or types next, and believes that
        all of it was heard: the protocol has no message for either. Raises `NotConnected`.
        """
        await self._route.settled()
        self._tell(self._turns.give_up(played_ms))
        self._note_activity()

    async def add_history(self, role: str, text: str) -> None:
        """Tell an earlier turn. Older models take it at the beginning only: there the session begins again.

        Raises `ProviderError`.
        """
        self._history.append((role, text))
        if self._route.connection is None:
            return
        if self._dialect.content_any_time:
            await _send(await self._route.settled(), wire.content([(role, text)], complete=False))
        elif self._untouched:
            # Starts when the caller next waits, so that all he has to tell is told in one go.
            self._route.move()
        else:
            _log.warning("%s takes no history in the middle of a session", self._model)

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Answer a call; a call the vendor has withdrawn is not answered. Raises `ProviderError`."""
        connection = await self._route.settled()
        answered = self._turns.answered(call_id)
        if answered is None:
            return
        name, wanted = answered
        silent = not wanted and self._behavior() == "NON_BLOCKING"
        await _send(connection, wire.tool_response(call_id, name, output, silent=silent))

    async def get_usage(self) -> Usage | None:
        """Return what this session used, as the vendor counts it."""
        return self._turns.usage

    async def estimate_cost(self) -> Cost | None:
        """Return what that costs, None where no price is known."""
        return cost_of(self._model.removeprefix("models/"), self._turns.usage)

    def _ask(self, connection: WebSocketConnection) -> None:
        self._turns.asked()
        self._route.talked = True
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
        seed = wire.content(self._history, complete=True) if self._history and not handle else None
        setup = wire.setup(
            self._model,
            self._session,
            voice=self._session.voice or str(self.config.get("voice") or ""),
            handle=handle,
            history=seed is not None,
            behavior=self._behavior(),
        )
        connection, session_id = await open_session(
            self._address(), setup, seed, self._deadlines, self.resolver
        )
        self.session_id = session_id or self.session_id
        return connection

    def is_quiet(self) -> bool:
        """Whether nobody speaks and no answer is due."""
        return not (self._turns.busy or self._speaking)

    def take(self, frame: bytes | str) -> None:
        """Turn what the vendor sent into events."""
        try:
            message = wire.decode(frame)
        except ProviderError as error:
            self._complain(error)
            return
        if (refusal := wire.refusal(message)) is not None:
            self._complain(refusal)
        update = message.get("sessionResumptionUpdate")
        if isinstance(update, dict) and update.get("resumable") and update.get("newHandle"):
            self._route.handle = str(update["newHandle"])
        if isinstance(message.get("goAway"), dict):
            self._route.leave(wire.seconds(message["goAway"].get("timeLeft"), LEAVE_EARLY_S))
        self._tell(self._turns.feed(message))
        self._route.talked = self._route.talked or self._turns.busy
        self._note_activity()

    def arrived(self, *, resumed: bool) -> None:
        """The session is on another connection: what was under way is over."""
        self._tell(self._turns.drop())
        self._turns.sound = "audio" in self._session.modalities
        self._turns.detects = self._session.turn_detection != "client"
        self._untouched, self._speaking = not resumed, False

    def lost(self, end: CloseReason) -> None:
        """The session is over: end what was under way, and tell why."""
        self._tell(self._turns.drop())
        known = wire.meaning(end)
        data = {"provider": wire.NAME, "code": known.code, "reason": known.reason, "reconnecting": False}
        self.emit_event(EventType.CONNECTION_LOST, data)

    def _complain(self, error: ProviderError) -> None:
        data = {"code": error.code, "message": str(error), "hint": error.hint}
        self.emit_event(EventType.ERROR_GENERAL, data)

    def _note_activity(self) -> None:
        if self._route.connection is not None:
            self._route.connection.active = not self.is_quiet()

    def _tell(self, events: Iterable[ProviderEvent]) -> None:
        for event in events:
            self.on_event(event)


async def _send(connection: WebSocketConnection, *messages: wire.Message) -> None:
    for message in messages:
        await connection.send(wire.encode(message))
