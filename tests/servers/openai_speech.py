"""A fake of a server with OpenAI's ``/audio/speech``."""

import json
from typing import ClassVar

from tests.servers.plain_http import Asked, Plain, Play
from tests.servers.voices import KEY, Voice, need, sound_of, streamed, told, wav_of

RATE_HZ = 24_000
_KNOWN = {"model", "input", "voice", "response_format", "speed", "instructions", "stream_format"}


class OpenAISpeechServer(Voice):
    """``wav``: it sends a WAV file whatever it was asked for, as some do; ``key`` "" wants none."""

    speak_path: ClassVar[str] = "/v1/audio/speech"
    check_path: ClassVar[str] = "/v1/models"

    def __init__(self, plain: Plain) -> None:
        super().__init__(plain)
        self.wav = False
        self.key = KEY
        self.lists_models = True

    def knows(self, asked: Asked) -> bool:
        return not self.key or asked.headers.get("authorization") == f"Bearer {self.key}"

    def unknown(self) -> Play:
        error = {"message": "Incorrect API key provided.", "code": "invalid_api_key", "type": "x"}
        return told({"error": error}, 401)

    def state(self) -> Play:
        if not self.lists_models:
            return told({"detail": "Not Found"}, 404)
        return told({"object": "list", "data": [{"id": "tts-1", "object": "model"}]})

    def speak(self, asked: Asked) -> Play:
        body = json.loads(asked.body)
        need(set(body) <= _KNOWN, f"unknown fields: {set(body) - _KNOWN}")
        need(0 < len(body["input"]) <= 4096, "the length of the input")
        need(body["model"] and body["voice"], "model and voice")
        pcm = sound_of(body["input"], RATE_HZ, body["voice"])
        if self.wav:
            return streamed(wav_of(pcm, RATE_HZ), content_type="audio/wav")
        need(body["response_format"] == "pcm", "the fake speaks PCM only")
        return streamed(pcm)
