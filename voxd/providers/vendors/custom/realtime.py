"""Speaks OpenAI's Realtime protocol to any server that implements it."""

from typing import ClassVar

from voxd.errors import ConfigError
from voxd.net.endpoint import address_of, websocket_url
from voxd.net.websocket import WebSocketAddress
from voxd.providers.realtime.openai_protocol.provider import OpenAIProtocolProvider
from voxd.providers.vendors.custom.options import CustomRealtimeOptions


class CustomProvider(OpenAIProtocolProvider):
    """``metadata`` holds ``endpoint`` and ``model``, and how the key is sent, in ``auth_type``.

    ``bearer`` (the default) sends ``Authorization: Bearer KEY``; ``header`` the bare key in the header
    ``auth_name`` (default ``api-key``); ``query`` in the parameter ``auth_name`` (default ``api_key``) of
    the URL; ``none`` sends none. The user's speech is transcribed when ``transcription_model`` is set.
    """

    name: ClassVar[str] = "custom"
    options_type = CustomRealtimeOptions

    def address(self) -> WebSocketAddress:
        """Return URL, headers and key. Raises `AuthenticationError`, `ConfigError`."""
        kind = self.metadata.get("auth_type", "bearer")
        name = str(self.metadata.get("auth_name") or "")
        # `key` refuses a configuration without one.
        key = "" if kind == "none" else self.key()
        headers: dict[str, str] = {}
        query: dict[str, str] = {}
        match kind:
            case "bearer":
                headers["Authorization"] = f"Bearer {key}"
            case "header":
                headers[name or "api-key"] = key
            case "query":
                query[name or "api_key"] = key
        return address_of(self.url(**query), headers, self.metadata, key=key)

    def url(self, **query: str) -> str:
        """Return the endpoint unchanged, with the model and ``query``. Raises `ConfigError`."""
        if not self.endpoint_url:
            raise ConfigError("a custom provider needs an endpoint", hint="set metadata.endpoint to wss://…")
        model = {"model": self.model_name} if self.model_name else {}
        return websocket_url(self.endpoint_url, {**model, **query})
