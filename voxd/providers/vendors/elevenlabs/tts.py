"""ElevenLabs text-to-speech over HTTP: one request for each clause, with streamed audio."""

import functools
import zlib
from collections.abc import AsyncGenerator
from typing import Any, ClassVar
from urllib.parse import quote

from voxd.frames import Clip
from voxd.net.faults import RefusalReader
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages.tts_http import stream_speech
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.elevenlabs import wire
from voxd.providers.vendors.elevenlabs.options import ElevenLabsTtsOptions


class ElevenLabsTts(HttpTextToSpeech[ElevenLabsTtsOptions]):
    """ElevenLabs' streaming HTTP endpoint.

    Audio that breaks off is requested again and continued where it broke off, if the second response begins
    with the same bytes; that is why every request has a seed.
    """

    options_type = ElevenLabsTtsOptions
    default_endpoint: ClassVar[str] = wire.ENDPOINT
    bill_header: ClassVar[str] = "character-cost"

    @property
    def model(self) -> str:
        """The model in use."""
        return wire.tts_model(self)

    @property
    def refusal_reader(self) -> RefusalReader:
        """The function that turns an HTTP error response into an error."""
        return wire.refused

    @property
    def heeds_previous(self) -> bool:
        """Whether the model uses the previous text for its intonation."""
        return wire.heeds_previous(self.model)

    async def check(self, budget: Budget) -> None:
        """Request the state of the account. Raises `ProviderError`."""
        await wire.check(self, budget)

    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the audio of ``text``. Raises `ProviderError`."""
        call = functools.partial(self._call, text, previous=previous)
        return stream_speech(self, self._speech(text, call, repeatable=True), budget)

    def _call(self, text: str, access: Access, *, previous: str = "") -> HttpRequest:
        options = self._options
        # The same text gets the same seed, so that a repetition is likely to have the same bytes.
        seed = zlib.crc32(text.encode("utf-8", "replace")) if options.seed is None else options.seed
        body: dict[str, Any] = {
            "text": text,
            "model_id": self.model,
            "voice_settings": options.voice_settings(),
            "seed": seed,
        }
        more = {
            "language_code": wire.language_of(self.model, self.config.language),
            "previous_text": previous if self.heeds_previous else "",
            "apply_text_normalization": options.apply_text_normalization,
        }
        body |= {name: value for name, value in more.items() if value}
        # The voice is an id, but a user may configure anything.
        path = f"/v1/text-to-speech/{quote(self.voice, safe='')}/stream"
        query = {"output_format": f"pcm_{options.sample_rate_hz}"}
        if options.enable_logging is not None:
            query["enable_logging"] = str(options.enable_logging).lower()
        url = self.url_at(access, path, query=query)
        return HttpRequest("POST", url, wire.auth_headers(self, access), json=body)
