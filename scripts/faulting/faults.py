"""The table of faults N1 to N14 and N16: each breaks the network or a vendor in one way."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from scripts.faulting import impostor as fake
from scripts.faulting import ownnet
from scripts.faulting.names import Code, NameServer
from scripts.faulting.vendors import Vendors
from tests.rig.certificates import Authority


class When(StrEnum):
    """When the fault begins."""

    BEFORE = "before"
    SPEAKING = "while the user speaks"
    REPLYING = "while the reply is spoken"


@dataclass
class Scene:
    """What a fault may break: the proxies of the vendors that are ``hit``, their certificates and names."""

    vendors: Vendors
    hit: tuple[str, ...]
    authority: Authority
    names: NameServer | None = None

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the vendors that are hit."""
        return tuple(self.vendors.port(name) for name in self.hit)

    def set(self, **faults: object) -> None:
        """Set these faults on the proxy of every vendor that is hit."""
        for name in self.hit:
            self.vendors.doors[name].set(**faults)

    def replace(self, port: int) -> None:
        """Put another server behind the proxy of every vendor that is hit."""
        for name in self.hit:
            self.vendors.doors[name].upstream = ("127.0.0.1", port)

    def reset(self) -> None:
        """Reset every connection to the vendors that are hit."""
        for name in self.hit:
            self.vendors.doors[name].reset_all()


Deed = Callable[[Scene], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. ``secure``: the vendors are reached over TLS; ``named``: by host name instead of address."""

    id: str
    what: str
    deed: Deed = field(repr=False)
    when: When = When.BEFORE
    secure: bool = False
    named: bool = False
    own_net: bool = False


def _door(**faults: object) -> Deed:
    @asynccontextmanager
    async def deed(scene: Scene) -> AsyncIterator[None]:
        scene.set(**faults)
        yield

    return deed


@asynccontextmanager
async def _reset(scene: Scene) -> AsyncIterator[None]:
    scene.set(refuse=True)
    scene.reset()
    yield


def _instead(server: Callable[[Scene], AbstractAsyncContextManager[int]]) -> Deed:
    @asynccontextmanager
    async def deed(scene: Scene) -> AsyncIterator[None]:
        async with server(scene) as port:
            scene.replace(port)
            yield

    return deed


def _like(manner: fake.Manner) -> Deed:
    return _instead(lambda _: fake.impostor(manner))


def _certified(host: str = "127.0.0.1", **days: float) -> Deed:
    return _instead(lambda scene: fake.impostor(fake.silent(), tls=scene.authority.server(host, **days)))


def _names(code: Code | None) -> Deed:
    @asynccontextmanager
    async def deed(scene: Scene) -> AsyncIterator[None]:
        if scene.names is not None:
            scene.names.code = code
        yield

    return deed


@asynccontextmanager
async def _loss(scene: Scene) -> AsyncIterator[None]:
    ownnet.lose(30, scene.ports)
    try:
        yield
    finally:
        ownnet.lose(0, ())


@asynccontextmanager
async def _broken_ipv6(scene: Scene) -> AsyncIterator[None]:
    if scene.names is not None:
        scene.names.announce(v4="127.0.0.1", v6="fd00::1")
    ownnet.swallow_ipv6()
    try:
        yield
    finally:
        ownnet.lose(0, ())


_BUSY = ("Retry-After: 30",)

FAULTS = (
    Fault("-", "all is well", _door()),
    Fault("-", "all is well, by name", _door(), named=True, own_net=True),
    Fault("N1", "TCP reset while the user speaks", _reset, When.SPEAKING),
    Fault("N1", "TCP reset while the reply is spoken", _reset, When.REPLYING),
    Fault("N2", "everything vanishes from the start", _door(blackhole=True)),
    Fault("N2", "everything vanishes while the user speaks", _door(blackhole=True), When.SPEAKING),
    Fault("N3", "connection refused", _door(refuse=True)),
    Fault("N4", "the name is not known", _names(Code.NXDOMAIN), named=True, own_net=True),
    Fault("N4", "the name server fails", _names(Code.SERVFAIL), named=True, own_net=True),
    Fault("N4", "the name server is silent", _names(None), named=True, own_net=True),
    Fault("N5", "3 s of latency, 1 s of jitter", _door(latency_ms=3000, jitter_ms=1000)),
    Fault("N5", "2 kB a second", _door(rate_bytes_s=2000)),
    Fault("N5", "one byte a segment", _door(slice_bytes=1)),
    Fault("N6", "30 % of the packets are lost", _loss, own_net=True),
    Fault(
        "N7", "429, come back in 30 s", _like(fake.refusing("429 Slow", *_BUSY, code="rate_limit_exceeded"))
    ),
    Fault("N8", "500", _like(fake.refusing("500 Oops", code="server_error"))),
    Fault("N8", "503", _like(fake.refusing("503 Later", code="overloaded"))),
    Fault("N9", "401, the key is refused", _like(fake.refusing("401 No", code="invalid_api_key"))),
    Fault("N10", "a log-in page instead", _like(fake.log_in_page())),
    Fault("N10", "a redirect to a log-in page", _like(fake.redirecting())),
    Fault("N11", "a certificate for another name", _certified("192.0.2.7"), secure=True),
    Fault("N11", "a certificate that has expired", _certified(begins_days=-9, ends_days=-2), secure=True),
    Fault("N11", "a certificate of tomorrow: the clock is wrong", _certified(begins_days=1), secure=True),
    Fault("N11", "a TLS handshake that stalls", _like(fake.silent()), secure=True),
    Fault("N12", "noise instead of a protocol", _like(fake.babbling())),
    Fault("N12", "frames of garbage", _instead(lambda _: fake.raving())),
    Fault("N12", "bits flip on the way", _door(flip_probability=0.001)),
    Fault("N13", "pings and nothing else", _instead(lambda _: fake.pinging())),
    Fault("N14", "one byte of answer a second", _like(fake.dripping())),
    Fault("N16", "IPv6 leads nowhere", _broken_ipv6, named=True, own_net=True),
)
