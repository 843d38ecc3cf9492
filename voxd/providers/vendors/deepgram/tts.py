"""Deepgram Aura text-to-speech over HTTP: one request for each clause, with streamed audio.

Deepgram's WebSocket would gain nothing here: the HTTP connection is kept open between clauses, a request is a
whole clause, and closing the connection cancels it.
"""

from typing import Any, ClassVar

from voxd.net.transport import Access, HttpRequest
from voxd.providers.pipeline.stages.tts_options import HttpTextToSpeech
from voxd.providers.vendors.deepgram import wire
from voxd.providers.vendors.deepgram.options import DeepgramTtsOptions


class DeepgramTts(wire.DeepgramStage, HttpTextToSpeech[DeepgramTtsOptions]):
    """Deepgram Aura. Its models are its voices."""

    options_type = DeepgramTtsOptions
    bill_header: ClassVar[str] = "dg-char-count"
    default_endpoint: ClassVar[str] = "https://api.deepgram.com"

    @property
    def model(self) -> str:
        """The model, which is configured as model or as voice."""
        # The STT stage of the same provider may have configured a Nova or Flux model.
        model = self.config.model
        return self.config.voice or (model if model.startswith("aura") else "") or self.default_model

    @property
    def voice(self) -> str:
        """The voice, which is the model."""
        return self.model

    def _call(self, text: str, access: Access) -> HttpRequest:
        query: dict[str, Any] = {
            "model": self.model,
            "encoding": "linear16",
            "sample_rate": self._options.sample_rate_hz,
            # Else the PCM has a WAV header.
            "container": "none",
        }
        if self._options.speed is not None:
            query["speed"] = self._options.speed
        if self._options.mip_opt_out:
            query["mip_opt_out"] = "true"
        if self._options.tag is not None:
            query["tag"] = self._options.tag
        url = self.url_at(access, "/v1/speak", query=query)
        return HttpRequest("POST", url, self.auth_headers(access), json={"text": text})
