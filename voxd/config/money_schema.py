"""The schema of what limits requests and of what they cost: ``[rate_limit]`` and ``[[prices]]``."""

from typing import Annotated

import msgspec
from msgspec import Meta

from voxd.config.provider_schema import LIVE, AtLeastOne, ProviderConfig, Section

Dollars = Annotated[float, Meta(ge=0)]


class RateLimit(Section, frozen=True):
    """Limits of every provider that does not set its own; each provider is counted apart."""

    requests_per_minute: Annotated[
        AtLeastOne | None, Meta(description="Unset: the usual limit of the kind"), LIVE
    ] = None
    tokens_per_minute: Annotated[AtLeastOne | None, Meta(description="Tokens of language models"), LIVE] = (
        None
    )
    max_concurrent: Annotated[AtLeastOne | None, Meta(description="Requests at the same time"), LIVE] = None
    queue_excess: Annotated[
        bool,
        Meta(description="Requests beyond a limit wait, up to 30 s; false: they are refused at once"),
        LIVE,
    ] = True
    max_queue_size: Annotated[
        AtLeastOne, Meta(description="More waiting requests than this are refused"), LIVE
    ] = 10

    def limit(self, provider: ProviderConfig) -> ProviderConfig:
        """Return ``provider`` with these limits where it has none of its own."""
        own = {name: getattr(provider, name) for name in self.__struct_fields__}
        missing = {name: getattr(self, name) for name, value in own.items() if value is None}
        return msgspec.structs.replace(provider, **missing)


class Price(Section, frozen=True):
    """What a model costs you, in US dollars; it counts before the price lists that voxd brings."""

    model: Annotated[str, Meta(description="Name of models or voices; * matches any text"), LIVE]
    provider: Annotated[str, Meta(description='Only for [providers.NAME]; "" for any'), LIVE] = ""
    usd_per_million_input: Annotated[Dollars | None, Meta(description="Text tokens sent"), LIVE] = None
    usd_per_million_cached: Annotated[
        Dollars | None, Meta(description="Text tokens that the vendor had in its cache; unset: as sent"), LIVE
    ] = None
    usd_per_million_output: Annotated[Dollars | None, Meta(description="Text tokens received"), LIVE] = None
    usd_per_million_audio_input: Annotated[Dollars | None, Meta(description="Tokens of sound sent"), LIVE] = (
        None
    )
    usd_per_million_audio_cached: Annotated[
        Dollars | None, Meta(description="Tokens of sound in the vendor's cache; unset: as sent"), LIVE
    ] = None
    usd_per_million_audio_output: Annotated[
        Dollars | None, Meta(description="Tokens of sound received"), LIVE
    ] = None
    usd_per_million_characters: Annotated[
        Dollars | None, Meta(description="Characters that are spoken"), LIVE
    ] = None
    usd_per_minute: Annotated[
        Dollars | None, Meta(description="Sound that is transcribed, or an open session"), LIVE
    ] = None
    usd_per_request: Annotated[Dollars | None, Meta(description="Each request"), LIVE] = None
