"""Speaks to Azure OpenAI Realtime, v1 GA: OpenAI's protocol at the endpoint of the user's own resource."""

from typing import ClassVar

from voxd.errors import ConfigError
from voxd.net.endpoint import address_of, websocket_url
from voxd.net.websocket import WebSocketAddress
from voxd.providers.facts import default_model
from voxd.providers.realtime.openai_protocol.provider import OpenAIProtocolProvider
from voxd.providers.vendors.azure.options import AzureRealtimeOptions


class AzureProvider(OpenAIProtocolProvider):
    """``endpoint`` is the resource (``https://NAME.openai.azure.com``) and ``model`` the *deployment*'s name.

    ``metadata.auth_type = "bearer"`` sends ``api_key`` as a token of Microsoft Entra. The user's speech is
    transcribed only when ``metadata.transcription_model`` names a second deployment.
    """

    name: ClassVar[str] = "azure"
    options_type = AzureRealtimeOptions
    # A deployment usually has the name of its model.
    model: ClassVar[str] = default_model("openai", "realtime")

    def address(self) -> WebSocketAddress:
        """Return URL, headers and key. Raises `AuthenticationError`, `ConfigError`."""
        bearer = self.metadata.get("auth_type") == "bearer"
        key = self.key()
        headers = {"Authorization": f"Bearer {key}"} if bearer else {"api-key": key}
        return address_of(self.url(), headers, self.metadata, key=key)

    def url(self) -> str:
        """Return the URL of the resource's realtime endpoint. Raises `ConfigError`."""
        endpoint = self.endpoint_url
        if not endpoint and (region := str(self.metadata.get("region") or "")):
            # A resource without a subdomain of its own is reached at the host of its region.
            endpoint = f"https://{region}.api.cognitive.microsoft.com"
        if not endpoint:
            hint = "set the provider's endpoint to https://NAME.openai.azure.com"
            raise ConfigError("an Azure provider needs an endpoint", hint=hint)
        # Users copy the endpoint with or without its path.
        return websocket_url(endpoint, {"model": self.model_name}, path="/realtime", prefix="/openai/v1")
