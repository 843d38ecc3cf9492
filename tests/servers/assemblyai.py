"""A fake AssemblyAI: the streaming API in version 3."""

from collections.abc import Mapping
from typing import ClassVar

from websockets.http11 import Request

from tests.servers.live_speech import KEY, Frame, LiveSpeech, Message, Refusal, Session
from tests.servers.words import Word, speaker_of, text_of

LEAST_MS, MOST_MS = 50, 1000
BYTES_PER_MS = 32


class StreamingSession(Session):
    """A turn for every two words, first plain and then formatted."""

    _order = 0
    _partial = ""

    async def greet(self) -> None:
        await self.say({"type": "Begin", "id": "session-1", "expires_at": 1_800_000_000})

    async def took(self, message: Message) -> None:
        if isinstance(message, bytes):
            await self._sound(message)
        elif "Terminate" in message:
            await self._end()
        elif "KeepAlive" not in message and "ForceEndpoint" not in message:
            await self.fail(3006, "Invalid Message Type")

    async def fail(self, code: int, text: str) -> None:
        """Report a fault and close, as the vendor does."""
        await self.say({"type": "Error", "error_code": code, "error": text})
        await self.socket.close(code, text)

    async def _sound(self, pcm: bytes) -> None:
        length_ms = len(pcm) / BYTES_PER_MS
        if not LEAST_MS <= length_ms <= MOST_MS:
            await self.fail(
                3007, f"Input duration violation: {length_ms} ms. Expected between 50 and 1000 ms"
            )
            return
        await self.hear(pcm)

    async def heard(self) -> None:
        if len(self.pending) >= self.script.settles:
            await self._settle()
        elif self.pending_text != self._partial:
            self._partial = self.pending_text
            await self.say(self._turn(self.pending, ended=False, formatted=False))

    async def starved(self) -> None:
        await self.fail(4031, "Session idle for too long")

    async def _settle(self) -> None:
        words, self._partial = self.settle(), ""
        await self.say(self._turn(words, ended=True, formatted=False))
        if self.query.get("format_turns") == ["true"] or self.query.get("format_turns") == ["True"]:
            await self.say(self._turn(words, ended=True, formatted=True))
        self._order += 1

    async def _end(self) -> None:
        await self.finishing()
        if self.pending:
            await self._settle()
        processed_s = round(self.recogniser.processed_s)
        await self.say(
            {
                "type": "Termination",
                "audio_duration_seconds": processed_s,
                "session_duration_seconds": processed_s + 1,
            }
        )
        await self.end()

    def _turn(self, words: list[Word], *, ended: bool, formatted: bool) -> Frame:
        told = [
            {
                "text": word.text,
                "start": round(word.start_s * 1000),
                "end": round(word.end_s * 1000),
                "confidence": 0.9,
                "word_is_final": ended,
            }
            for word in words
        ]
        return {
            "type": "Turn",
            "turn_order": self._order,
            "turn_is_formatted": formatted,
            "end_of_turn": ended,
            # Until the turn ends, the transcript lacks what is not sure yet.
            "transcript": text_of(words if ended else words[:-1]),
            "end_of_turn_confidence": 0.9 if ended else 0.1,
            "words": told,
            **(
                {"speaker_label": "AB"[speaker_of(words[0].text)]}
                if "speaker_labels" in self.query and words
                else {}
            ),
        }


class AssemblyAi(LiveSpeech):
    session = StreamingSession
    path = "/v3/ws"
    questions: ClassVar[Mapping[str, Frame]] = {"/v3/token": {"token": "temporary", "expires_in_seconds": 60}}

    def knows(self, request: Request) -> bool:
        return request.headers.get("Authorization") == KEY

    def unknown(self) -> Refusal:
        return Refusal(401, {"error": "Not Authorized"})

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        known = {"sample_rate", "encoding", "speech_model"} <= set(query)
        return None if known else Refusal(400, {"error": "parameters are missing"})
