"""Several keys of one speech-to-speech vendor: the next one is used when one is refused."""

import pytest

from tests.fakes import FakeClock, RecordingEmit
from voxd.config import provider_schema
from voxd.config.secrets import Secret, resolve
from voxd.errors import AuthenticationError, ConnectionFailed, RateLimited, VoxdError
from voxd.net.backoff import WRONG_KEY_HOLD_S
from voxd.net.dns import Resolver
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider
from voxd.providers.registry import register_provider
from voxd.providers.settings import SessionConfig
from voxd.providers.vendor import Vendor
from voxd.providers.vendors.mock.realtime import MockProvider

REFUSED: dict[str, VoxdError] = {}
ASKED: list[str] = []
FAULTY: set[str] = set()
PLACES: list[str] = []


class Picky(MockProvider):
    """Opens only for keys that are not refused."""

    async def connect(self) -> None:
        key = self.config["api_key"]
        ASKED.append(key)
        PLACES.append(self.config["endpoint"])
        if self.config["endpoint"] in FAULTY:
            raise ConnectionFailed("refused")
        if key in REFUSED:
            raise REFUSED[key]
        await super().connect()


@pytest.fixture(autouse=True)
def picky() -> None:
    register_provider("picky", Picky)
    REFUSED.clear()
    ASKED.clear()
    FAULTY.clear()
    PLACES.clear()


class House:
    def __init__(self, *keys: str, endpoints: tuple[str, ...] = ()) -> None:
        self.emit, self.clock, self.resolver = RecordingEmit(), FakeClock(), Resolver()
        secrets = [resolve({"env": "K"}, {"K": key}) for key in keys]
        told = provider_schema.ProviderConfig(
            kind="picky",
            api_key=secrets[0] if secrets else None,
            api_keys=tuple(secrets[1:]),
            endpoints=endpoints,
        )
        self.vendor = Vendor("cloud", told, resolver=self.resolver, emit=self.emit, clock=self.clock)

    async def open(self) -> None:
        target = ProviderTarget(self.vendor, "cloud", "picky", SessionConfig())
        session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
        assert session.resolver is self.resolver
        await close_provider(session, "cloud")


async def test_the_next_key_is_used_at_once_and_goes_on_being_used() -> None:
    house = House("a", "b", "c")
    REFUSED["a"] = AuthenticationError("revoked")
    await house.open()
    await house.open()
    assert ASKED == ["a", "b", "b"]
    assert house.emit.events == [
        ("provider.key_changed", {"provider": "cloud", "reason": "invalid_api_key", "from": 1, "to": 2})
    ]


async def test_when_all_are_refused_nobody_is_asked_until_they_have_rested() -> None:
    house = House("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=RateLimited("busy", retry_after_s=30.0))
    for _ in range(3):
        with pytest.raises((AuthenticationError, RateLimited)):
            await house.open()
    assert ASKED == ["a", "b"]
    REFUSED.clear()
    await house.clock.advance(30.0)
    await house.open()
    assert ASKED == ["a", "b", "b"]


async def test_a_key_that_rests_does_not_rest_longer_because_somebody_asks() -> None:
    house = House("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=AuthenticationError("revoked"))
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await house.open()
        await house.clock.advance(WRONG_KEY_HOLD_S / 2)
    REFUSED.clear()
    await house.open()


async def test_sessions_that_open_at_once_do_not_take_each_others_blame() -> None:
    house = House("a", "b")
    first, second = house.vendor(), house.vendor()
    assert house.vendor.another_way(first, AuthenticationError("revoked"))
    third = house.vendor()
    assert house.vendor.another_way(second, AuthenticationError("revoked"))
    assert [each.config["api_key"] for each in (first, second, third)] == ["a", "a", "b"]
    assert house.vendor().config["api_key"] == "b"


async def test_a_fault_of_the_network_is_no_fault_of_the_key() -> None:
    house = House("a", "b")
    REFUSED["a"] = ConnectionFailed("refused")
    for _ in range(2):
        with pytest.raises(ConnectionFailed):
            await house.open()
    assert ASKED == ["a", "a"]


async def test_addresses_are_used_in_turn_and_one_that_fails_is_left_alone() -> None:
    house = House("k", endpoints=("wss://a", "wss://b"))
    for _ in range(2):
        await house.open()
    FAULTY.add("wss://a")
    for _ in range(3):
        await house.open()
    assert PLACES == ["wss://a", "wss://b", "wss://a", "wss://b", "wss://b", "wss://b"]
    FAULTY.add("wss://b")
    with pytest.raises(ConnectionFailed):
        await house.open()
    FAULTY.clear()
    await house.clock.advance(300.0)
    PLACES.clear()
    for _ in range(3):
        await house.open()
    assert {*PLACES} == {"wss://a", "wss://b"}


async def test_the_only_key_is_asked_with_whenever_somebody_asks() -> None:
    house = House("a")
    REFUSED["a"] = AuthenticationError("revoked")
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await house.open()
    assert ASKED == ["a", "a"]


async def test_what_is_mended_by_hand_need_not_rest() -> None:
    house = House("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=AuthenticationError("revoked"))
    with pytest.raises(AuthenticationError):
        await house.open()
    REFUSED.clear()
    house.vendor.reset()
    await house.open()
    assert ASKED[-1] == "a"


async def test_configured_headers_go_with_every_session() -> None:
    headers = {"X-Trace": Secret("{uuid}"), "X-Since": Secret("{unix_s}")}
    told = provider_schema.ProviderConfig(kind="picky", headers=headers, options={"default_reply": "yes"})
    vendor = Vendor("cloud", told, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())
    sent = [vendor().config["metadata"] for _ in range(2)]
    assert [each["default_reply"] for each in sent] == ["yes", "yes"]
    assert all(each["headers"]["X-Since"].isdigit() for each in sent)
    assert len({each["headers"]["X-Trace"] for each in sent}) == 2
    unread = {"X-Key": Secret(None, origin="env K", problem="set K")}
    told = provider_schema.ProviderConfig(kind="picky", headers=unread)
    with pytest.raises(AuthenticationError, match="K"):
        Vendor("cloud", told, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())()


async def test_a_key_that_cannot_be_read_is_told_as_one_that_is_refused() -> None:
    told = provider_schema.ProviderConfig(kind="picky", api_key=Secret(None, origin="env K", problem="set K"))
    vendor = Vendor("cloud", told, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())
    with pytest.raises(AuthenticationError, match="K"):
        vendor()
