"""A fake Deepgram: the live API in version 1 (Nova) and in version 2 (Flux)."""

from collections.abc import Mapping
from typing import ClassVar

from websockets.http11 import Request
from websockets.protocol import OPEN

from tests.servers.live_speech import KEY, Frame, LiveSpeech, Message, Refusal, Session
from tests.servers.words import PAUSE_S, Word, speaker_of, text_of

_REQUEST_ID = "0f3d9a52-7c1c-4a54-9a35-0d2f1f6f0c11"


class NovaSession(Session):
    """Final results for every two words; interim ones in between."""

    _from_s = 0.0
    _interim = ""

    async def took(self, message: Message) -> None:
        match message:
            case b"":
                await self.socket.close(1011, "zero-length frame")
            case bytes():
                await self.hear(message)
            case '{"type":"KeepAlive"}' | '{"type": "KeepAlive"}':
                pass
            case _ if "Finalize" in message:
                await self.finishing()
                await self._final(self.recogniser.processed_s, from_finalize=True)
            case _ if "CloseStream" in message:
                await self.finishing()
                await self._final(self.recogniser.processed_s)
                await self._metadata()
                await self.end()
            case _:
                await self.socket.close(1011, "unknown message")

    async def heard(self) -> None:
        words = self.pending
        if len(words) >= self.script.settles:
            # In the middle of the pause, wherever the user is by now.
            await self._final(min(words[-1].end_s + PAUSE_S / 2, self.recogniser.processed_s))
        elif self.pending_text != self._interim:
            self._interim = self.pending_text
            await self.say(self._results(words, self.recogniser.processed_s, is_final=False))

    async def starved(self) -> None:
        # As in the vendor's own words; the code is only in the link.
        why = "Deepgram did not receive audio data or a text message within the timeout window. See NET-0001"
        await self.socket.close(1011, why)

    async def _final(self, end_s: float, *, from_finalize: bool = False) -> None:
        words, self._interim = self.settle(), ""
        results = self._results(words, end_s, is_final=True)
        if from_finalize:
            results["from_finalize"] = True
        self._from_s = end_s
        await self.say(results)

    def _results(self, words: list[Word], end_s: float, *, is_final: bool) -> Frame:
        told = [
            {
                "word": word.text,
                "start": word.start_s,
                "end": word.end_s,
                "confidence": 0.98,
                **({"speaker": speaker_of(word.text)} if self.query.get("diarize") == ["true"] else {}),
            }
            for word in words
        ]
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._from_s,
            "duration": end_s - self._from_s,
            "is_final": is_final,
            "speech_final": is_final and self.recogniser.pausing,
            "channel": {"alternatives": [{"transcript": text_of(words), "confidence": 0.98, "words": told}]},
            "metadata": {
                "request_id": _REQUEST_ID,
                "model_info": {"name": "nova-3", "version": "2026-01-01", "arch": "nova-3"},
                "model_uuid": _REQUEST_ID,
            },
        }

    async def _metadata(self) -> None:
        await self.say(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": _REQUEST_ID,
                "sha256": "0" * 64,
                "created": "2026-11-20T12:00:00.000Z",
                "duration": self.recogniser.processed_s,
                "channels": 1,
            }
        )


class FluxSession(Session):
    """A turn for every two words; before its end an early end is sent, and taken back once."""

    _sequence = 0
    _turn = 0
    _from_s = 0.0
    _told_s = 0.0
    _eager = False
    _update = ""

    async def greet(self) -> None:
        await self.say({"type": "Connected", "request_id": _REQUEST_ID, "sequence_id": 0})

    async def took(self, message: Message) -> None:
        if isinstance(message, bytes):
            await self.hear(message)
        elif "ForceEndTurn" in message:
            await self.finishing()
            if self.pending:
                await self._end("manual")
        elif "CloseStream" in message:
            await self.finishing()
            await self._info("Update", self.pending)
            await self.end()

    async def end(self) -> None:
        if not self.script.mute:
            async with self.socket.send_context(expected_state=OPEN):
                self.socket.protocol.send_close()

    async def heard(self) -> None:
        words = self.pending
        if len(words) >= self.script.settles:
            await self._end("model")
        elif words and not self._eager and self.recogniser.pausing:
            self._eager = True
            await self._info("EagerEndOfTurn", words)
        elif self._eager and not self.recogniser.pausing:
            self._eager = False
            await self._info("TurnResumed", words)
        elif self.pending_text != self._update:
            await self._info("StartOfTurn" if not self._update else "Update", words)
            self._update = self.pending_text
        elif self.recogniser.processed_s >= self._told_s + 0.25:
            await self._info("Update", words)

    async def _end(self, trigger: str) -> None:
        words = self.settle()
        end_s = min(words[-1].end_s + PAUSE_S / 2, self.recogniser.processed_s)
        await self._info("EndOfTurn", words, end_s=end_s, trigger=trigger)
        self._turn, self._from_s, self._eager, self._update = self._turn + 1, end_s, False, ""

    async def _info(self, event: str, words: list[Word], *, end_s: float | None = None, **more: str) -> None:
        self._sequence += 1
        self._told_s = self.recogniser.processed_s if end_s is None else end_s
        await self.say(
            {
                "type": "TurnInfo",
                "request_id": _REQUEST_ID,
                "sequence_id": self._sequence,
                "event": event,
                "turn_index": self._turn,
                "audio_window_start": self._from_s,
                "audio_window_end": self._told_s,
                "transcript": text_of(words),
                "words": [{"word": word.text, "confidence": 0.9} for word in words],
                "end_of_turn_confidence": 0.8 if event.endswith("EndOfTurn") else 0.1,
                **more,
            }
        )


class _Deepgram(LiveSpeech):
    questions: ClassVar[Mapping[str, Frame]] = {
        "/v1/projects": {"projects": [{"project_id": _REQUEST_ID, "name": "voxd"}]}
    }

    def knows(self, request: Request) -> bool:
        # The vendor's client sends the older of the two spellings too.
        return request.headers.get("Authorization", "").lower() == f"token {KEY}"

    def unknown(self) -> Refusal:
        body = {"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": _REQUEST_ID}
        return Refusal(401, body, {"dg-error": "Invalid credentials.", "dg-request-id": _REQUEST_ID})

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        if query.get("encoding") != ["linear16"] or query.get("sample_rate") != ["16000"]:
            return Refusal(400, {"err_code": "Bad Request", "err_msg": "encoding and sample_rate"})
        if any(value in {"True", "False", "None"} for values in query.values() for value in values):
            return Refusal(400, {"err_code": "Bad Request", "err_msg": "no such value"})
        return None


class DeepgramNova(_Deepgram):
    session = NovaSession
    path = "/v1/listen"


class DeepgramFlux(_Deepgram):
    session = FluxSession
    path = "/v2/listen"
