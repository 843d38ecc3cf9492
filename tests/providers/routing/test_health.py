"""The circuit breaker: its rules as tables, its state on a clock that the tests move."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.properties import examples
from voxd.errors import (
    AuthenticationError,
    ConfigError,
    ConnectionFailed,
    ContextTooLong,
    DeadlineExceeded,
    NotConnected,
    NotFound,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    StreamError,
    VoxdError,
)
from voxd.providers.routing.health import (
    CircuitBreaker,
    FailureCause,
    Outage,
    cooldown_s,
    failure_cause,
    is_last_resort,
    update_outage,
)

REFUSED = ConnectionFailed("refused")
SILENT = ProviderError("nothing", code="timeout")


MIDNIGHT_S = 5000.0


def permanent(code: str) -> ProviderError:
    error = ProviderError("no", code=code)
    error.retryable = False
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionFailed("refused"), FailureCause.NETWORK),
        (ConnectionFailed("no name", code="dns_failed"), FailureCause.NETWORK),
        (ConnectionFailed("no answer", code="timeout"), FailureCause.NETWORK),
        (ConnectionFailed("dead", code="half_open"), FailureCause.NETWORK),
        (NotConnected("gone"), FailureCause.NETWORK),
        (ProviderError("nothing", code="timeout"), FailureCause.SILENCE),
        (DeadlineExceeded("nothing"), FailureCause.SILENCE),
        (ConnectionFailed("503", code="server_error"), FailureCause.SERVER),
        (ProviderError("sorry", code="server_error"), FailureCause.SERVER),
        (StreamError("garbled"), FailureCause.SERVER),
        (StreamError("the vendor's answer broke off", code="truncated"), FailureCause.SILENCE),
        (ProviderError("a code of its own", code="flux_capacitor"), FailureCause.SERVER),
        (AuthenticationError("wrong"), FailureCause.KEY),
        (ProviderError("wrong", code="invalid_api_key"), FailureCause.KEY),
        (RateLimited("slow down"), FailureCause.LIMIT),
        (permanent("insufficient_quota"), FailureCause.MONEY),
        (permanent("model_not_found"), FailureCause.SETTINGS),
        (permanent("refused"), FailureCause.SETTINGS),
        (permanent("odd"), FailureCause.SETTINGS),
        (ConfigError("no endpoint"), FailureCause.SETTINGS),
        (NotFound("no kind"), FailureCause.SETTINGS),
        (ProviderError("too short", code="audio_too_short"), None),
        (ContextTooLong("too long"), None),
        (SpendLimitReached("spent"), None),
    ],
)
def test_an_error_has_a_cause_unless_it_says_nothing_about_the_provider(
    error: VoxdError, cause: FailureCause | None
) -> None:
    assert failure_cause(error) is cause


def outage(
    cause: FailureCause, *, age_s: float = 0.0, repeats: int = 0, retry_after_s: float | None = None
) -> Outage:
    error = RateLimited("busy", retry_after_s=retry_after_s)
    return Outage(error, cause, 1000.0 - age_s, 1000.0, repeats)


@pytest.mark.parametrize(
    ("found", "least_s", "most_s"),
    [
        (outage(FailureCause.NETWORK), 3.0, 4.0),
        (outage(FailureCause.NETWORK, age_s=599.0), 3.0, 4.0),
        (outage(FailureCause.NETWORK, age_s=661.0), 6.0, 8.0),
        (outage(FailureCause.NETWORK, age_s=86_400.0), 45.0, 60.0),
        (outage(FailureCause.SILENCE), 4.0, 4.0),
        (outage(FailureCause.SILENCE, repeats=2), 16.0, 16.0),
        (outage(FailureCause.SILENCE, repeats=50), 300.0, 300.0),
        (outage(FailureCause.SERVER), 30.0, 40.0),
        (outage(FailureCause.SERVER, repeats=1), 60.0, 75.0),
        (outage(FailureCause.KEY), 1200.0, 1230.0),
        (outage(FailureCause.SETTINGS), 1200.0, 1230.0),
        (outage(FailureCause.LIMIT), 30.0, 32.0),
        (outage(FailureCause.LIMIT, retry_after_s=7.0), 7.0, 9.0),
        (outage(FailureCause.LIMIT, retry_after_s=1e9), 3600.0, 3602.0),
        (outage(FailureCause.MONEY), MIDNIGHT_S, MIDNIGHT_S + 30.0),
    ],
)
@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_the_cooldown_depends_on_the_cause(
    found: Outage, least_s: float, most_s: float, jitter: float
) -> None:
    assert least_s <= cooldown_s(found, jitter=jitter, to_midnight_s=MIDNIGHT_S) <= most_s


@examples(50)
@given(st.sampled_from(FailureCause), st.floats(0, 1e6), st.integers(0, 1000), st.floats(0, 1))
def test_a_cooldown_is_at_least_three_seconds_and_ends_by_midnight(
    cause: FailureCause, age_s: float, repeats: int, jitter: float
) -> None:
    wait_s = cooldown_s(outage(cause, age_s=age_s, repeats=repeats), jitter=jitter, to_midnight_s=MIDNIGHT_S)
    assert 3.0 <= wait_s <= MIDNIGHT_S + 30.0


def test_an_outage_keeps_its_start_and_takes_the_latest_error() -> None:
    first, second = ConnectionFailed("refused"), AuthenticationError("wrong key")
    begun = update_outage(None, first, FailureCause.NETWORK, 10.0)
    later = update_outage(begun, second, FailureCause.KEY, 20.0, 3)
    assert begun == Outage(first, FailureCause.NETWORK, 10.0, 10.0)
    assert later == Outage(second, FailureCause.KEY, 10.0, 20.0, 3)


def test_only_causes_that_may_have_passed_allow_a_last_resort() -> None:
    allowed = {FailureCause.NETWORK, FailureCause.SILENCE, FailureCause.SERVER}
    assert {cause for cause in FailureCause if is_last_resort(cause)} == allowed


class Rig:
    """A circuit breaker with one provider whose probes the test controls; ``jitter`` is constant."""

    def __init__(self, jitter: float = 0.0) -> None:
        self.clock, self.emit = FakeClock(), RecordingEmit()
        self.breaker = CircuitBreaker(emit=self.emit, clock=self.clock, jitter=lambda: jitter)
        self.breaker.set_probe("cloud", self.probe)
        self.probed_s: list[float] = []
        self.error: VoxdError | None = REFUSED

    async def probe(self) -> None:
        self.probed_s.append(self.clock.now - 1000.0)
        if self.error is not None:
            raise self.error

    def fail(self, error: VoxdError) -> None:
        self.error = error
        self.breaker.record_failure("cloud", error)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.breaker.close()


async def test_a_healthy_provider_is_not_probed(rig: Rig) -> None:
    await rig.clock.advance(86_400.0)
    rig.breaker.record_success("cloud")
    assert rig.breaker.is_healthy("cloud")
    assert rig.probed_s == []
    assert rig.emit.events == []


async def test_a_network_outage_ends_within_five_seconds_of_the_network_coming_back(rig: Rig) -> None:
    rig.fail(REFUSED)
    assert not rig.breaker.is_healthy("cloud")
    await rig.clock.advance(60.0)
    assert rig.probed_s == [4.0 * n for n in range(1, 16)]
    rig.error = None
    await rig.clock.advance(4.0)
    assert rig.breaker.is_healthy("cloud")
    assert rig.emit.events == [
        ("provider.failed", {"provider": "cloud", "code": "network_error", "reason": "refused"}),
        ("provider.restored", {"provider": "cloud"}),
    ]
    await rig.clock.advance(600.0)
    assert len(rig.probed_s) == 16, "no probes after the recovery"


@pytest.mark.parametrize(
    ("error", "in_an_hour"),
    [
        (REFUSED, range(200, 230)),
        (ProviderError("503", code="server_error"), range(110, 121)),
        (AuthenticationError("wrong key"), range(2, 4)),
        (RateLimited("busy", retry_after_s=7200.0), range(1)),
        (ProviderError("no money", code="insufficient_quota"), range(1)),
    ],
)
async def test_the_rate_of_probes_depends_on_the_cause(rig: Rig, error: VoxdError, in_an_hour: range) -> None:
    rig.fail(error)
    await rig.clock.advance(3600.0)
    assert len(rig.probed_s) in in_an_hour


@examples(50, deadline=None)
@given(
    st.lists(st.sampled_from(["network", "server", "busy", "turn", "reset", "success"]), max_size=12),
    st.floats(0, 1),
)
def test_two_probes_are_never_closer_than_the_cooldown_of_the_outage(
    happened: list[str], jitter: float
) -> None:
    errors = {
        "network": (REFUSED, 3.0),
        "server": (ProviderError("503", code="server_error"), 30.0),
        "busy": (RateLimited("busy", retry_after_s=50.0), 50.0),
    }

    async def run() -> None:
        rig = Rig(jitter)
        asked: list[tuple[float, float]] = []
        least_s = 3.0

        async def probe() -> None:
            asked.append((rig.clock.now, least_s))
            if rig.error is not None:
                raise rig.error

        rig.breaker.set_probe("cloud", probe)
        rig.fail(REFUSED)
        for happening in happened:
            if happening in errors:
                rig.error, least_s = errors[happening]
                await rig.clock.advance(61.0)
                asked.clear()
            elif happening == "turn" and rig.error is not None:
                rig.breaker.record_failure("cloud", rig.error)
            elif happening == "reset":
                rig.breaker.reset("cloud")
                await settle()
                asked.clear()
            elif happening == "success":
                rig.breaker.record_success("cloud")
                rig.breaker.record_failure("cloud", rig.error or REFUSED)
                asked.clear()
            await rig.clock.advance(17.0)
        gaps = [(b[0] - a[0], a[1]) for a, b in itertools.pairwise(asked)]
        assert all(gap_s >= rule_s - 1e-6 for gap_s, rule_s in gaps)
        await rig.breaker.close()

    asyncio.run(run())


async def test_a_probe_that_hangs_is_cancelled(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxd.providers.routing.health.PROBE_S", 0.0)
    rig.breaker.set_probe("cloud", asyncio.Event().wait)  # type: ignore[arg-type]
    rig.fail(REFUSED)
    await rig.clock.advance(4.0)
    outage = rig.breaker.outage("cloud")
    assert outage is not None
    assert outage.failed_s == 1004.0


async def test_a_provider_that_passes_only_probes_is_tried_less_and_less(rig: Rig) -> None:
    for wait_s in (4.0, 8.0, 16.0):
        rig.fail(SILENT)
        rig.error = None
        await rig.clock.advance(wait_s - 0.1)
        assert not rig.breaker.is_healthy("cloud")
        await rig.clock.advance(0.1)
        assert rig.breaker.is_healthy("cloud")
    rig.breaker.record_success("cloud")
    rig.fail(SILENT)
    rig.error = None
    await rig.clock.advance(4.0)
    assert rig.breaker.is_healthy("cloud"), "a success resets the count"


async def test_the_latest_error_counts(rig: Rig) -> None:
    rig.fail(REFUSED)
    rig.error = AuthenticationError("wrong key")
    await rig.clock.advance(600.0)
    assert len(rig.probed_s) == 1
    outage = rig.breaker.outage("cloud")
    assert outage is not None
    assert str(outage.error) == "wrong key"
    assert rig.emit.types() == ["provider.failed"]


@pytest.mark.parametrize("repaired", [True, False])
async def test_a_provider_that_was_reset_may_be_tried_at_once(rig: Rig, repaired: bool) -> None:
    rig.fail(AuthenticationError("wrong key"))
    rig.error = None if repaired else AuthenticationError("still wrong")
    rig.breaker.reset("cloud")
    assert rig.breaker.is_healthy("cloud")
    await settle()
    assert rig.probed_s == [0.0]
    assert rig.breaker.is_healthy("cloud") is repaired
    assert rig.emit.types() == ["provider.failed", *(["provider.restored"] if repaired else [])]


async def test_a_provider_that_is_removed_has_no_outage(rig: Rig) -> None:
    rig.fail(REFUSED)
    rig.breaker.remove("cloud")
    await rig.clock.advance(60.0)
    assert rig.probed_s == []
    assert rig.emit.types() == ["provider.failed", "provider.restored"]


async def test_without_a_probe_the_circuit_closes_when_the_cooldown_is_over(rig: Rig) -> None:
    rig.breaker.record_failure("other", REFUSED)
    await rig.clock.advance(3.9)
    assert not rig.breaker.is_healthy("other")
    await rig.clock.advance(0.1)
    assert rig.breaker.is_healthy("other")
    rig.breaker.record_failure("other", REFUSED)
    assert not rig.breaker.is_healthy("other")
    rig.breaker.record_success("other")
    assert rig.emit.types() == ["provider.failed", "provider.restored"]


@pytest.mark.parametrize(
    "error", [SpendLimitReached("spent"), ProviderError("too short", code="audio_too_short")]
)
async def test_an_error_that_is_not_the_providers_fault_keeps_the_circuit_closed(
    rig: Rig, error: VoxdError
) -> None:
    rig.breaker.record_failure("cloud", error)
    assert rig.breaker.is_healthy("cloud")


async def test_each_outage_is_announced_once_in_sound_and_once_in_text(rig: Rig) -> None:
    assert not rig.breaker.should_announce("cloud", aloud=True)
    for _ in range(2):
        rig.fail(REFUSED)
        for aloud, expected in ((False, True), (True, True), (True, False), (False, False)):
            assert rig.breaker.should_announce("cloud", aloud=aloud) is expected
        rig.breaker.record_success("cloud")


async def test_a_provider_that_asked_for_a_wait_may_not_be_tried(rig: Rig) -> None:
    rig.fail(REFUSED)
    assert rig.breaker.can_try("cloud")
    rig.fail(RateLimited("busy"))
    assert not rig.breaker.can_try("cloud")
    assert rig.breaker.can_try("unknown")


async def test_a_pipeline_is_healthy_while_each_list_has_a_healthy_member(rig: Rig) -> None:
    rig.breaker.set_probe("other", rig.probe)
    rig.breaker.set_members("pipe", (("local",), ("cloud", "other"), ("local",)))
    rig.fail(REFUSED)
    assert rig.breaker.is_healthy("pipe")
    rig.breaker.record_failure("other", AuthenticationError("wrong key"))
    assert not rig.breaker.is_healthy("pipe")
    outage = rig.breaker.outage("pipe")
    assert outage is not None
    assert str(outage.error) == "refused", "the first of the list without a healthy member"
    assert rig.breaker.can_try("pipe")
    assert (rig.breaker.failing_member("pipe"), rig.breaker.failing_member("unknown")) == ("cloud", "unknown")
    rig.breaker.record_failure("pipe", ProviderError("no language model"))
    assert [data["provider"] for _, data in rig.emit.events] == ["cloud", "other"], "names the member"
    assert [rig.breaker.should_announce("pipe", aloud=True) for _ in range(2)] == [True, False]
    assert not rig.breaker.should_announce("cloud", aloud=True), "the pipeline announced it"
    rig.breaker.record_success("cloud")
    assert rig.breaker.is_healthy("pipe")
    assert rig.breaker.outage("pipe") is None


async def test_the_name_of_a_pipeline_may_become_that_of_a_provider(rig: Rig) -> None:
    rig.breaker.set_members("house", (("cloud",),))
    rig.fail(REFUSED)
    assert not rig.breaker.is_healthy("house")
    rig.breaker.set_probe("house", rig.probe)
    assert rig.breaker.is_healthy("house")


async def test_a_pipeline_with_healthy_members_can_have_an_outage_itself(rig: Rig) -> None:
    rig.breaker.set_probe("pipe", rig.probe)
    rig.breaker.set_members("pipe", (("cloud",),))
    rig.error = None
    rig.breaker.record_failure("pipe", SILENT)
    assert not rig.breaker.is_healthy("pipe")
    await rig.clock.advance(4.0)
    assert rig.breaker.is_healthy("pipe")
    rig.breaker.record_failure("cloud", AuthenticationError("wrong key"))
    assert not rig.breaker.can_try("pipe")
