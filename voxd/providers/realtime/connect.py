"""Opens and closes one provider: its faults become ours, and the rule of when to try again stands alone."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from voxd.errors import ConnectionFailed, DeviceError, ProviderError, VoxdError
from voxd.net.dns import Resolver
from voxd.providers.base import BaseProvider, ProviderEvent
from voxd.providers.history import HistoryMessage
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import describe_exception

_log = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 20.0
"""No provider may take longer to open; ours have shorter deadlines of their own."""

CLOSE_TIMEOUT_S = 5.0
"""A provider that has not closed by then is left to itself."""

PERMANENT_CODES = frozenset(
    {"invalid_api_key", "beta_api_shape_disabled", "insufficient_quota", "model_not_found"}
)
"""A session lost for one of these reasons is not opened again by itself."""


@runtime_checkable
class AlternativeRoutes(Protocol):
    """What makes sessions in more ways than one: with several keys, at several endpoints."""

    def worked(self, made: BaseProvider) -> None:
        """Session ``made`` has opened."""
        ...

    def another_way(self, made: BaseProvider, error: ProviderError) -> bool:
        """Whether the next session will not meet ``error``, which kept ``made`` from opening."""
        ...


Hear = Callable[[BaseProvider, ProviderEvent], None]
Adapt = Callable[[BaseProvider, SessionConfig], SessionConfig]


@dataclass(frozen=True, slots=True)
class ProviderTarget:
    """Whom to open, and how: ``kind`` is the vendor, ``name`` his name in the configuration.

    ``resolver`` is for a provider that was made without one.
    """

    make: Callable[[], BaseProvider]
    name: str
    kind: str
    config: SessionConfig
    resolver: Resolver = field(default_factory=Resolver, compare=False)


@contextmanager
def translate_errors(name: str) -> Iterator[None]:
    """Turn what a provider raises into a `VoxdError`; a `ProviderError` names him."""
    try:
        yield
    except ProviderError as error:
        # He may know himself by his vendor; `ProviderError.provider` is the name in the configuration.
        error.provider = name or error.provider
        raise
    except VoxdError:
        raise
    except (OSError, TimeoutError) as error:
        raise ConnectionFailed(str(error) or "no answer in time", provider=name) from error
    except Exception as error:
        # A third party's code: its mistakes must look like any other fault of a provider.
        msg = f"the provider failed: {describe_exception(error)}"
        raise ProviderError(msg, provider=name, hint="report this to the provider's author") from error


def as_provider_error(error: VoxdError, name: str) -> VoxdError:
    """Return ``error`` as a fault of provider ``name``, unless it is the microphone's."""
    if isinstance(error, DeviceError):
        return error
    if not isinstance(error, ProviderError):
        # A kind that is not installed, settings that make no sense, too little sound to answer it.
        error = ProviderError(str(error), code=error.code, hint=error.hint)
    error.provider = error.provider or name
    return error


async def open_provider(
    target: ProviderTarget, adapt: Adapt, lines: Iterable[HistoryMessage], hear: Hear
) -> BaseProvider:
    """Return a connected provider that knows ``lines``; ``adapt`` fits the configuration to it.

    Where there is `AlternativeRoutes` it is tried at once. Raises `VoxdError`, leaving nothing open.
    """
    ways = _ways(target.make)
    while True:
        with translate_errors(target.name):
            made = target.make()
        try:
            await _connect(made, target, adapt, lines, hear)
        except ProviderError as error:
            if ways is None or not ways.another_way(made, error):
                raise
        else:
            if ways is not None:
                ways.worked(made)
            return made


def _ways(make: object) -> AlternativeRoutes | None:
    return make if isinstance(make, AlternativeRoutes) else None


async def _connect(
    provider: BaseProvider, target: ProviderTarget, adapt: Adapt, lines: Iterable[HistoryMessage], hear: Hear
) -> None:
    provider.on_event = lambda event: hear(provider, event)
    provider.resolver = provider.resolver or target.resolver
    try:
        with translate_errors(target.name):
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await provider.configure_session(adapt(provider, target.config))
                await provider.connect()
                for line in lines:
                    await provider.add_history(line.role, line.text)
            if not provider.is_connected:
                raise ConnectionFailed(f"{target.name} closed the session at once", provider=target.name)
    except BaseException:
        await close_provider(provider, target.name)
        raise


async def close_provider(provider: BaseProvider, name: str) -> None:
    """Close ``provider`` whatever state it is in; never raises, and never takes longer than its time."""
    provider.on_event = lambda event: None
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await provider.disconnect()
    except Exception as error:
        _log.warning("the provider %s did not close: %s", name, type(error).__name__)
