"""A fake of OpenAI's Realtime API as a transcription session: the same socket, another type of session."""

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from websockets.http11 import Request

from tests.servers.live_speech import KEY, Frame, LiveSpeech, Message, Refusal, Session
from tests.servers.words import text_of

LEAST_COMMIT_S = 0.1
_STEM = "conversation.item.input_audio_transcription"


class TranscriptionSession(Session):
    """Deltas while the user speaks, the whole when the item is committed."""

    rate_hz: ClassVar[int] = 24_000
    _session: Frame
    _events = 0
    _items = 1
    _told = 0

    async def greet(self) -> None:
        self._session = {"type": "transcription", "id": "sess_1", "object": "realtime.transcription_session"}
        await self.say({"type": "session.created", "session": self._session})

    async def say(self, frame: Frame | Message) -> None:
        if isinstance(frame, dict):
            self._events += 1
            frame = {"event_id": f"event_{self._events}", **frame}
        await super().say(frame)

    async def complain(self, code: str, text: str, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": text, "event_id": event_id}
        await self.say({"type": "error", "error": error})

    async def took(self, message: Message) -> None:
        frame = json.loads(message)
        match frame["type"]:
            case "session.update" if frame["session"].get("type") == "transcription":
                self._session = {**self._session, **frame["session"]}
                await self.say({"type": "session.updated", "session": self._session})
            case "input_audio_buffer.append":
                await self.hear(base64.b64decode(frame["audio"]))
            case "input_audio_buffer.commit":
                await self._commit(frame.get("event_id"))
            case kind:
                await self.complain("invalid_value", f"{kind} is not supported", frame.get("event_id"))

    async def heard(self) -> None:
        for word in self.recogniser.words[self._told :]:
            self._told += 1
            await self.say({"type": f"{_STEM}.delta", "delta": f"{word.text} ", **self._about})

    @property
    def _about(self) -> Frame:
        return {"item_id": f"item_{self._items}", "content_index": 0}

    async def _commit(self, event_id: str | None) -> None:
        if self.recogniser.processed_s < LEAST_COMMIT_S:
            await self.complain("input_audio_buffer_commit_empty", "buffer too small", event_id)
            return
        await self.finishing()
        item = self._about["item_id"]
        await self.say({"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None})
        await self.heard()
        usage = {
            "type": "tokens",
            "input_tokens": round(self.recogniser.processed_s * 10),
            "output_tokens": len(self.recogniser.words),
            "total_tokens": round(self.recogniser.processed_s * 10) + len(self.recogniser.words),
            "input_token_details": {
                "audio_tokens": round(self.recogniser.processed_s * 10),
                "text_tokens": 0,
            },
        }
        text = text_of(self.settle())
        await self.say({"type": f"{_STEM}.completed", "transcript": text, "usage": usage, **self._about})
        self._items += 1

    async def starved(self) -> None:
        await self.socket.close(1011)


class OpenAITranscription(LiveSpeech):
    session = TranscriptionSession
    path = "/v1/realtime"
    questions: ClassVar[Mapping[str, Frame]] = {
        "/v1/models/gpt-live-transcribe": {"id": "gpt-live-transcribe", "object": "model"}
    }

    def knows(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {KEY}"

    def unknown(self) -> Refusal:
        error = {"message": "Incorrect API key provided.", "code": "invalid_api_key", "type": "x"}
        return Refusal(401, {"error": error})

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        if query == {"intent": ["transcription"]}:
            return None
        return Refusal(
            400, {"error": {"message": "the model belongs into the session", "code": "invalid_value"}}
        )
