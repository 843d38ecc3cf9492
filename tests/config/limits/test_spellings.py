"""The rate limits of the reference texts work as they are spelled there."""

import pytest

from voxd.config.checking import check
from voxd.config.layers import from_toml
from voxd.config.money_schema import RateLimit
from voxd.config.provider_schema import ProviderConfig
from voxd.providers.facts import config_facts

SEED = """\
[rateLimit]
requestsPerMinute = 20
tokensPerMinute = 50000
maxConcurrent = 2
queueExcess = true
maxQueueSize = 10

[providers.cloud]
kind = "openai"
maxQueueSize = 3
options = { maxConcurrent = 1 }
"""


def test_the_seeds_block_is_read_with_its_lines() -> None:
    layer, problems = from_toml("voxd.toml", SEED)
    assert problems == []
    assert layer.data["rate_limit"] == {
        "requests_per_minute": 20,
        "tokens_per_minute": 50_000,
        "max_concurrent": 2,
        "queue_excess": True,
        "max_queue_size": 10,
    }
    cloud = layer.data["providers"]["cloud"]
    # Options are the vendor's own words.
    assert cloud == {"kind": "openai", "max_queue_size": 3, "options": {"maxConcurrent": 1}}
    assert layer.places["rate_limit", "queue_excess"].line == 5
    assert layer.places["providers", "cloud", "max_queue_size"].line == 10


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("[rateLimit]\nmaxQueueSize = 0\n", 2, "rate_limit.max_queue_size"),
        ("[rateLimit]\nqueueExces = true\n", 2, "rate_limit.queueExces"),
        ("[rate_limit]\nqueue_excess = true\nqueueExcess = false\n", 3, "rate_limit.queueExcess"),
        ("[rateLimits]\nqueueExcess = true\n", 1, "rateLimits"),
    ],
)
def test_a_mistake_is_reported_at_its_line(text: str, line: int, key: str) -> None:
    (problem,) = check({"voxd.toml": text}, get_facts=config_facts)
    assert (problem.line, problem.key) == (line, key)


def test_a_provider_has_the_limits_of_all_unless_it_sets_its_own() -> None:
    shared = RateLimit(requests_per_minute=20, max_concurrent=2, queue_excess=False)
    found = shared.limit(ProviderConfig(kind="openai", requests_per_minute=5, queue_excess=True))
    assert (found.requests_per_minute, found.max_concurrent) == (5, 2)
    assert (found.queue_excess, found.max_queue_size, found.tokens_per_minute) == (True, 10, None)
