import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FakeClock, settle
from tests.properties import examples
from voxd.observe.watchdog import Liveness, Progress, Watchdog, assess

NOW_S = 100.0


@pytest.mark.parametrize(
    ("stamps", "late"),
    [
        pytest.param(
            {"audio": Progress(99.9), "ears": Progress(99.8), "loop": Progress(100.0)}, set(), id="all move"
        ),
        pytest.param({"audio": Progress(90.0), "ears": Progress(99.8)}, {"audio"}, id="audio stands"),
        pytest.param({"audio": Progress(99.9), "ears": Progress(90.0)}, {"ears"}, id="ears stand"),
        pytest.param({"audio": Progress(0.0, excused=True), "loop": Progress(99.0)}, set(), id="muted"),
        pytest.param(
            {"audio": Progress(0.0, excused=True), "supervisor": Progress(90.0)},
            {"supervisor"},
            id="muted, dead",
        ),
        pytest.param({"audio": Progress(95.0)}, set(), id="just in time"),
    ],
)
def test_each_late_subsystem_is_named(stamps: dict[str, Progress], late: set[str]) -> None:
    health = assess(Liveness(), NOW_S, stamps)
    assert set(health.late_since_s) == late
    assert health.healthy == (not late)
    assert health.stuck == ()


def test_late_for_long_is_stuck() -> None:
    health = assess(Liveness(), NOW_S, {"ears": Progress(90.0)})
    assert assess(health, NOW_S + 9.9, {"ears": Progress(90.0)}).stuck == ()
    assert assess(health, NOW_S + 10.0, {"ears": Progress(90.0)}).stuck == ("ears",)


def test_an_old_stamp_alone_is_not_stuck() -> None:
    assert assess(Liveness(), NOW_S, {"audio": Progress(-5000.0)}).stuck == ()


def test_progress_clears_a_delay() -> None:
    health = assess(Liveness(), NOW_S, {"ears": Progress(90.0)})
    health = assess(health, NOW_S + 5, {"ears": Progress(NOW_S + 5)})
    health = assess(health, NOW_S + 12, {"ears": Progress(NOW_S + 5)})
    assert health == Liveness({"ears": NOW_S + 12})


@examples(50)
@given(
    st.dictionaries(st.sampled_from(["audio", "ears", "loop"]), st.floats(0, 100)),
    st.dictionaries(st.sampled_from(["audio", "ears", "loop"]), st.floats(0, 100)),
)
def test_it_feeds_exactly_when_no_subsystem_is_late(
    stamps_s: dict[str, float], since_s: dict[str, float]
) -> None:
    health = assess(Liveness(since_s), NOW_S, {name: Progress(at_s) for name, at_s in stamps_s.items()})
    assert health.healthy == all(at_s >= NOW_S - 5 for at_s in stamps_s.values())
    assert set(health.stuck) <= set(health.late_since_s)


class Manager:
    """Counts the keep-alives to systemd, and gives up on a daemon that sends none for 30 s."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.fed_at_s: list[float] = []
        self.triggered_at_s: float | None = None

    def alive(self) -> None:
        self.fed_at_s.append(self._clock.now)

    def request_restart(self) -> None:
        self.triggered_at_s = self._clock.now


class Device:
    """Audio, ears and loop that progress by themselves until stopped."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.standing: dict[str, float] = {}
        self.muted = False

    def read(self, name: str) -> Progress:
        excused = self.muted and name in ("audio", "ears")
        return Progress(self.standing.get(name, self._clock.now), excused=excused)

    def stand(self, *names: str) -> None:
        self.standing |= dict.fromkeys(names, self._clock.now)


@contextlib.asynccontextmanager
async def watching():  # type: ignore[no-untyped-def]
    clock = FakeClock()
    manager, device = Manager(clock), Device(clock)
    stamps = {name: lambda name=name: device.read(name) for name in ("audio", "ears", "supervisor", "loop")}
    watchdog = Watchdog(stamps, notifier=manager, interval_s=30, clock=clock)
    task = asyncio.create_task(watchdog.run())
    await settle()
    yield clock, manager, device
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_healthy_device_feeds_every_half_interval() -> None:
    async with watching() as (clock, manager, _):
        await clock.advance(60)
        assert [at_s - 1000 for at_s in manager.fed_at_s] == [0, 15, 30, 45, 60]


@pytest.mark.parametrize("name", ["audio", "ears", "supervisor", "loop"])
async def test_whatever_stands_ends_in_a_restart_before_the_watchdog_runs_out(name: str) -> None:
    async with watching() as (clock, manager, device):
        await clock.advance(20)
        device.stand(name)
        await clock.advance(60)
        assert manager.triggered_at_s is not None
        assert manager.triggered_at_s - manager.fed_at_s[-1] < 30


async def test_a_muted_device_is_healthy_and_may_be_unmuted_hours_later() -> None:
    async with watching() as (clock, manager, device):
        device.muted = True
        device.stand("audio", "ears")
        await clock.advance(7200)
        device.muted = False
        await clock.advance(2)
        device.standing.clear()
        await clock.advance(60)
        assert manager.triggered_at_s is None
        gaps_s = [b - a for a, b in zip(manager.fed_at_s, manager.fed_at_s[1:], strict=False)]
        assert max(gaps_s) < 30


async def test_a_short_stall_delays_feeding_without_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "voxd.observe.watchdog")
    async with watching() as (clock, manager, device):
        await clock.advance(1)
        device.stand("ears")
        await clock.advance(19)
        device.standing.clear()
        await clock.advance(2)
        assert manager.triggered_at_s is None
        assert manager.fed_at_s[-1] >= 1020
    assert ["not fed" in caplog.messages[0], "make progress again" in caplog.messages[1]] == [True, True]
