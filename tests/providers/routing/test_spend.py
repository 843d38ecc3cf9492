"""The day's money: warned of, stopped at, counted over restarts, and free again at midnight."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from tests.fakes import FakeClock, RecordingEmit, settle
from tests.payloads import problem
from voxd.clock import s_to_midnight
from voxd.config import schema, vendors
from voxd.errors import SpendLimitReached, StoreError
from voxd.events import Event
from voxd.providers.routing.spend import Level, SpendGuard, level
from voxd.providers.usage import Usage


def config(everybody: float | None = None, **limits: float | None) -> schema.Config:
    return schema.Config(
        providers={
            "own": vendors.Provider(kind="ollama"),
            **{name: vendors.Provider(kind="mock", usd_per_day=limit) for name, limit in limits.items()},
        },
        pipelines={
            "both": vendors.Pipeline(llm=("a", "b"), stt=("local",), tts=("local",)),
            "ours": vendors.Pipeline(llm=("a", "own")),
            "one": vendors.Pipeline(llm=("a",), stt=("local",)),
        },
        spend=schema.Spend(usd_per_day=everybody),
    )


class House:
    def __init__(self, config: schema.Config, spent: Mapping[str, float] | StoreError | None = None) -> None:
        self.clock, self.emit, self.book = FakeClock(), RecordingEmit(), spent
        self.guard = SpendGuard(config, emit=self.emit, clock=self.clock, spent=self.read)

    async def read(self) -> Mapping[str, float]:
        if isinstance(self.book, StoreError):
            raise self.book
        return self.book or {}

    def use(self, provider: str, dollars: float | None) -> None:
        data: dict[str, Any] = {
            "provider": provider, "stage": "llm", "key": 0, "usage": Usage(), "cost_usd": dollars
        }  # fmt: skip
        assert problem("provider.used", data) == ""
        self.guard.handle(Event(1, "provider.used", 0.0, None, data))

    def check(self, name: str) -> None:
        if error := self.guard.stopped(name):
            raise error


Build = Callable[..., House]


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    made: list[House] = []

    def one(*given: Any) -> House:
        made.append(House(*given))
        return made[-1]

    yield one
    for house in made:
        await house.guard.close()


@pytest.mark.parametrize(
    ("spent", "limit", "found"),
    [
        (100.0, None, Level.FREE),
        (0.0, 1.0, Level.FREE),
        (0.79, 1.0, Level.FREE),
        (0.8, 1.0, Level.WARNED),
        (0.999, 1.0, Level.WARNED),
        (1.0, 1.0, Level.STOPPED),
        (9.0, 1.0, Level.STOPPED),
    ],
)
def test_a_sum_stands_to_its_limit(spent: float, limit: float | None, found: Level) -> None:
    assert level(spent, limit) is found


async def test_who_has_spent_his_money_is_not_asked_and_others_are(build: Build) -> None:
    house = build(config(a=1.0, b=None))
    house.use("b", 50.0)
    for _ in range(9):
        house.use("a", 0.1)
        house.check("a")
    house.use("a", 0.2)
    with pytest.raises(SpendLimitReached) as raised:
        house.check("a")
    assert "1 USD for a" in str(raised.value)
    house.check("b")
    assert [(type, data["provider"]) for type, data in house.emit.events] == [
        ("spend.warning", "a"),
        ("spend.stopped", "a"),
    ]
    assert all(problem(type, data) == "" for type, data in house.emit.events)


async def test_the_limit_on_all_together_stops_everybody(build: Build) -> None:
    house = build(config(1.0, a=None, b=None))
    house.use("a", 0.5)
    house.use("b", 0.6)
    for name in ("a", "b", "both", "anybody"):
        assert house.guard.stopped(name) is not None
    for name in ("local", "own", "ours"):
        assert house.guard.stopped(name) is None, "who costs nothing may go on"
    assert house.emit.types() == ["spend.stopped"]


async def test_a_pipeline_stops_when_one_of_its_lists_has_nobody_left(build: Build) -> None:
    house = build(config(a=1.0, b=1.0))
    house.use("a", 1.0)
    assert house.guard.stopped("one") is not None
    assert house.guard.stopped("both") is None
    house.use("b", 1.0)
    stopped = house.guard.stopped("both")
    assert stopped is not None
    assert stopped.provider == "a"


async def test_what_was_spent_before_a_restart_counts(build: Build) -> None:
    house = build(config(a=1.0), {"a": 0.95})
    await house.guard.start()
    house.check("a")
    house.use("a", 0.06)
    assert house.guard.stopped("a") is not None
    again = build(config(a=1.0), {"a": 1.01})
    await again.guard.start()
    assert again.guard.stopped("a") is not None
    assert again.emit.types() == ["spend.stopped"]


async def test_a_book_that_cannot_be_read_stops_nobody(build: Build) -> None:
    house = build(config(a=1.0), StoreError("torn"))
    await house.guard.start()
    house.check("a")


@pytest.mark.parametrize("asked", [True, False])
async def test_a_new_day_frees_everybody_whether_or_not_somebody_asks(build: Build, asked: bool) -> None:
    house = build(config(a=1.0))
    house.use("a", 1.0)
    left_s = s_to_midnight(house.clock.wall())
    if asked:
        house.clock.step_wall(left_s - 10.0)
        assert house.guard.stopped("a") is not None
        house.clock.step_wall(11.0)
        house.check("a")
    else:
        await house.clock.advance(left_s - 10.0)
        assert "spend.resumed" not in house.emit.types()
        await house.clock.advance(12.0)
    assert house.emit.events[-1] == ("spend.resumed", {"provider": "a"})


async def test_when_the_clock_is_set_the_book_of_the_true_day_counts(build: Build) -> None:
    house = build(config(a=1.0))
    house.book = {"a": 2.0}
    house.clock.step_wall(40 * 86_400.0)
    house.check("a")
    await settle()
    assert house.guard.stopped("a") is not None


@pytest.mark.parametrize("limit", [5.0, None])
async def test_a_raised_limit_resumes_at_once(build: Build, limit: float | None) -> None:
    house = build(config(a=1.0))
    house.use("a", 1.0)
    house.guard.configure(config(a=limit))
    house.check("a")
    assert house.emit.types()[-1] == "spend.resumed"


async def test_the_user_is_told_once_a_day(build: Build) -> None:
    house = build(config(a=1.0))
    assert not house.guard.tell("a", aloud=True)
    house.use("a", 1.0)
    assert [house.guard.tell("a", aloud=aloud) for aloud in (True, True, False)] == [True, False, True]


async def test_what_has_no_price_cannot_be_counted(build: Build) -> None:
    house = build(config(1.0, a=1.0))
    house.use("a", None)
    house.check("a")
    assert house.emit.events == []
