"""Opens and closes one provider, and turns whatever it raises into a `VoxdError`."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import msgspec

from voxd.errors import ConnectionFailed, DeviceError, ProviderError, VoxdError, isolate, third_party
from voxd.net.dns import Resolver
from voxd.providers.adapter import adapt as adapt_provider
from voxd.providers.base import BaseProvider
from voxd.providers.events import ProviderEvent
from voxd.providers.facts import facts
from voxd.providers.history import HistoryMessage
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import describe_exception

_log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 20.0
"""The limit for any provider to open; the built-in ones have shorter deadlines of their own."""

CLOSE_TIMEOUT_S = 5.0
"""A provider that has not closed by then is abandoned."""

PERMANENT_CODES = frozenset(
    {"invalid_api_key", "beta_api_shape_disabled", "insufficient_quota", "model_not_found"}
)
"""After a loss with one of these codes the session is not reopened: the next attempt would fail alike."""


@runtime_checkable
class AlternativeRoutes(Protocol):
    """A factory of sessions that has several API keys or endpoints to choose from."""

    def worked(self, session: BaseProvider) -> None:
        """Note that ``session`` has opened."""
        ...

    def failed(self, session: BaseProvider, error: ProviderError) -> bool:
        """Note that ``session`` did not open; return whether the next one avoids ``error``."""
        ...


Receive = Callable[[BaseProvider, ProviderEvent], None]
Adapt = Callable[[BaseProvider, SessionConfig], SessionConfig]


@dataclass(frozen=True, slots=True)
class ProviderTarget:
    """Which provider to open, and how: ``kind`` is the vendor, ``name`` its name in the configuration.

    ``make`` returns a new, unconnected provider; ``resolver`` is for one that has none of its own.
    """

    make: Callable[[], BaseProvider]
    name: str
    kind: str
    config: SessionConfig
    resolver: Resolver = field(default_factory=Resolver, compare=False)


@contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Turn what a provider raises into a `VoxdError`; a `ProviderError` gets the provider's ``name``."""

    def failure_of(error: Exception) -> ProviderError:
        if isinstance(error, OSError):
            return ConnectionFailed(str(error) or "no answer in time", provider=name)
        msg = f"the provider failed: {describe_exception(error)}"
        return ProviderError(msg, provider=name, hint="report this to the provider's author")

    try:
        # To failover and circuit breaker, whatever third-party code raises is a fault of the provider.
        with third_party(failure_of):
            yield
    except ProviderError as error:
        # A provider may know only its vendor; `ProviderError.provider` is the name in the configuration.
        error.provider = name or error.provider
        raise


def as_provider_error(error: VoxdError, name: str) -> VoxdError:
    """Return ``error`` as a fault of provider ``name``, unless it comes from the audio device."""
    if isinstance(error, DeviceError):
        return error
    if not isinstance(error, ProviderError):
        # A kind that is not installed, invalid settings, or too little audio to answer.
        error = ProviderError(str(error), code=error.code, hint=error.hint)
    error.provider = error.provider or name
    return error


async def open_provider(
    target: ProviderTarget, adapt: Adapt, messages: Iterable[HistoryMessage], receive: Receive
) -> BaseProvider:
    """Return a connected provider with ``messages`` as its history; ``adapt`` fits the configuration to it.

    Where the factory has `AlternativeRoutes` the next one is tried at once. Raises `VoxdError`, leaving
    nothing open.
    """
    factory: object = target.make
    routes = factory if isinstance(factory, AlternativeRoutes) else None
    while True:
        with translate_errors(target.name):
            made = target.make()
        session = adapt_provider(made)
        try:
            await _connect(session, target, adapt, messages, receive)
        except ProviderError as error:
            if routes is None or not routes.failed(made, error):
                raise
        else:
            if routes is not None:
                routes.worked(made)
            return session


async def _connect(
    provider: BaseProvider,
    target: ProviderTarget,
    adapt: Adapt,
    messages: Iterable[HistoryMessage],
    receive: Receive,
) -> None:
    provider.on_event = lambda event: receive(provider, event)
    provider.resolver = provider.resolver or target.resolver
    async with AsyncExitStack() as stack:
        # A provider that fails half way is closed: an open session is billed by some vendors.
        stack.push_async_callback(close_provider, provider, target.name)
        with translate_errors(target.name):
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await provider.configure_session(adapt(provider, target.config))
                await provider.connect()
                for message in messages:
                    await provider.add_history(message.role, message.text)
            if not provider.is_connected:
                raise ConnectionFailed(f"{target.name} closed the session at once", provider=target.name)
        stack.pop_all()


async def close_provider(provider: BaseProvider, name: str) -> None:
    """Close ``provider`` in whatever state it is; never raises, takes at most `CLOSE_TIMEOUT_S`."""
    provider.on_event = lambda event: None
    # Third-party code again: a session that fails to close must not keep the next from opening.
    with isolate(lambda error: _log.warning("the provider %s did not close: %s", name, type(error).__name__)):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await provider.disconnect()


def with_voice_of(config: SessionConfig, kind: str) -> SessionConfig:
    """Return ``config`` with the voice of ``kind`` most like its own, or its own where none is known."""
    voice = facts().voice_for(config.voice, kind) or config.voice
    return msgspec.structs.replace(config, voice=voice)
