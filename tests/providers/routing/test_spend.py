"""Spending limits: the warning, the stop, sums that survive a restart, and the new day."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.payloads import problem
from voxd.clock import s_to_midnight
from voxd.config import provider_schema, schema
from voxd.errors import SpendLimitReached, StoreError
from voxd.events import Event
from voxd.providers.routing.spend import SpendGuard, SpendLevel, spend_level
from voxd.providers.usage import Usage


def config(total: float | None = None, **limits: float | None) -> schema.Config:
    return schema.Config(
        providers={
            "own": provider_schema.ProviderConfig(kind="ollama"),
            **{
                name: provider_schema.ProviderConfig(kind="mock", usd_per_day=limit)
                for name, limit in limits.items()
            },
        },
        pipelines={
            "both": provider_schema.Pipeline(llm=("a", "b"), stt=("local",), tts=("local",)),
            "ours": provider_schema.Pipeline(llm=("a", "own")),
            "one": provider_schema.Pipeline(llm=("a",), stt=("local",)),
        },
        spend=schema.Spend(usd_per_day=total),
    )


class Rig:
    def __init__(self, config: schema.Config, spent: Mapping[str, float] | StoreError | None = None) -> None:
        self.clock, self.emit, self.book = FakeClock(), RecordingEmit(), spent
        self.guard = SpendGuard(config, emit=self.emit, clock=self.clock, spent=self.read)

    async def read(self) -> Mapping[str, float]:
        if isinstance(self.book, StoreError):
            raise self.book
        return self.book or {}

    def use(self, provider: str, dollars: float | None, **more: Any) -> None:
        data: dict[str, Any] = {
            "provider": provider, "stage": "llm", "key": 0, "usage": Usage(), "cost_usd": dollars, **more
        }  # fmt: skip
        assert problem("provider.used", data) == ""
        self.guard.handle(Event(1, "provider.used", 0.0, None, data))

    def check(self, name: str) -> None:
        if error := self.guard.stopped(name):
            raise error


Build = Callable[..., Rig]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    made: list[Rig] = []

    def one(*given: Any) -> Rig:
        made.append(Rig(*given))
        return made[-1]

    yield one
    for rig in made:
        await rig.guard.close()


@pytest.mark.parametrize(
    ("spent", "limit", "found"),
    [
        (100.0, None, SpendLevel.FREE),
        (0.0, 1.0, SpendLevel.FREE),
        (0.79, 1.0, SpendLevel.FREE),
        (0.8, 1.0, SpendLevel.WARNED),
        (0.999, 1.0, SpendLevel.WARNED),
        (1.0, 1.0, SpendLevel.STOPPED),
        (9.0, 1.0, SpendLevel.STOPPED),
    ],
)
def test_a_sum_has_a_level(spent: float, limit: float | None, found: SpendLevel) -> None:
    assert spend_level(spent, limit) is found


async def test_a_provider_at_its_limit_is_stopped_and_others_are_not(build: Build) -> None:
    rig = build(config(a=1.0, b=None))
    rig.use("b", 50.0)
    for _ in range(9):
        rig.use("a", 0.1)
        rig.check("a")
    rig.use("a", 0.2)
    with pytest.raises(SpendLimitReached) as raised:
        rig.check("a")
    assert "1 USD for a" in str(raised.value)
    rig.check("b")
    assert [(type, data["provider"]) for type, data in rig.emit.events] == [
        ("spend.warning", "a"),
        ("spend.stopped", "a"),
    ]
    assert all(problem(type, data) == "" for type, data in rig.emit.events)


async def test_the_limit_on_the_total_stops_every_provider_with_a_price(build: Build) -> None:
    rig = build(config(1.0, a=None, b=None))
    rig.use("a", 0.5)
    rig.use("b", 0.6)
    for name in ("a", "b", "both", "unknown"):
        assert rig.guard.stopped(name) is not None
    for name in ("local", "own", "ours"):
        assert rig.guard.stopped(name) is None, "what costs nothing may go on"
    assert rig.emit.types() == ["spend.stopped"]


async def test_a_pipeline_stops_when_one_of_its_lists_has_no_member_left(build: Build) -> None:
    rig = build(config(a=1.0, b=1.0))
    rig.use("a", 1.0)
    assert rig.guard.stopped("one") is not None
    assert rig.guard.stopped("both") is None
    rig.use("b", 1.0)
    stopped = rig.guard.stopped("both")
    assert stopped is not None
    assert stopped.provider == "a"


async def test_what_was_spent_before_a_restart_counts(build: Build) -> None:
    rig = build(config(a=1.0), {"a": 0.95})
    await rig.guard.start()
    rig.check("a")
    rig.use("a", 0.06)
    assert rig.guard.stopped("a") is not None
    again = build(config(a=1.0), {"a": 1.01})
    await again.guard.start()
    assert again.guard.stopped("a") is not None
    assert again.emit.types() == ["spend.stopped"]


async def test_a_usage_log_that_cannot_be_read_stops_no_provider(build: Build) -> None:
    rig = build(config(a=1.0), StoreError("torn"))
    await rig.guard.start()
    rig.check("a")


@pytest.mark.parametrize("asked", [True, False])
async def test_a_new_day_lifts_the_stop_with_and_without_a_question(build: Build, asked: bool) -> None:
    rig = build(config(a=1.0))
    rig.use("a", 1.0)
    left_s = s_to_midnight(rig.clock.wall())
    if asked:
        rig.clock.step_wall(left_s - 10.0)
        assert rig.guard.stopped("a") is not None
        rig.clock.step_wall(11.0)
        rig.check("a")
    else:
        await rig.clock.advance(left_s - 10.0)
        assert "spend.resumed" not in rig.emit.types()
        await rig.clock.advance(12.0)
    assert rig.emit.events[-1] == ("spend.resumed", {"provider": "a"})


async def test_when_the_clock_is_set_the_sums_of_the_true_day_count(build: Build) -> None:
    rig = build(config(a=1.0))
    rig.book = {"a": 2.0}
    rig.clock.step_wall(40 * 86_400.0)
    rig.check("a")
    await settle()
    assert rig.guard.stopped("a") is not None


@pytest.mark.parametrize("limit", [5.0, None])
async def test_a_raised_limit_resumes_at_once(build: Build, limit: float | None) -> None:
    rig = build(config(a=1.0))
    rig.use("a", 1.0)
    rig.guard.configure(config(a=limit))
    rig.check("a")
    assert rig.emit.types()[-1] == "spend.resumed"


async def test_a_stop_is_announced_once_a_day(build: Build) -> None:
    rig = build(config(a=1.0))
    assert not rig.guard.should_announce("a", aloud=True)
    rig.use("a", 1.0)
    assert [rig.guard.should_announce("a", aloud=aloud) for aloud in (True, True, False)] == [
        True,
        False,
        True,
    ]


async def test_usage_without_a_price_is_not_counted(build: Build) -> None:
    rig = build(config(1.0, a=1.0))
    rig.use("a", None)
    rig.check("a")
    assert rig.emit.events == []


async def test_an_upper_estimate_counts_and_is_told_once_for_each_model(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    rig = build(config(1.0))
    for model in ("one", "two", "one", "one"):
        rig.use("a", 0.3, is_upper_estimate=True, model=model)
    assert rig.guard.stopped("a") is not None
    warnings = [record.getMessage() for record in caplog.records]
    assert [warning.partition(" of a:")[0] for warning in warnings] == [
        "no price is known for one",
        "no price is known for two",
    ]
    assert all("100 USD a million text tokens" in warning for warning in warnings)
    assert rig.guard.problems == (
        "no price is known for one of a: it is counted by an upper estimate",
        "no price is known for two of a: it is counted by an upper estimate",
    )
    rig.guard.configure(config(2.0))
    assert rig.guard.problems == (), "the new configuration may have a price for it"


async def test_without_a_limit_there_is_no_problem(build: Build) -> None:
    rig = build(config())
    rig.use("a", 0.3, is_upper_estimate=True, model="one")
    assert rig.guard.problems == ()
