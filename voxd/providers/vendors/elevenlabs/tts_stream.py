"""ElevenLabs text-to-speech over a WebSocket, opened in advance, so that audio starts sooner than over HTTP.

One socket synthesises one whole clause (``auto_mode``) and reports its end. The previous text cannot be sent
here.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from voxd.audio.formats.samples import Encoding
from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net.endpoint import realtime_url
from voxd.net.faults import error_meaning, parse_refusal
from voxd.net.transport import Access, Budget
from voxd.net.websocket import WebSocketAddress, WebSocketConnection
from voxd.providers import lenient
from voxd.providers.pipeline.stages.tts_pace import PlaybackLead
from voxd.providers.pipeline.stages.tts_socket import SocketTextToSpeech
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder
from voxd.providers.vendors.elevenlabs import wire
from voxd.providers.vendors.elevenlabs.options import ElevenLabsTtsOptions

INACTIVITY_S = 60
"""How long the vendor waits for text before it closes; its default is 20 s, its maximum 180 s."""

_FINISHED = "closed_by_vendor"


class _Frame(msgspec.Struct):
    """A message; the last one has no audio, and after an error the vendor closes."""

    audio: bytes | None = None
    is_final: bool | None = msgspec.field(default=None, name="isFinal")
    # Of any shape: `parse_refusal` reads it.
    message: Any = None
    error: Any = None


class ElevenLabsStreamTts(SocketTextToSpeech[ElevenLabsTtsOptions]):
    """ElevenLabs' ``stream-input`` WebSocket."""

    options_type = ElevenLabsTtsOptions
    default_endpoint: ClassVar[str] = wire.ENDPOINT
    spare_s: ClassVar[float] = INACTIVITY_S - 10.0

    @property
    def model(self) -> str:
        """The model in use."""
        return wire.tts_model(self)

    async def check(self, budget: Budget) -> None:
        """Request the state of the account. Raises `ProviderError`."""
        await wire.check(self, budget)

    @asynccontextmanager
    async def connect(self, budget: Budget, *, kind: str) -> AsyncIterator[WebSocketConnection]:
        """Open a socket and send the voice settings."""
        async with self.transport.socket(
            self._address, budget, kind=kind, read_refusal=wire.refused
        ) as connection:
            # The first message must be a space; it carries the settings.
            await connection.send(_encoded({"text": " ", "voice_settings": self._options.voice_settings()}))
            yield connection

    async def speak(
        self, connection: WebSocketConnection, text: str, pace: PlaybackLead
    ) -> AsyncGenerator[Clip]:
        """Send ``text`` and yield its audio. Raises `ProviderError`."""
        # The vendor expects whole words, each followed by a space.
        await connection.send(_encoded({"text": f"{text.strip()} "}))
        # An empty text is the end of the input.
        await connection.send(_encoded({"text": ""}))
        decoder = SoundDecoder(self.name, Encoding(self._options.sample_rate_hz))
        while message := await pace.wait_for(connection.receive()):
            frame = self._read(message)
            for clip in await decoder.feed(frame.audio or b""):
                yield clip
            # ``isFinal`` comes in a message without audio.
            if frame.is_final:
                break
        else:
            # Some servers close without a final message.
            if connection.ending is None or connection.ending.code != _FINISHED or not decoder.has_begun:
                raise self.close_error(connection)
        for clip in await decoder.finish():
            yield clip

    def close_error(self, connection: WebSocketConnection) -> ProviderError:
        """Return the error for the end of ``connection``; the reason may contain one of the error codes."""
        reason = connection.ending.reason if connection.ending else ""
        for name, means in wire.NAMES.items():
            if name in reason:
                return error_meaning(self.name, means, reason)
        return super().close_error(connection)

    def _address(self, access: Access) -> WebSocketAddress:
        options = self._options
        query = {
            "model_id": self.model,
            "output_format": f"pcm_{options.sample_rate_hz}",
            # For whole sentences: the vendor does not wait for more text before it starts.
            "auto_mode": "true",
            "inactivity_timeout": INACTIVITY_S,
        }
        more = {
            "language_code": wire.language_of(self.model, self.config.language),
            "apply_text_normalization": options.apply_text_normalization,
        }
        query |= {name: value for name, value in more.items() if value}
        if options.seed is not None:
            query["seed"] = options.seed
        if options.enable_logging is not None:
            query["enable_logging"] = str(options.enable_logging).lower()
        path = f"/v1/text-to-speech/{quote(self.voice, safe='')}/stream-input"
        url = realtime_url(self.name, access.endpoint or self.default_endpoint, path, query)
        headers = wire.auth_headers(self, access)
        return WebSocketAddress(url, headers, key=access.key)

    def _read(self, message: str | bytes) -> _Frame:
        try:
            frame = lenient.decode(message, _Frame)
            # Anything else may be ill-typed, but the audio is what a frame is about.
            if frame.audio is None and msgspec.json.decode(message).get("audio") is not None:
                raise msgspec.ValidationError("audio that is not base64")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            msg = "the vendor sent an invalid message"
            raise StreamError(msg, provider=self.name, code="bad_frame") from None
        if frame.message is None and frame.error is None:
            return frame
        refusal = parse_refusal({}, message if isinstance(message, bytes) else message.encode())
        if refusal.name in wire.NAMES:
            raise error_meaning(self.name, wire.NAMES[refusal.name], refusal.message or refusal.name)
        raise StreamError(refusal.message or "the vendor reported an error", provider=self.name)


def _encoded(frame: Mapping[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
