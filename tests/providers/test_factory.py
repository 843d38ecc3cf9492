"""Sessions with a key and an endpoint that work, and the instructions of a deferred answer."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from tests.fakes import FakeClock, RecordingEmit
from voxd.config import provider_schema, schema
from voxd.config.secrets import Secret, resolve
from voxd.errors import AuthenticationError, ConnectionFailed, InvalidRequest, RateLimited, VoxdError
from voxd.net.backoff import WRONG_KEY_HOLD_S
from voxd.net.dns import Resolver
from voxd.providers.factory import ProviderFactory, SessionFactory, ago, deferred_instructions
from voxd.providers.realtime.connect import ProviderTarget, close_provider, open_provider
from voxd.providers.registry import register_provider
from voxd.providers.settings import SessionConfig
from voxd.providers.vendors.mock.realtime import MockProvider

REFUSED: dict[str, VoxdError] = {}
KEYS: list[str] = []
UNREACHABLE: set[str] = set()
ENDPOINTS: list[str] = []


class Picky(MockProvider):
    """Opens only for keys that are not refused."""

    async def connect(self) -> None:
        key = self.config["api_key"]
        KEYS.append(key)
        ENDPOINTS.append(self.config["endpoint"])
        if self.config["endpoint"] in UNREACHABLE:
            raise ConnectionFailed("refused")
        if key in REFUSED:
            raise REFUSED[key]
        await super().connect()


@pytest.fixture(autouse=True)
def picky() -> None:
    register_provider("picky", Picky)
    REFUSED.clear()
    KEYS.clear()
    UNREACHABLE.clear()
    ENDPOINTS.clear()


class Rig:
    def __init__(self, *keys: str, endpoints: tuple[str, ...] = ()) -> None:
        self.emit, self.clock, self.resolver = RecordingEmit(), FakeClock(), Resolver()
        secrets = [resolve({"env": "K"}, {"K": key}) for key in keys]
        table = provider_schema.ProviderConfig(
            kind="picky",
            api_key=secrets[0] if secrets else None,
            api_keys=tuple(secrets[1:]),
            endpoints=endpoints,
        )
        self.sessions = SessionFactory(
            "cloud", table, resolver=self.resolver, emit=self.emit, clock=self.clock
        )

    async def open(self) -> None:
        target = ProviderTarget(self.sessions, "cloud", "picky", SessionConfig())
        session = await open_provider(target, lambda _, config: config, (), lambda _, event: None)
        assert session.resolver is self.resolver
        await close_provider(session, "cloud")


async def test_after_a_refusal_the_next_key_is_used_at_once_and_from_then_on() -> None:
    rig = Rig("a", "b", "c")
    REFUSED["a"] = AuthenticationError("revoked")
    await rig.open()
    await rig.open()
    assert KEYS == ["a", "b", "b"]
    assert rig.emit.events == [
        ("provider.key_changed", {"provider": "cloud", "reason": "invalid_api_key", "from": 1, "to": 2})
    ]


async def test_refused_keys_are_not_used_before_their_hold_is_over() -> None:
    rig = Rig("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=RateLimited("busy", retry_after_s=30.0))
    for _ in range(3):
        with pytest.raises((AuthenticationError, RateLimited)):
            await rig.open()
    assert KEYS == ["a", "b"]
    REFUSED.clear()
    await rig.clock.advance(30.0)
    await rig.open()
    assert KEYS == ["a", "b", "b"]


async def test_an_attempt_does_not_prolong_the_hold_of_a_key() -> None:
    rig = Rig("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=AuthenticationError("revoked"))
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await rig.open()
        await rig.clock.advance(WRONG_KEY_HOLD_S / 2)
    REFUSED.clear()
    await rig.open()


async def test_a_failure_counts_against_the_key_of_its_own_session() -> None:
    rig = Rig("a", "b")
    first, second = rig.sessions(), rig.sessions()
    assert rig.sessions.failed(first, AuthenticationError("revoked"))
    third = rig.sessions()
    assert rig.sessions.failed(second, AuthenticationError("revoked"))
    assert [each.config["api_key"] for each in (first, second, third)] == ["a", "a", "b"]
    assert rig.sessions().config["api_key"] == "b"


async def test_a_network_failure_does_not_count_against_the_key() -> None:
    rig = Rig("a", "b")
    REFUSED["a"] = ConnectionFailed("refused")
    for _ in range(2):
        with pytest.raises(ConnectionFailed):
            await rig.open()
    assert KEYS == ["a", "a"]


async def test_endpoints_are_used_in_turn_and_one_that_fails_is_skipped() -> None:
    rig = Rig("k", endpoints=("wss://a", "wss://b"))
    for _ in range(2):
        await rig.open()
    UNREACHABLE.add("wss://a")
    for _ in range(3):
        await rig.open()
    assert ENDPOINTS == ["wss://a", "wss://b", "wss://a", "wss://b", "wss://b", "wss://b"]
    UNREACHABLE.add("wss://b")
    with pytest.raises(ConnectionFailed):
        await rig.open()
    UNREACHABLE.clear()
    await rig.clock.advance(300.0)
    ENDPOINTS.clear()
    for _ in range(3):
        await rig.open()
    assert {*ENDPOINTS} == {"wss://a", "wss://b"}


async def test_a_single_key_is_used_at_every_attempt() -> None:
    rig = Rig("a")
    REFUSED["a"] = AuthenticationError("revoked")
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            await rig.open()
    assert KEYS == ["a", "a"]


async def test_a_reset_ends_the_hold_of_every_key() -> None:
    rig = Rig("a", "b")
    REFUSED.update(a=AuthenticationError("revoked"), b=AuthenticationError("revoked"))
    with pytest.raises(AuthenticationError):
        await rig.open()
    REFUSED.clear()
    rig.sessions.reset()
    await rig.open()
    assert KEYS[-1] == "a"


async def test_configured_headers_are_sent_with_every_session() -> None:
    headers = {"X-Trace": Secret("{uuid}"), "X-Since": Secret("{unix_s}")}
    table = provider_schema.ProviderConfig(kind="picky", headers=headers, options={"default_reply": "yes"})
    sessions = SessionFactory("cloud", table, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())
    sent = [sessions().config["metadata"] for _ in range(2)]
    assert [each["default_reply"] for each in sent] == ["yes", "yes"]
    assert all(each["headers"]["X-Since"].isdigit() for each in sent)
    assert len({each["headers"]["X-Trace"] for each in sent}) == 2
    unread = {"X-Key": Secret(None, origin="env K", problem="set K")}
    table = provider_schema.ProviderConfig(kind="picky", headers=unread)
    with pytest.raises(AuthenticationError, match="K"):
        SessionFactory("cloud", table, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())()


async def test_a_key_that_cannot_be_read_counts_as_refused() -> None:
    table = provider_schema.ProviderConfig(
        kind="picky", api_key=Secret(None, origin="env K", problem="set K")
    )
    sessions = SessionFactory("cloud", table, resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())
    with pytest.raises(AuthenticationError, match="K"):
        sessions()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "a moment ago"),
        (59.9, "a moment ago"),
        (60.0, "about 1 minute ago"),
        (3599.0, "about 59 minutes ago"),
        (3600.0, "about 1 hour ago"),
        (86_399.0, "about 23 hours ago"),
        (3 * 86_400.0, "about 3 days ago"),
    ],
)
def test_the_age_of_a_question_is_expressed_in_words(seconds: float, words: str) -> None:
    assert ago(seconds) == words
    assert words in deferred_instructions("Be brief.", seconds)


def test_deferred_instructions_begin_with_the_persona() -> None:
    assert deferred_instructions("Be brief.", 60.0).startswith("Be brief.\n\n")


SHARED = SimpleNamespace(resolver=Resolver(), emit=RecordingEmit(), clock=FakeClock())


def test_sound_that_middleware_cannot_filter_is_refused() -> None:
    table = provider_schema.ProviderConfig(kind="picky")
    chain = schema.Middleware(message=("polite",))
    config = schema.Config(providers={"cloud": table}, middleware=chain)
    with pytest.raises(InvalidRequest, match="cannot filter sound"):
        ProviderFactory(config, cast(Any, SHARED)).realtime_config(provider_schema.Agent(), "cloud")
    allowed = msgspec.structs.replace(config, middleware=msgspec.structs.replace(chain, audio="unfiltered"))
    made = ProviderFactory(allowed, cast(Any, SHARED)).realtime_config(provider_schema.Agent(), "cloud").make
    assert cast(SessionFactory, made).middleware == ("polite",)


def test_options_of_a_session_count() -> None:
    options = {"max_output_tokens": 150, "temperature": 0.3, "language_code": "de", "voice_id": "sage"}
    table = provider_schema.ProviderConfig(kind="picky", options=options)
    config = schema.Config(providers={"cloud": table})
    factory = ProviderFactory(config, cast(Any, SHARED))
    made = factory.realtime_config(provider_schema.Agent(), "cloud").config
    assert (made.max_output_tokens, made.temperature, made.language, made.voice) == (150, 0.3, "de", "sage")
