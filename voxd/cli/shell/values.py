"""Values that a shell completes and only the device knows: names, ids, keys of the configuration."""

import contextlib
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from voxd.cli.connect import request
from voxd.cli.inputs import load_config
from voxd.cli.queue import ALL
from voxd.config.problems import dotted
from voxd.config.provider_schema import LOCAL
from voxd.config.secrets import to_builtins
from voxd.config.settings import leaves
from voxd.errors import VoxdError
from voxd.events import EVENT_TYPES
from voxd.local.catalogue import load_catalogue

# A Tab must not make the user wait for a daemon that hangs.
TIMEOUT_S = 0.5


def find_values(args: Namespace, kind: str) -> list[str]:
    """Return the values of ``kind`` that exist now, empty when nothing can be asked."""
    found: dict[str, None] = {}
    # In the middle of a command line an error cannot be shown.
    with contextlib.suppress(VoxdError):
        for value in VALUES[kind](args):
            found[value] = None
    return list(found)


def _listed(method: str, field: str) -> Callable[[Namespace], Iterator[str]]:
    """Return a function that yields ``field`` of each entry that the daemon lists by ``method``."""

    def find(args: Namespace) -> Iterator[str]:
        yield from (str(entry[field]) for entry in request(args, method, timeout_s=TIMEOUT_S))

    return find


def _questions(args: Namespace) -> Iterator[str]:
    yield ALL
    yield from _listed("queue.list", "id")(args)


def _providers(args: Namespace) -> Iterator[str]:
    config = load_config(args)
    yield from (LOCAL, *config.providers, *config.pipelines)


# By the name of the argument in lower case: "PROVIDER" in the help of a command is a provider here.
VALUES: Mapping[str, Callable[[Namespace], Iterator[str]]] = MappingProxyType(
    {
        "agent": lambda args: iter(load_config(args).agents),
        "key": lambda args: map(dotted, leaves(to_builtins(load_config(args)))),
        "model": lambda args: (model.name for model in load_catalogue().models),
        "provider": _providers,
        "question": _questions,
        "timer": _listed("timers.list", "id"),
        "type": lambda args: iter(EVENT_TYPES),
        "word": _listed("wake.list", "name"),
    }
)
