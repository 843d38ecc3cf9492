"""Speaks with ElevenLabs by WebSocket, which begins sooner than HTTP: the socket is open before the text is.

One socket speaks one clause, as a whole (``auto_mode``), and says itself when it is finished. What was spoken
before it cannot be told here, unlike by HTTP.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec

from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net.endpoint import realtime_url
from voxd.net.faults import error_meaning, parse_refusal
from voxd.net.transport import Access, Budget
from voxd.net.websocket import WebSocketAddress, WebSocketConnection
from voxd.providers.pipeline.stages.tts_pcm import PcmDecoder, PlaybackLead
from voxd.providers.pipeline.stages.tts_socket import SocketTextToSpeech
from voxd.providers.vendors.elevenlabs import wire as terms

INACTIVITY_S = 60
"""How long the vendor is to wait for a text; he would wait 20 s, and 180 s at most."""

_FINISHED = "closed_by_vendor"


class _Frame(msgspec.Struct):
    """What the vendor says: the last frame has no sound, and after a complaint he hangs up."""

    audio: bytes | None = None
    is_final: bool | None = msgspec.field(default=None, name="isFinal")
    message: str | None = None
    error: str | None = None


class ElevenLabsStreamTts(SocketTextToSpeech[terms.ElevenLabsTtsOptions]):
    """ElevenLabs, ``stream-input`` (reference/providers.md, section 6)."""

    options_type = terms.ElevenLabsTtsOptions
    default_endpoint: ClassVar[str] = terms.ENDPOINT
    spare_s: ClassVar[float] = INACTIVITY_S - 10.0

    @property
    def model(self) -> str:
        """The model that speaks."""
        return terms.speaker(self)

    async def check(self, budget: Budget) -> None:
        """Ask for the state of the account. Raises `ProviderError`."""
        await terms.check(self, budget)

    @asynccontextmanager
    async def connect(self, budget: Budget, *, kind: str) -> AsyncIterator[WebSocketConnection]:
        """Open a socket and say with which voice."""
        async with self.wire.socket(self._address, budget, kind=kind, refused=terms.refused) as connection:
            await connection.send(_encoded({"text": " ", "voice_settings": self._options.voice_settings()}))
            yield connection

    async def speak(
        self, connection: WebSocketConnection, text: str, pace: PlaybackLead
    ) -> AsyncGenerator[Clip]:
        """Say ``text`` and yield its sound. Raises `ProviderError`."""
        # The vendor takes whole words, and knows them by the space behind them.
        await connection.send(_encoded({"text": f"{text.strip()} "}))
        await connection.send(_encoded({"text": ""}))
        pcm = PcmDecoder(self.name, self._options.sample_rate_hz)
        while message := await pace.wait_for(connection.receive()):
            frame = self._read(message)
            if frame.audio and (clip := pcm.feed(frame.audio)):
                yield clip
            if frame.is_final:
                break
        else:
            # Some servers hang up without a last word.
            if connection.ending is None or connection.ending.code != _FINISHED or not pcm.has_begun:
                raise self.close_error(connection)
        if clip := pcm.finish():
            yield clip

    def close_error(self, connection: WebSocketConnection) -> ProviderError:
        """Return why ``connection`` is over; the reason may be one of the vendor's names."""
        reason = connection.ending.reason if connection.ending else ""
        for name, means in terms.NAMES.items():
            if name in reason:
                return error_meaning(self.name, means, reason)
        return super().close_error(connection)

    def _address(self, access: Access) -> WebSocketAddress:
        options = self._options
        query = {
            "model_id": self.model,
            "output_format": f"pcm_{options.sample_rate_hz}",
            "auto_mode": "true",
            "inactivity_timeout": INACTIVITY_S,
        }
        more = {
            "language_code": terms.language_of(self.model, self.config.language),
            "apply_text_normalization": options.apply_text_normalization,
        }
        query |= {name: value for name, value in more.items() if value}
        if options.seed is not None:
            query["seed"] = options.seed
        path = f"/v1/text-to-speech/{quote(self.voice, safe='')}/stream-input"
        url = realtime_url(self.name, access.endpoint or self.default_endpoint, path, query)
        headers = terms.headers(self, access)
        return WebSocketAddress(url, headers, key=access.key)

    def _read(self, message: str | bytes) -> _Frame:
        try:
            frame = msgspec.json.decode(message, type=_Frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            msg = "a frame of the vendor is malformed"
            raise StreamError(msg, provider=self.name, code="bad_frame") from None
        if frame.message is None and frame.error is None:
            return frame
        told = parse_refusal({}, message if isinstance(message, bytes) else message.encode())
        if told.name in terms.NAMES:
            raise error_meaning(self.name, terms.NAMES[told.name], told.message or told.name)
        raise StreamError(told.message or "the vendor complained", provider=self.name)


def _encoded(frame: Mapping[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
