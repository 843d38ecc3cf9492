"""A fake of Google Cloud Text-to-Speech by REST."""

import base64
import json
from typing import ClassVar

from tests.servers.plain_http import Asked, Play
from tests.servers.voices import KEY, Voice, need, sound_of, told, wav_of


class GoogleVoiceServer(Voice):
    speak_path: ClassVar[str] = "/v1/text:synthesize"
    check_path: ClassVar[str] = "/v1/voices"

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("x-goog-api-key") == KEY

    def unknown(self) -> Play:
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        error = {
            "code": 400,
            "message": "API key not valid.",
            "status": "INVALID_ARGUMENT",
            "details": details,
        }
        return told({"error": error}, 400)

    def state(self) -> Play:
        return told({"voices": [{"name": "en-US-Neural2-C", "languageCodes": ["en-US"]}]})

    def wrong(self, why: str) -> Play:
        return told({"error": {"code": 400, "message": why, "status": "INVALID_ARGUMENT"}}, 400)

    def speak(self, asked: Asked) -> Play:
        body = json.loads(asked.body)
        need(set(body) == {"input", "voice", "audioConfig"}, f"unknown fields: {set(body)}")
        text, audio = body["input"]["text"], body["audioConfig"]
        need(0 < len(text.encode()) <= 5000, "the length of the text")
        need(body["voice"]["languageCode"], "a language is wanted")
        rate_hz = int(audio.get("sampleRateHertz", 24_000))
        pcm = sound_of(text, rate_hz, body["voice"].get("name"))
        found = {"PCM": pcm, "LINEAR16": wav_of(pcm, rate_hz)}
        need(audio["audioEncoding"] in found, "the fake speaks PCM only")
        return told({"audioContent": base64.b64encode(found[audio["audioEncoding"]]).decode()})
