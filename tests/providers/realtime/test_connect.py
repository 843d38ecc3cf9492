"""Opening one provider: its faults are ours, and it finds its vendor as those before it did."""

import pytest

from voxd.errors import (
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.net.dns import Resolver
from voxd.providers.base import BaseProvider
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider, translate_errors
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.mock.realtime import MockProvider


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (OSError("no route"), ConnectionFailed),
        (TimeoutError(), ConnectionFailed),
        (ValueError("x"), ProviderError),
        (RateLimited("x"), RateLimited),
        (RateLimited("x", provider="the vendor"), RateLimited),
        (ConfigError("x"), ConfigError),
    ],
)
def test_any_exception_of_a_provider_is_translated(raised: Exception, becomes: type[VoxdError]) -> None:
    with pytest.raises(becomes) as caught, translate_errors("parrot"):
        raise raised
    if isinstance(caught.value, ProviderError):
        assert caught.value.provider == "parrot"


async def resolver_of(target: ProviderTarget) -> Resolver | None:
    """Return the resolver of a session that is opened to ``target``."""
    session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
    await close_provider(session, target.name)
    return session.resolver


async def test_successive_sessions_share_a_resolver() -> None:
    target = ProviderTarget(lambda: MockProvider({}), "parrot", "mock", SessionConfig())
    assert await resolver_of(target) is await resolver_of(target) is target.resolver


async def test_a_provider_that_was_given_a_resolver_keeps_it() -> None:
    ours = Resolver()

    def make() -> BaseProvider:
        made = MockProvider({})
        made.resolver = ours
        return made

    assert await resolver_of(ProviderTarget(make, "parrot", "mock", SessionConfig())) is ours
