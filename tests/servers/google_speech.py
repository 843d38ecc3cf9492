"""Google's ``/v1/speech:recognize``, which understands the sound it is sent.

`tests/conformance/test_google_speech.py` lets the vendor's own client judge it, and the vendor's own types
judge what it is sent.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from tests.rig.transports import KEY
from tests.servers.plain_http import Asked, Plain, Play, reply
from tests.servers.words import recognised
from voxd.audio.files import decode_flac

PATH = "/v1/speech:recognize"


def answer_of(body: object, status: int = 200) -> Play:
    """``body`` as JSON."""
    return reply(json.dumps(body).encode(), status=status, content_type="application/json; charset=UTF-8")


def complaint(status: int, name: str, message: str, *details: dict[str, Any]) -> Play:
    """A refusal as Google words it."""
    return answer_of(
        {"error": {"code": status, "message": message, "status": name, "details": list(details)}}, status
    )


def bad_key() -> Play:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    return complaint(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", detail)


@dataclass
class GoogleSpeechServer:
    """The server: `script` is played first, then everything is understood. ``key`` None takes any client."""

    plain: Plain
    key: str | None = KEY
    script: list[Play] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, asked: Asked) -> Play:
        """Return the answer to ``asked``."""
        if self.key is not None and asked.headers.get("x-goog-api-key") != self.key:
            return bad_key()
        if (asked.method, asked.target.partition("?")[0]) != ("POST", PATH):
            return complaint(404, "NOT_FOUND", "Not found.")
        body = json.loads(asked.body)
        if "audio" not in body:
            return complaint(400, "INVALID_ARGUMENT", "RecognitionAudio not set.")
        self.bodies.append(body)
        if self.script:
            return self.script.pop(0)
        if "languageCode" not in body["config"]:
            return complaint(400, "INVALID_ARGUMENT", "Invalid recognition 'config': bad language code.")
        return self._recognised(body)

    def _recognised(self, body: dict[str, Any]) -> Play:
        sound = base64.b64decode(body["audio"]["content"])
        clip_pcm = decode_flac(sound).pcm if body["config"]["encoding"] == "FLAC" else sound
        text = recognised(clip_pcm)
        if not text:
            return answer_of({"totalBilledTime": "15s", "requestId": "1"})
        first, _, rest = text.partition(" ")
        parts = [part for part in (first, f" {rest}" if rest else "") if part]
        results = [
            {
                "alternatives": [{"transcript": part, "confidence": 0.9}],
                "resultEndTime": "1.500s",
                "languageCode": "en-us",
            }
            for part in parts
        ]
        return answer_of({"results": results, "totalBilledTime": "15s", "requestId": "1"})
