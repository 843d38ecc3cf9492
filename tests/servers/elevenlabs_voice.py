"""A fake of ElevenLabs' text to speech by REST."""

import json
import re
from typing import ClassVar
from urllib.parse import urlsplit

from tests.servers.plain_http import Asked, Plain, Play
from tests.servers.voices import KEY, Voice, need, query_of, sound_of, streamed, told

_PATH = re.compile(r"/v1/text-to-speech/([^/]+)/stream")
_KNOWN = {
    "text",
    "model_id",
    "language_code",
    "voice_settings",
    "seed",
    "previous_text",
    "next_text",
    "apply_text_normalization",
}


def refusal(status: str, http: int = 401, message: str = "no") -> Play:
    """Refuse as the vendor does: several reasons come with status 401."""
    return told({"detail": {"status": status, "message": message}}, http)


class ElevenLabsVoice(Voice):
    """The same text with the same seed sounds the same, unless the vendor is ``fickle``."""

    speak_path: ClassVar[str] = "/v1/text-to-speech/"
    check_path: ClassVar[str] = "/v1/user/subscription"

    def __init__(self, plain: Plain) -> None:
        super().__init__(plain)
        self.fickle = False
        self.subscription = {"character_count": 10, "character_limit": 10_000, "tier": "starter"}
        self.cost: int | None = None

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("xi-api-key") == KEY

    def unknown(self) -> Play:
        return refusal("invalid_api_key", message="Invalid API key")

    def state(self) -> Play:
        return told(self.subscription)

    def speak(self, asked: Asked) -> Play:
        body = json.loads(asked.body)
        need(asked.headers["content-type"] == "application/json", "JSON is wanted")
        need(set(body) <= _KNOWN, f"unknown fields: {set(body) - _KNOWN}")
        need(body["text"].strip(), "there is no text")
        found = _PATH.fullmatch(urlsplit(asked.target).path)
        need(found, "no such path")
        pcm = self.sound(body, query_of(asked)["output_format"], str(found and found[1]), body.get("seed"))
        if body.get("model_id", "").startswith("eleven_v3") and "previous_text" in body:
            message = "Providing previous_text or next_text is not yet supported with the 'eleven_v3' model."
            return refusal("unsupported_model", 400, message)
        cost = len(body["text"]) if self.cost is None else self.cost
        return streamed(pcm, {"request-id": "r1", "character-cost": str(cost)})

    def sound(self, body: dict[str, object], output_format: str, voice: str, seed: object) -> bytes:
        kind, _, rate = output_format.partition("_")
        need(kind == "pcm", f"the fake speaks PCM only, not {output_format}")
        salt = (voice, seed if seed is not None and not self.fickle else len(self.spoken))
        return sound_of(str(body["text"]), int(rate), salt)
