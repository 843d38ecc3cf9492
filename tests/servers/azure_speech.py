"""A fake Azure Speech: its WebSocket protocol (USP), strict about what it is sent.

`tests/conformance/test_azure_speech.py` lets Azure's own native client judge it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.servers.live_speech import KEY, Frame, LiveSpeech, Message, Refusal, Session
from tests.servers.words import PAUSE_S, text_of

TICKS_PER_S = 10_000_000
_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_WAV_HEADER_BYTES = 44
_WRONG = 1007


class AzureSession(Session):
    """A phrase for every two words, hypotheses in between. A new request id begins a new turn."""

    configured = False
    turn = ""
    begun = False
    _from_s = 0.0
    _hypothesis = ""

    @property
    def contexts(self) -> list[Frame]:
        """The likely words of every turn."""
        texts = (message for message in self.messages if isinstance(message, str))
        split = (text.partition("\r\n\r\n") for text in texts)
        return [json.loads(body) for head, _, body in split if "Path:speech.context" in head]

    async def took(self, message: Message) -> None:
        await (self._text(message) if isinstance(message, str) else self._binary(message))

    async def heard(self) -> None:
        words = self.pending
        if len(words) >= self.script.settles:
            # In the middle of the pause, wherever the user is by now.
            await self._phrase(min(words[-1].end_s + PAUSE_S / 2, self.recogniser.processed_s))
        elif words and self.pending_text != self._hypothesis:
            self._hypothesis = self.pending_text
            span = self._span(self.recogniser.processed_s)
            await self._tell("speech.hypothesis", {"Text": self.pending_text, **span})

    async def _text(self, message: str) -> None:
        head, _, body = message.partition("\r\n\r\n")
        headers = _headers(head)
        match headers.get("path"):
            case "speech.config" if not self.configured and "x-requestid" not in headers:
                self.configured = json.loads(body)["context"].keys() >= {"system", "os", "audio"}
            case "speech.context" if self.configured and _ID.fullmatch(headers.get("x-requestid", "")):
                json.loads(body)
                self.turn, self.begun = headers["x-requestid"], False
            case "telemetry":
                json.loads(body)
            case other:
                await self.socket.close(_WRONG, f"unexpected {other}")

    async def _binary(self, message: bytes) -> None:
        size = 2 + int.from_bytes(message[:2])
        headers = _headers(message[2:size].decode().removesuffix("\r\n"))
        body = message[size:]
        if headers.get("path") != "audio" or not self.turn or headers.get("x-requestid") != self.turn:
            await self.socket.close(_WRONG, "sound outside a turn")
        elif not body:
            await self._finish()
        elif not self.begun:
            self.begun = True
            if headers.get("content-type") != "audio/x-wav" or body[:4] != b"RIFF":
                await self.socket.close(_WRONG, "sound without its form")
                return
            await self._tell("turn.start", {"context": {"serviceTag": "a-tag"}})
            await self._tell("speech.startDetected", {"Offset": 0})
            if body[_WAV_HEADER_BYTES:]:
                await self.hear(body[_WAV_HEADER_BYTES:])
        elif "content-type" in headers or len(body) % 2:
            await self.socket.close(_WRONG, "sound in another form")
        else:
            await self.hear(body)

    async def _finish(self) -> None:
        await self.finishing()
        processed_s = self.recogniser.processed_s
        await self._tell("speech.endDetected", {"Offset": round(processed_s * TICKS_PER_S)})
        await self._phrase(processed_s)
        await self._tell("speech.phrase", {"RecognitionStatus": "EndOfDictation", **self._span(processed_s)})
        await self._tell("turn.end", {})

    async def _phrase(self, end_s: float) -> None:
        text, self._hypothesis = text_of(self.settle()), ""
        span, self._from_s = self._span(end_s), end_s
        said = {"DisplayText": text} if text else {}
        status = "Success" if text else "NoMatch"
        await self._tell("speech.phrase", {"RecognitionStatus": status, **said, **span})

    def _span(self, end_s: float) -> dict[str, int]:
        duration_s = max(end_s - self._from_s, 0.0)
        return {"Offset": round(self._from_s * TICKS_PER_S), "Duration": round(duration_s * TICKS_PER_S)}

    async def _tell(self, path: str, body: Mapping[str, Any]) -> None:
        await self.say(told(path, body, self.turn))


def told(path: str, body: Mapping[str, Any], turn: str) -> str:
    """Return a frame of the service."""
    kind = "Content-Type:application/json; charset=utf-8"
    return f"X-RequestId:{turn}\r\n{kind}\r\nPath:{path}\r\n\r\n{json.dumps(body)}"


class AzureSpeech(LiveSpeech):
    session = AzureSession
    path = "/speech/recognition/conversation/cognitiveservices/v1"

    def knows(self, request: Request) -> bool:
        return request.headers.get("Ocp-Apim-Subscription-Key") == KEY

    def unknown(self) -> Refusal:
        return Refusal(401)

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        return None if query.get("language") else Refusal(400, "no language")

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        if not _ID.fullmatch(request.headers.get("X-ConnectionId", "")):
            return connection.respond(400, "no connection id")  # type: ignore[arg-type]
        return super().answer(connection, request)


def _headers(head: str) -> dict[str, str]:
    found = (line.partition(":") for line in head.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in found}
