"""A fake Amazon Transcribe: a WebSocket of event-stream frames, strict about what it is sent.

The signature in its URL is judged by botocore, its frames by the vendor's own client, both in
`tests/conformance/test_aws_transcribe.py`.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from tests.servers.live_speech import KEY as SECRET
from tests.servers.live_speech import LiveSpeech, Message, Refusal, Session
from tests.servers.words import PAUSE_S, Word, speaker_of, text_of
from voxd.providers.vendors.aws.wire import decode, encode

KEY_ID = "AKIDEXAMPLE0123456789"
KEY = f"{KEY_ID}:{SECRET}"
_SIGNED = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"}
_LONGEST_BYTES = 32_000


def exception(kind: str, message: str) -> bytes:
    """The frame with which the vendor breaks a session off."""
    headers = {":message-type": "exception", ":exception-type": kind, ":content-type": "application/json"}
    return encode(headers, json.dumps({"Message": message}).encode())


def transcript(*results: dict[str, Any]) -> bytes:
    """The frame that carries ``results``."""
    headers = {
        ":message-type": "event",
        ":event-type": "TranscriptEvent",
        ":content-type": "application/json",
    }
    return encode(headers, json.dumps({"Transcript": {"Results": results}}).encode())


class AwsSession(Session):
    """A result for every two words, its partial states in between."""

    _from_s = 0.0
    _number = 0
    _partial = ""

    async def took(self, message: Message) -> None:
        frame = decode(message if isinstance(message, bytes) else message.encode())
        sent = frame.headers.get(":event-type"), frame.headers.get(":content-type")
        if sent != ("AudioEvent", "application/octet-stream") or len(frame.payload) > _LONGEST_BYTES:
            await self.socket.send(exception("BadRequestException", "That is no sound, or too much of it."))
            await self.socket.close()
        elif frame.payload:
            await self.hear(frame.payload)
        else:
            await self.finishing()
            if self.pending:
                await self._tell(self.settle(), self.recogniser.processed_s, partial=False)
            await self.say(transcript())
            await self.end()

    async def heard(self) -> None:
        words = self.pending
        if len(words) >= self.script.settles:
            # In the middle of the pause, wherever the user is by now.
            end_s = min(words[-1].end_s + PAUSE_S / 2, self.recogniser.processed_s)
            await self._tell(self.settle(), end_s, partial=False)
            self._from_s, self._number, self._partial = end_s, self._number + 1, ""
        elif words and self.pending_text != self._partial:
            self._partial = self.pending_text
            await self._tell(words, self.recogniser.processed_s, partial=True)

    async def starved(self) -> None:
        why = "Your request timed out because no new audio was received for 15 seconds."
        await self.socket.send(exception("BadRequestException", why))
        await self.socket.close()

    async def _tell(self, words: list[Word], end_s: float, *, partial: bool) -> None:
        asked = "enable-partial-results-stabilization" in self.query
        items = [
            {
                "Content": word.text,
                "Type": "pronunciation",
                "StartTime": word.start_s,
                "EndTime": word.end_s,
                "Confidence": 0.9,
                **({"Stable": self.recogniser.pausing} if asked else {}),
                **({"Speaker": str(speaker_of(word.text))} if "show-speaker-label" in self.query else {}),
                "VocabularyFilterMatch": False,
            }
            for word in words
        ]
        result = {
            "ResultId": f"result-{self._number}",
            "StartTime": self._from_s,
            "EndTime": end_s,
            "IsPartial": partial,
            "ChannelId": "ch_0",
            "Alternatives": [{"Transcript": text_of(words), "Items": items}],
        }
        await self.say(transcript(result))


class AwsTranscribe(LiveSpeech):
    session = AwsSession
    path = "/stream-transcription-websocket"

    def knows(self, request: Request) -> bool:
        query = parse_qs(urlsplit(request.path).query)
        if not query.keys() >= _SIGNED | {"X-Amz-Signature"}:
            return False
        return query["X-Amz-Credential"][0].startswith(f"{KEY_ID}/")

    def unknown(self) -> Refusal:
        body = {"Message": "The security token included in the request is invalid."}
        kind = "UnrecognizedClientException:http://internal.amazon.com/coral/com.amazon.coral.service/"
        return Refusal(403, body, {"x-amzn-ErrorType": kind})

    def invalid(self, query: Mapping[str, list[str]]) -> Refusal | None:
        said = ""
        if int(query["X-Amz-Expires"][0]) > 300 or query["X-Amz-SignedHeaders"] != ["host"]:
            said = "The signature may live for 300 seconds."
        if query.get("media-encoding") != ["pcm"] or query.get("sample-rate") != ["16000"]:
            said = "The form of the sound is missing."
        if bool(query.get("language-code")) == ("identify-language" in query):
            said = "Name a language, or have it identified."
        return Refusal(400, {"Message": said}, {"x-amzn-ErrorType": "BadRequestException"}) if said else None
