"""Google Cloud text-to-speech over HTTP: a clause arrives whole, because streaming needs gRPC."""

import functools
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import msgspec

from voxd.audio.formats.samples import Encoding
from voxd.errors import StreamError
from voxd.frames import Clip
from voxd.net.endpoint import require_key
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers import lenient
from voxd.providers.languages import locale_of
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.pipeline.stages.tts_sound import SoundDecoder
from voxd.providers.vendors.google.options import GoogleTtsOptions


class _Answer(msgspec.Struct):
    audio: bytes = msgspec.field(name="audioContent")


class GoogleTts(HttpTextToSpeech[GoogleTtsOptions]):
    """Google Cloud Text-to-Speech v1.

    Without a configured voice the service selects the default one of the language.
    """

    options_type = GoogleTtsOptions
    default_endpoint: ClassVar[str] = "https://texttospeech.googleapis.com"
    max_chars: ClassVar[int] = 1250
    """The service accepts 5000 bytes, and a character in UTF-8 has up to four."""

    async def check(self, budget: Budget) -> None:
        """Request the voices of the language. Raises `ProviderError`."""

        def build(access: Access) -> HttpRequest:
            url = self.url_at(access, "/v1/voices", query={"languageCode": self._language})
            return HttpRequest("GET", url, self._headers(access))

        await self._check_by(build, budget)

    async def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text`` in one clip. Raises `ProviderError`."""
        build = functools.partial(self._call, text)
        async with self.transport.request(build, budget, kind="speak") as answer:
            body = await answer.read()
        try:
            sound = lenient.decode(body, _Answer).audio
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            msg = "the vendor's response has no audio"
            raise StreamError(msg, provider=self.name, code="bad_answer") from None
        decoder = SoundDecoder(self.name, Encoding(self._options.sample_rate_hz))
        # The response is one JSON object: nothing can be played before all is synthesised.
        for clip in await decoder.feed(sound) + await decoder.finish():
            yield clip

    def _call(self, text: str, access: Access) -> HttpRequest:
        options = self._options
        # The language is required, the voice is not.
        voice = {"languageCode": self._language, **({"name": self.voice} if self.voice else {})}
        audio: dict[str, Any] = {
            # LINEAR16 has a WAV header, PCM has none.
            "audioEncoding": options.encoding,
            "sampleRateHertz": options.sample_rate_hz,
            "speakingRate": options.speaking_rate,
            "pitch": options.pitch,
            "volumeGainDb": options.volume_gain_db,
            "effectsProfileId": list(options.effects) or None,
        }
        body = {
            "input": {"text": text},
            "voice": voice,
            "audioConfig": {name: value for name, value in audio.items() if value is not None},
        }
        return HttpRequest(
            "POST", self.url_at(access, "/v1/text:synthesize"), self._headers(access), json=body
        )

    @property
    def _language(self) -> str:
        """The language code: that of the configured voice ("en-GB-Neural2-A"), otherwise the configured
        one."""
        if self.voice.count("-") >= 2:
            return "-".join(self.voice.split("-")[:2])
        return locale_of(self.config.language)

    def _headers(self, access: Access) -> dict[str, str]:
        return {"x-goog-api-key": require_key(self.name, access.key)}
