"""A fake of Azure's text to speech by REST."""

import re
from typing import ClassVar
from xml.etree import ElementTree

from tests.servers.plain_http import Asked, Play, reply
from tests.servers.voices import KEY, Voice, need, sound_of, streamed, told

_FORMAT = re.compile(r"raw-(\d+)(k?)hz-16bit-mono-pcm")
_SSML = "{http://www.w3.org/2001/10/synthesis}"


class AzureVoiceServer(Voice):
    speak_path: ClassVar[str] = "/cognitiveservices/v1"
    check_path: ClassVar[str] = "/cognitiveservices/voices/list"

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("ocp-apim-subscription-key") == KEY

    def unknown(self) -> Play:
        return reply(status=401)

    def state(self) -> Play:
        return told([{"ShortName": "en-US-AvaMultilingualNeural", "Locale": "en-US"}])

    def wrong(self, why: str) -> Play:
        return reply(why.encode(), status=400, content_type="text/plain")

    def speak(self, asked: Asked) -> Play:
        need(asked.headers["content-type"] == "application/ssml+xml", "SSML is wanted")
        need(asked.headers.get("user-agent"), "a User-Agent is wanted")
        found = _FORMAT.fullmatch(asked.headers["x-microsoft-outputformat"])
        need(found, "no such format")
        assert found is not None
        try:
            speak = ElementTree.fromstring(asked.body)
        except ElementTree.ParseError as error:
            raise ValueError(error) from None
        voice = speak.find(f"{_SSML}voice")
        need(speak.tag == f"{_SSML}speak" and voice is not None, "no voice")
        assert voice is not None
        need(speak.get("{http://www.w3.org/XML/1998/namespace}lang"), "no language")
        text = "".join(voice.itertext())
        rate_hz = int(found[1]) * (1000 if found[2] else 1)
        return streamed(sound_of(text, rate_hz, voice.get("name")), content_type="audio/x-wav")
