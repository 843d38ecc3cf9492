"""A fake of Deepgram Aura by REST."""

import json
from typing import ClassVar

from tests.servers.plain_http import Asked, Play
from tests.servers.voices import KEY, Voice, need, query_of, sound_of, streamed, told, wav_of


class Aura(Voice):
    speak_path: ClassVar[str] = "/v1/speak"
    check_path: ClassVar[str] = "/v1/projects"

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") == f"Token {KEY}"

    def unknown(self) -> Play:
        return told({"err_code": "INVALID_AUTH", "err_msg": "Invalid credentials.", "request_id": "d1"}, 401)

    def state(self) -> Play:
        return told({"projects": [{"project_id": "p1", "name": "home"}]})

    def speak(self, asked: Asked) -> Play:
        body, query = json.loads(asked.body), query_of(asked)
        need(set(body) == {"text"} and body["text"].strip(), "a text is wanted, and nothing else")
        need(len(body["text"]) <= 2000, "too long")
        need(query["model"].startswith("aura"), f"no such model: {query['model']}")
        need(query["encoding"] == "linear16", "the fake speaks linear16 only")
        rate_hz = int(query["sample_rate"])
        pcm = sound_of(body["text"], rate_hz, query["model"])
        body_bytes = pcm if query.get("container") == "none" else wav_of(pcm, rate_hz)
        headers = {"dg-request-id": "d1", "dg-char-count": str(len(body["text"]))}
        return streamed(body_bytes, headers, content_type=f"audio/l16;rate={rate_hz};channels=1")
