"""From the tables of the configuration to the lines to the vendors and to what their stages are told."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from voxd.clock import Clock
from voxd.config.provider_schema import Provider
from voxd.errors import AuthenticationError, ConfigError
from voxd.events import Emit
from voxd.net.http import HttpClient
from voxd.net.request_middleware import RequestMiddleware
from voxd.net.vendor_client import VendorClient, VendorClientSettings
from voxd.providers.facts import facts
from voxd.providers.pipeline.stages.contract import StageConfig, StageKind

MoreHeaders = Callable[[], Mapping[str, str]]


class Lines:
    """One line to each provider, shared by its stages: keys, limits and endpoints are counted together.

    A provider whose table has changed gets a new one. ``more_headers`` are functions by the provider's name,
    each of which is asked for headers before every request.
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        emit: Emit,
        clock: Clock,
        middleware: tuple[RequestMiddleware, ...] = (),
        more_headers: Mapping[str, MoreHeaders] | None = None,
    ) -> None:
        self._http = http
        self._emit = emit
        self._clock = clock
        self._middleware = middleware
        self._more_headers = more_headers or {}
        self._lines: dict[str, tuple[Provider, VendorClient]] = {}

    def line(self, name: str, provider: Provider, kind: StageKind) -> VendorClient:
        """Return the line of ``provider`` for stage ``kind``. Raises `AuthenticationError`."""
        known = self._lines.get(name)
        if known is None or known[0] != provider:
            settings = line_settings(name, provider, self._middleware)
            settings = replace(settings, more_headers=self._more_headers.get(name))
            made = VendorClient(
                name, str(kind), settings, http=self._http, emit=self._emit, clock=self._clock
            )
            self._lines[name] = known = (provider, made)
        return known[1].for_stage(str(kind))

    def forget(self, name: str) -> None:
        """Make a new line to ``name`` next time: it knows nothing of keys that were refused."""
        self._lines.pop(name, None)


def stage_config(name: str, provider: Provider) -> StageConfig:
    """Return what a stage of ``provider`` is told."""
    return StageConfig(
        name=name,
        kind=provider.kind,
        model=provider.model,
        voice=provider.voice,
        language=provider.language,
        endpoint=next(filter(None, (provider.endpoint, *provider.endpoints)), ""),
        options=provider.options,
    )


def line_settings(
    name: str, provider: Provider, middleware: tuple[RequestMiddleware, ...] = ()
) -> VendorClientSettings:
    """Return how ``provider`` is reached. Raises `AuthenticationError` when a secret cannot be read."""
    try:
        given = (provider.api_key, *provider.api_keys)
        keys = tuple(secret.reveal() for secret in given if secret is not None)
        headers: Mapping[str, str] = {key: value.reveal() for key, value in provider.headers.items()}
    except ConfigError as error:
        raise AuthenticationError(str(error), provider=name) from error
    return VendorClientSettings(
        kind=provider.kind,
        keys=keys,
        endpoints=tuple(each for each in (provider.endpoint, *provider.endpoints) if each),
        headers=headers,
        requests_per_minute=provider.requests_per_minute or facts().kind(provider.kind).requests_per_minute,
        tokens_per_minute=provider.tokens_per_minute,
        max_concurrent=provider.max_concurrent,
        ca_file=str(provider.options.get("ca_file") or ""),
        proxy=str(provider.options.get("proxy") or "") or None,
        middleware=middleware,
    )
