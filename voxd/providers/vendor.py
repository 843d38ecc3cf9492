"""Makes the sessions of a configured speech-to-speech vendor, with a key and an address that work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from voxd.clock import Clock
from voxd.config import provider_schema
from voxd.errors import AuthenticationError, ConfigError, ProviderError
from voxd.events import Emit
from voxd.net.dns import Resolver
from voxd.net.endpoint import fill_placeholders
from voxd.net.endpoint_pool import EndpointPool
from voxd.net.keys import ApiKey, KeyPool
from voxd.providers.base import BaseProvider
from voxd.providers.registry import provider_class


@dataclass(frozen=True, slots=True)
class _Credentials:
    """The key and the address of a session."""

    key: ApiKey
    endpoint: str


class Vendor:
    """Returns a new, unconnected session when called; all of one provider share its keys and addresses.

    A single key is always used: the circuit breaker decides when to try it again.
    """

    def __init__(
        self,
        name: str,
        section: provider_schema.ProviderConfig,
        *,
        resolver: Resolver,
        emit: Emit,
        clock: Clock,
    ) -> None:
        self.section = section
        self._name = name
        self._resolver = resolver
        self._emit = emit
        self._clock = clock
        self._keys: KeyPool | None = None
        places = [each for each in (section.endpoint, *section.endpoints) if each]
        self._endpoints = EndpointPool(places, clock=clock)
        self._ways: WeakKeyDictionary[BaseProvider, _Credentials] = WeakKeyDictionary()

    def __call__(self) -> BaseProvider:
        """Return a new session. Raises `VoxdError`; a key that was refused lately is not used."""
        section = self.section
        way = _Credentials(self._next_key(), self._endpoints.take())
        headers = fill_placeholders(self._headers(), wall_s=self._clock.wall())
        made = provider_class(section.kind)(
            {
                "api_key": way.key.text,
                "model": section.model,
                "voice": section.voice,
                "endpoint": way.endpoint,
                "metadata": {**section.options, **({"headers": headers} if headers else {})},
            }
        )
        made.resolver = self._resolver
        self._ways[made] = way
        return made

    def worked(self, made: BaseProvider) -> None:
        """Session ``made`` has opened."""
        self._endpoints.worked(self._ways[made].endpoint)

    def another_way(self, made: BaseProvider, error: ProviderError) -> bool:
        """Whether the next session has another key or address, for ``error`` is about that of ``made``."""
        way = self._ways[made]
        by_key = self._keys is not None and self._keys.failed(way.key, error)
        return self._endpoints.failed(way.endpoint, error) or by_key

    def reset(self) -> None:
        """Allow every refused key again."""
        self._keys = None

    def _headers(self) -> dict[str, str]:
        with self._secrets():
            return {name: value.reveal() for name, value in self.section.headers.items()}

    @contextmanager
    def _secrets(self) -> Iterator[None]:
        """Let a secret that cannot be read look like one that is refused."""
        try:
            yield
        except ConfigError as error:
            raise AuthenticationError(str(error), provider=self._name) from error

    def _next_key(self) -> ApiKey:
        section = self.section
        with self._secrets():
            keys = [each.reveal() for each in (section.api_key, *section.api_keys) if each is not None]
        if len(keys) < 2:
            return ApiKey(len(keys), keys[0] if keys else "")
        if self._keys is None:
            self._keys = KeyPool(self._name, keys, emit=self._emit, clock=self._clock)
        return self._keys.take()
