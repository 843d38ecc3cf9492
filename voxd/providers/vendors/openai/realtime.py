"""Speaks to the OpenAI Realtime API."""

from typing import ClassVar

import msgspec

from voxd.net.endpoint import address_of, websocket_url
from voxd.net.websocket import WebSocketAddress
from voxd.providers.facts import default_model
from voxd.providers.realtime.openai_protocol.provider import OpenAIProtocolProvider
from voxd.providers.vendors.openai.options import OpenAIRealtimeOptions


class OpenAIProvider(OpenAIProtocolProvider):
    """``endpoint`` is ``wss://…/v1``, with or without ``/realtime``.

    ``metadata`` may also hold ``organization`` and ``project``, sent as headers for billing.
    """

    name: ClassVar[str] = "openai"
    options_type: ClassVar[type[msgspec.Struct] | None] = OpenAIRealtimeOptions
    endpoint: ClassVar[str] = "wss://api.openai.com/v1/realtime"
    model: ClassVar[str] = default_model("openai", "realtime")
    transcription_model: ClassVar[str] = "gpt-transcribe"

    def address(self) -> WebSocketAddress:
        """Return URL, headers and key. Raises `AuthenticationError`, `ConfigError`."""
        key = self.key()
        headers = {"Authorization": f"Bearer {key}"}
        for name in ("organization", "project"):
            # For keys that belong to several organisations or projects.
            if self.metadata.get(name):
                headers[f"OpenAI-{name.title()}"] = str(self.metadata[name])
        return address_of(self.url(), headers, self.metadata, key=key)

    def url(self) -> str:
        """Return the URL of the endpoint with the model. Raises `ConfigError`."""
        return websocket_url(self.endpoint_url, {"model": self.model_name}, path="/realtime", prefix="/v1")
