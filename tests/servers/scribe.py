"""A fake of ElevenLabs' Scribe, realtime."""

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from websockets.http11 import Request

from tests.servers.live_speech import KEY, Frame, LiveSpeech, Message, Refusal, Session
from tests.servers.words import text_of

LEAST_COMMIT_S = 0.3


class ScribeSession(Session):
    """Partial transcripts, and a committed one when it is asked for."""

    _partial = ""
    _committed_s = 0.0

    async def greet(self) -> None:
        config = {"sample_rate": 16_000, "audio_format": "pcm_16000", "commit_strategy": "manual"}
        await self.say({"message_type": "session_started", "session_id": "session-1", "config": config})

    async def took(self, message: Message) -> None:
        frame = json.loads(message)
        if frame.get("message_type") != "input_audio_chunk" or frame.get("sample_rate") != 16_000:
            await self.fail("input_error", "no such message")
            return
        if pcm := base64.b64decode(frame["audio_base_64"]):
            await self.hear(pcm)
        if frame["commit"]:
            await self._commit()

    async def fail(self, kind: str, text: str) -> None:
        """Report a fault and close, as the vendor does."""
        await self.say({"message_type": kind, "error": text})
        await self.socket.close(1008, text)

    async def heard(self) -> None:
        if self.pending_text != self._partial:
            self._partial = self.pending_text
            await self.say({"message_type": "partial_transcript", "text": self._partial})

    async def starved(self) -> None:
        await self.socket.close(1000)

    async def commit_unasked(self) -> None:
        """Commit what is pending, as the vendor does when it grows too long."""
        self._partial = ""
        await self.say({"message_type": "committed_transcript", "text": text_of(self.settle())})

    async def _commit(self) -> None:
        if self.recogniser.processed_s - self._committed_s < LEAST_COMMIT_S:
            await self.fail("commit_throttled", "too little audio")
            return
        await self.finishing()
        self._committed_s = self.recogniser.processed_s
        await self.commit_unasked()


class Scribe(LiveSpeech):
    session = ScribeSession
    path = "/v1/speech-to-text/realtime"
    questions: ClassVar[Mapping[str, Frame]] = {
        "/v1/user/subscription": {"tier": "creator", "character_count": 10, "character_limit": 1000}
    }

    def knows(self, request: Request) -> bool:
        return request.headers.get("xi-api-key") == KEY

    def unknown(self) -> Refusal:
        return Refusal(401, {"detail": {"status": "invalid_api_key", "message": "Invalid API key"}})

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        known = query.get("audio_format") == ["pcm_16000"] and query.get("model_id")
        return None if known else Refusal(422, {"detail": [{"loc": ["query"], "msg": "x", "type": "y"}]})
