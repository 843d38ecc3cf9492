"""A fake of Amazon Polly. It checks the key id, not the signature."""

import json
from typing import ClassVar

from tests.servers.plain_http import Asked, Play
from tests.servers.voices import Voice, need, sound_of, streamed, told

KEY_ID = "AKIAVOICE0EXAMPLE"
KEY = f"{KEY_ID}:wJalrXUtnFEMI/K7MDENG/bPxRfiCY"
_KNOWN = {"Text", "TextType", "OutputFormat", "SampleRate", "VoiceId", "Engine", "LanguageCode"}


def refusal(kind: str, status: int = 400, message: str = "no") -> Play:
    return told({"message": message}, status, {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/"})


class PollyServer(Voice):
    speak_path: ClassVar[str] = "/v1/speech"
    check_path: ClassVar[str] = "/v1/voices"

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/")

    def unknown(self) -> Play:
        message = "The security token included in the request is invalid."
        return refusal("UnrecognizedClientException", 403, message)

    def state(self) -> Play:
        voice = {"Id": "Joanna", "Name": "Joanna", "LanguageCode": "en-US", "SupportedEngines": ["neural"]}
        return told({"Voices": [voice]})

    def wrong(self, why: str) -> Play:
        return refusal("ValidationException", message=why)

    def speak(self, asked: Asked) -> Play:
        body = json.loads(asked.body)
        need(set(body) <= _KNOWN, f"unknown fields: {set(body) - _KNOWN}")
        need(len(body["Text"]) <= 3000, "too long")
        need(body["OutputFormat"] == "pcm", "the fake speaks PCM only")
        need(body["SampleRate"] in {"8000", "16000"}, "no such rate")
        pcm = sound_of(body["Text"], int(body["SampleRate"]), body["VoiceId"])
        headers = {"x-amzn-RequestCharacters": str(len(body["Text"])), "x-amzn-RequestId": "a1"}
        return streamed(pcm, headers)
