"""Who is well, as told by turns and found out by probes, on a clock that the tests move."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock, RecordingEmit, settle
from voxd.errors import (
    AuthenticationError,
    ConnectionFailed,
    ProviderError,
    RateLimited,
    SpendLimitReached,
    VoxdError,
)
from voxd.providers.routing.health import HealthBoard

REFUSED = ConnectionFailed("refused")
SILENT = ProviderError("nothing", code="timeout")


class Ward:
    """A board with one provider that can be made ill; ``jitter`` is the same each time."""

    def __init__(self, jitter: float = 0.0) -> None:
        self.clock, self.emit = FakeClock(), RecordingEmit()
        self.board = HealthBoard(emit=self.emit, clock=self.clock, jitter=lambda: jitter)
        self.board.watch("cloud", self.probe)
        self.probed_s: list[float] = []
        self.error: VoxdError | None = REFUSED

    async def probe(self) -> None:
        self.probed_s.append(self.clock.now - 1000.0)
        if self.error is not None:
            raise self.error

    def fall_ill(self, error: VoxdError) -> None:
        self.error = error
        self.board.failed("cloud", error)


@pytest.fixture
async def ward() -> AsyncIterator[Ward]:
    ward = Ward()
    yield ward
    await ward.board.close()


async def test_whoever_is_well_is_left_alone(ward: Ward) -> None:
    await ward.clock.advance(86_400.0)
    ward.board.answered("cloud")
    assert ward.board.is_well("cloud")
    assert ward.probed_s == []
    assert ward.emit.events == []
    assert not ward.board._probing


async def test_an_outage_of_the_network_is_over_within_five_seconds_of_its_end(ward: Ward) -> None:
    ward.fall_ill(REFUSED)
    assert not ward.board.is_well("cloud")
    await ward.clock.advance(60.0)
    assert ward.probed_s == [4.0 * n for n in range(1, 16)]
    ward.error = None
    await ward.clock.advance(4.0)
    assert ward.board.is_well("cloud")
    assert ward.emit.events == [
        ("provider.failed", {"provider": "cloud", "code": "network_error", "reason": "refused"}),
        ("provider.restored", {"provider": "cloud"}),
    ]
    await ward.clock.advance(600.0)
    assert len(ward.probed_s) == 16, "and then nobody asks any more"


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
async def test_probes_are_as_rare_as_the_illness_asks_for(
    ward: Ward, error: VoxdError, in_an_hour: range
) -> None:
    ward.fall_ill(error)
    await ward.clock.advance(3600.0)
    assert len(ward.probed_s) in in_an_hour


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["network", "server", "busy", "turn", "renew", "well"]), max_size=12),
    st.floats(0, 1),
)
def test_two_probes_are_never_closer_than_the_rule_of_the_illness_between_them(
    happenings: list[str], jitter: float
) -> None:
    errors = {
        "network": (REFUSED, 3.0),
        "server": (ProviderError("503", code="server_error"), 30.0),
        "busy": (RateLimited("busy", retry_after_s=50.0), 50.0),
    }

    async def live() -> None:
        ward = Ward(jitter)
        asked: list[tuple[float, float]] = []
        least_s = 3.0

        async def probe() -> None:
            asked.append((ward.clock.now, least_s))
            if ward.error is not None:
                raise ward.error

        ward.board.watch("cloud", probe)
        ward.fall_ill(REFUSED)
        for happening in happenings:
            if happening in errors:
                ward.error, least_s = errors[happening]
                await ward.clock.advance(61.0)
                asked.clear()
            elif happening == "turn" and ward.error is not None:
                ward.board.failed("cloud", ward.error)
            elif happening == "renew":
                ward.board.renew("cloud")
                await settle()
                asked.clear()
            elif happening == "well":
                ward.board.answered("cloud")
                ward.board.failed("cloud", ward.error or REFUSED)
                asked.clear()
            await ward.clock.advance(17.0)
        gaps = [(b[0] - a[0], a[1]) for a, b in itertools.pairwise(asked)]
        assert all(gap_s >= rule_s - 1e-6 for gap_s, rule_s in gaps)
        await ward.board.close()

    asyncio.run(live())


async def test_a_probe_that_hangs_is_given_up(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxd.providers.routing.health.PROBE_S", 0.0)
    ward.board.watch("cloud", asyncio.Event().wait)  # type: ignore[arg-type]
    ward.fall_ill(REFUSED)
    await ward.clock.advance(4.0)
    illness = ward.board.illness("cloud")
    assert illness is not None
    assert illness.asked_s == 1004.0


async def test_who_answers_only_probes_is_asked_less_and_less(ward: Ward) -> None:
    for rest_s in (4.0, 8.0, 16.0):
        ward.fall_ill(SILENT)
        ward.error = None
        await ward.clock.advance(rest_s - 0.1)
        assert not ward.board.is_well("cloud")
        await ward.clock.advance(0.1)
        assert ward.board.is_well("cloud")
    ward.board.answered("cloud")
    ward.fall_ill(SILENT)
    ward.error = None
    await ward.clock.advance(4.0)
    assert ward.board.is_well("cloud"), "an answer makes up for it"


async def test_the_latest_reason_counts(ward: Ward) -> None:
    ward.fall_ill(REFUSED)
    ward.error = AuthenticationError("wrong key")
    await ward.clock.advance(600.0)
    assert len(ward.probed_s) == 1
    illness = ward.board.illness("cloud")
    assert illness is not None
    assert str(illness.error) == "wrong key"
    assert ward.emit.types() == ["provider.failed"]


@pytest.mark.parametrize("mended", [True, False])
async def test_who_was_mended_may_be_asked_at_once(ward: Ward, mended: bool) -> None:
    ward.fall_ill(AuthenticationError("wrong key"))
    ward.error = None if mended else AuthenticationError("still wrong")
    ward.board.renew("cloud")
    assert ward.board.is_well("cloud")
    await settle()
    assert ward.probed_s == [0.0]
    assert ward.board.is_well("cloud") is mended
    assert ward.emit.types() == ["provider.failed", *(["provider.restored"] if mended else [])]


async def test_whoever_is_no_longer_configured_is_no_longer_ill(ward: Ward) -> None:
    ward.fall_ill(REFUSED)
    ward.board.drop("cloud")
    await ward.clock.advance(60.0)
    assert ward.probed_s == []
    assert ward.emit.types() == ["provider.failed", "provider.restored"]


async def test_without_a_probe_a_question_finds_out(ward: Ward) -> None:
    ward.board.failed("other", REFUSED)
    await ward.clock.advance(3.9)
    assert not ward.board.is_well("other")
    await ward.clock.advance(0.1)
    assert ward.board.is_well("other")
    ward.board.failed("other", REFUSED)
    assert not ward.board.is_well("other")
    ward.board.answered("other")
    assert ward.emit.types() == ["provider.failed", "provider.restored"]


@pytest.mark.parametrize(
    "error", [SpendLimitReached("spent"), ProviderError("too short", code="audio_too_short")]
)
async def test_what_is_not_the_providers_fault_is_no_illness(ward: Ward, error: VoxdError) -> None:
    ward.board.failed("cloud", error)
    assert ward.board.is_well("cloud")


async def test_the_user_is_told_once_in_each_outage(ward: Ward) -> None:
    assert not ward.board.tell("cloud", aloud=True)
    for _ in range(2):
        ward.fall_ill(REFUSED)
        told = [ward.board.tell("cloud", aloud=aloud) for aloud in (False, True, True, False)]
        assert told == [True, True, False, False]
        ward.board.answered("cloud")


async def test_who_asked_to_be_left_alone_is(ward: Ward) -> None:
    ward.fall_ill(REFUSED)
    assert ward.board.may_be_asked("cloud")
    ward.fall_ill(RateLimited("busy"))
    assert not ward.board.may_be_asked("cloud")
    assert ward.board.may_be_asked("stranger")


async def test_a_pipeline_is_as_well_as_the_best_of_each_of_its_lists(ward: Ward) -> None:
    ward.board.watch("other", ward.probe)
    ward.board.compose("pipe", (("local",), ("cloud", "other"), ("local",)))
    ward.fall_ill(REFUSED)
    assert ward.board.is_well("pipe")
    ward.board.failed("other", AuthenticationError("wrong key"))
    assert not ward.board.is_well("pipe")
    illness = ward.board.illness("pipe")
    assert illness is not None
    assert str(illness.error) == "refused", "the first of the list that has nobody"
    assert ward.board.may_be_asked("pipe")
    assert (ward.board.culprit("pipe"), ward.board.culprit("stranger")) == ("cloud", "stranger")
    ward.board.failed("pipe", ProviderError("nobody thinks"))
    assert [data["provider"] for _, data in ward.emit.events] == ["cloud", "other"], "who fails is named"
    assert [ward.board.tell("pipe", aloud=True) for _ in range(2)] == [True, False]
    assert not ward.board.tell("cloud", aloud=True), "it was told of the pipeline"
    ward.board.answered("cloud")
    assert ward.board.is_well("pipe")
    assert ward.board.illness("pipe") is None


async def test_a_name_that_was_a_pipelines_may_become_a_providers(ward: Ward) -> None:
    ward.board.compose("house", (("cloud",),))
    ward.fall_ill(REFUSED)
    assert not ward.board.is_well("house")
    ward.board.watch("house", ward.probe)
    assert ward.board.is_well("house")


async def test_a_pipeline_whose_members_are_well_can_be_ill_itself(ward: Ward) -> None:
    ward.board.watch("pipe", ward.probe)
    ward.board.compose("pipe", (("cloud",),))
    ward.error = None
    ward.board.failed("pipe", SILENT)
    assert not ward.board.is_well("pipe")
    await ward.clock.advance(4.0)
    assert ward.board.is_well("pipe")
    ward.board.failed("cloud", AuthenticationError("wrong key"))
    assert not ward.board.may_be_asked("pipe")
