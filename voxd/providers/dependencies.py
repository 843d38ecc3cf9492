"""What the providers of a process share, as one value that the composition root creates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxd.clock import Clock
from voxd.events import Emit
from voxd.local.chain import TranscriberChain
from voxd.local.contract import Synthesizer
from voxd.net.dns import Resolver
from voxd.providers.contract import Provider
from voxd.providers.routing.failover import Keep
from voxd.providers.routing.health import CircuitBreaker
from voxd.providers.routing.spend import SpendGuard
from voxd.providers.tools import Tool


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parameters of `voxd.providers.factory.ProviderFactory`.

    ``local`` is the device itself as a provider; it uses ``transcriber`` and ``synthesizer``. ``tools``
    returns the functions of the device that a model may call. ``phrases_bytes`` limits the cache of
    synthesized phrases; 0 turns it off. ``keep`` queues a question that no provider answered.
    """

    # Shared by all agents; its owner closes it.
    local: Provider
    transcriber: TranscriberChain
    synthesizer: Synthesizer
    # A function, because skills come and go while the daemon runs.
    tools: Callable[[], Sequence[Tool]]
    health: CircuitBreaker
    spend: SpendGuard
    resolver: Resolver
    emit: Emit
    clock: Clock
    phrases_dir: Path
    phrases_bytes: int = 0
    keep: Keep | None = None
