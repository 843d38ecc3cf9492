"""Speaks to Azure OpenAI Realtime, v1 GA: OpenAI's protocol at the address of a resource of one's own."""

from typing import ClassVar

from voxd.errors import ConfigError
from voxd.net.endpoint import address_of, websocket_url
from voxd.net.websocket import WebSocketAddress
from voxd.providers.realtime.openai_protocol.provider import OpenAIProvider

_PATH = "/openai/v1/realtime"


class AzureProvider(OpenAIProvider):
    """``endpoint`` is the resource (``https://NAME.openai.azure.com``) and ``model`` the *deployment*'s name.

    ``metadata.auth_type = "bearer"`` sends ``api_key`` as a token of Microsoft Entra. What the user said is
    transcribed only when ``metadata.transcription_model`` names a deployment too.
    """

    name: ClassVar[str] = "azure"
    endpoint: ClassVar[str] = ""
    transcription_model: ClassVar[str] = ""

    def address(self) -> WebSocketAddress:
        """Return where this resource is reached. Raises `AuthenticationError`, `ConfigError`."""
        bearer = self.metadata.get("auth_type") == "bearer"
        key = self.key()
        headers = {"Authorization": f"Bearer {key}"} if bearer else {"api-key": key}
        return address_of(self.url(), headers, self.metadata, key=key)

    def url(self, **query: str) -> str:
        """Return the URL of the resource's realtime endpoint. Raises `ConfigError`."""
        if not self.endpoint_url:
            hint = "set the provider's endpoint to https://NAME.openai.azure.com"
            raise ConfigError("an Azure provider needs an endpoint", hint=hint)
        bare = self.endpoint_url.rstrip("/").removesuffix("/realtime").removesuffix("/openai/v1")
        return websocket_url(bare, {"model": self.model_name, **query}, path=_PATH)
