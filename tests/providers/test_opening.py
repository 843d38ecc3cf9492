"""What a provider raises is an error of ours."""

import pytest

from voxd.errors import (
    ConfigError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    VoxdError,
)
from voxd.providers.opening import faults_of


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
def test_whatever_a_provider_raises_is_an_error_of_ours(raised: Exception, becomes: type[VoxdError]) -> None:
    with pytest.raises(becomes) as caught, faults_of("parrot"):
        raise raised
    if isinstance(caught.value, ProviderError):
        assert caught.value.provider == "parrot"
