"""Speaks with ElevenLabs by HTTP: one request for each clause, its sound streamed back."""

import functools
import zlib
from collections.abc import AsyncGenerator
from typing import Any, ClassVar
from urllib.parse import quote

from voxd.frames import Clip
from voxd.net.transport import Access, Budget, HttpRequest
from voxd.providers.pipeline.stages.tts_http import SpeechRequest, stage_url, stream_speech
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.elevenlabs import wire as terms


class ElevenLabsTts(HttpTextToSpeech[terms.ElevenLabsTtsOptions]):
    """ElevenLabs, streaming by REST (reference/providers.md, section 6).

    A sound that breaks off is asked for again, and goes on where it broke off if the second answer begins
    with the very same bytes: that is why every request carries a seed.
    """

    options_type = terms.ElevenLabsTtsOptions
    default_endpoint: ClassVar[str] = terms.ENDPOINT

    @property
    def model(self) -> str:
        """The model that speaks."""
        return terms.speaker(self)

    @property
    def heeds_previous(self) -> bool:
        """It speaks on in the tone of what came before, if the model can."""
        return terms.heeds_previous(self.model)

    async def check(self, budget: Budget) -> None:
        """Ask for the state of the account. Raises `ProviderError`."""
        await terms.check(self, budget)

    def synthesize(self, text: str, budget: Budget, *, previous: str = "") -> AsyncGenerator[Clip]:
        """Yield the sound of ``text``. Raises `ProviderError`."""
        speech = SpeechRequest(
            text,
            functools.partial(self._call, text, previous=previous),
            self._options.sample_rate_hz,
            refused=terms.refused,
            bill="character-cost",
            repeatable=True,
        )
        return stream_speech(self, speech, budget)

    def _call(self, text: str, access: Access, *, previous: str = "") -> HttpRequest:
        options = self._options
        seed = zlib.crc32(text.encode("utf-8", "replace")) if options.seed is None else options.seed
        body: dict[str, Any] = {
            "text": text,
            "model_id": self.model,
            "voice_settings": options.voice_settings(),
            "seed": seed,
        }
        more = {
            "language_code": terms.language_of(self.model, self.config.language),
            "previous_text": previous if self.heeds_previous else "",
            "apply_text_normalization": options.apply_text_normalization,
        }
        body |= {name: value for name, value in more.items() if value}
        path = f"/v1/text-to-speech/{quote(self.voice, safe='')}/stream"
        url = f"{stage_url(self, access, path)}?output_format=pcm_{options.sample_rate_hz}"
        return HttpRequest("POST", url, terms.headers(self, access), json=body)
