"""The options of Azure Speech and of Azure OpenAI Realtime."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from voxd.config.provider_options import ProviderOptions
from voxd.providers.realtime.options import OpenAIProtocolOptions

_REGION = {"location": "region", "speech_region": "region"}


class AzureRealtimeOptions(OpenAIProtocolOptions, frozen=True, kw_only=True):
    """``auth_type`` "bearer" sends the key as a token of Microsoft Entra.

    ``region`` is that of a resource without a host name of its own, such as "westeurope".
    """

    aliases: ClassVar[Mapping[str, str]] = {**OpenAIProtocolOptions.aliases, **_REGION}

    auth_type: Literal["", "api-key", "bearer"] = ""
    region: str = ""


class AzureSttOptions(ProviderOptions, frozen=True, kw_only=True):
    """``region`` is that of the Azure resource, such as "westeurope"; alternatively set an endpoint.

    ``endpoint_id`` selects a custom model.
    """

    aliases: ClassVar[Mapping[str, str]] = {**_REGION, "recognition_mode": "mode", "cid": "endpoint_id"}

    region: str = ""
    mode: Literal["conversation", "interactive", "dictation"] = "conversation"
    profanity: Literal["masked", "removed", "raw", ""] = ""
    endpoint_id: str = ""


class AzureTtsOptions(ProviderOptions, frozen=True, kw_only=True):
    """``region`` is that of the Azure resource, such as "westeurope"; the others are SSML attributes."""

    aliases: ClassVar[Mapping[str, str]] = {**_REGION, "sample_rate": "sample_rate_hz"}

    region: str = ""
    rate: str = ""
    pitch: str = ""
    volume: str = ""
    style: str = ""
    role: str = ""
    style_degree: str = ""
    sample_rate_hz: Literal[8000, 16_000, 22_050, 24_000, 44_100, 48_000] = 24_000
