"""How responses end, whichever vendor gives them: subclass `ResponseContract` and say how the vendor acts.

A session is between the vendor and the test, as it is in the daemon and in the library.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes import FakeClock, settle
from tests.providers.realtime.listener import EventLog
from voxd.events import EventType as E
from voxd.providers.base import BaseProvider
from voxd.providers.events import publish_to
from voxd.providers.realtime.response_guard import (
    END_LIMIT_S,
    LONGEST_ANSWER_S,
    NO_END,
    STALL_LIMIT_S,
    TOOL_CALLS,
)
from voxd.providers.realtime.session import Session
from voxd.providers.settings import SessionConfig
from voxd.providers.tools import MAX_SAME_CALLS, MAX_TOOL_ROUNDS, ToolBox, tool


@dataclass(frozen=True)
class Begin:
    """The vendor announces a response, if its protocol has a message for it."""


@dataclass(frozen=True)
class Words:
    text: str


@dataclass(frozen=True)
class Sound:
    seconds: float


@dataclass(frozen=True)
class SoundEnds:
    """No more sound follows."""


@dataclass(frozen=True)
class Call:
    name: str
    arguments: Any = None


@dataclass(frozen=True)
class End:
    """The response is over; ``status`` is completed, filtered, failed or cut_off."""

    status: str = "completed"
    calls: tuple[Call, ...] = ()


Act = Begin | Words | Sound | SoundEnds | End


class ResponseContract:
    """``statuses`` are the ends that the protocol knows."""

    statuses: tuple[str, ...] = ("completed",)

    @pytest.fixture
    def provider(self) -> BaseProvider:
        """The vendor's provider, not connected."""
        raise NotImplementedError

    async def act(self, provider: BaseProvider, number: int, *acts: Act) -> None:
        """Let the vendor do ``acts`` once it was asked ``number`` times; questions and results count."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def told(self) -> EventLog:
        return EventLog()

    @pytest.fixture
    async def session(
        self, provider: BaseProvider, clock: FakeClock, told: EventLog
    ) -> AsyncIterator[Session]:
        self.ran: list[dict[str, Any]] = []

        async def get_time(zone: str = "") -> str:
            """Return the time."""
            self.ran.append({"zone": zone})
            return "noon"

        session = Session(
            lambda: provider,
            name="cloud",
            config=SessionConfig(),
            tools=ToolBox([tool(get_time)]),
            on_event=publish_to(told),
            clock=clock,
        )
        await session.connect(0)
        yield session
        await session.close()

    async def ask(self, session: Session, text: str = "what time is it") -> None:
        async with asyncio.timeout(5):
            await session.send_text(text)

    def ends(self, told: EventLog) -> list[str]:
        """How responses ended: completed with its reason, cancelled, and the codes of errors."""
        found = []
        for type, data in told.events:
            if type == E.RESPONSE_COMPLETED:
                found.append(data["reason"] or "completed")
            elif type == E.RESPONSE_CANCELLED:
                found.append("cancelled")
            elif type == E.ERROR_GENERAL:
                found.append(f"error {data['code']}")
        return found

    async def over(self, session: Session, told: EventLog, count: int = 1) -> None:
        """Wait until ``count`` ends have come, and nothing is in progress."""
        await told.until_true(lambda: len(self.ends(told)) >= count)
        await settle()
        assert session.is_quiet

    async def lapse(self, session: Session, clock: FakeClock, seconds: float) -> None:
        """Let everything that was sent arrive, and ``seconds`` pass."""
        # On loopback what was sent can be read in the next turn of the loop.
        await settle()
        await clock.advance(seconds)

    async def check_next(self, session: Session, told: EventLog, provider: BaseProvider, number: int) -> None:
        """The next question is answered, whatever became of the last one."""
        before = len(self.ends(told))
        acting = asyncio.create_task(self.act(provider, number, *ANSWER))
        await self.ask(session, "and now?")
        await acting
        await self.over(session, told, before + 1)
        assert self.ends(told)[before:] == ["completed"]

    async def start(self, session: Session, provider: BaseProvider, *acts: Act) -> None:
        acting = asyncio.create_task(self.act(provider, 1, *acts))
        await self.ask(session)
        await acting

    async def test_an_answer_is_complete(self, session: Session, told: EventLog, provider: Any) -> None:
        await self.start(session, provider, *ANSWER)
        await self.over(session, told)
        assert self.ends(told) == ["completed"]
        await self.check_next(session, told, provider, 2)

    async def test_a_burst_of_sound_is_heard_before_its_end_is_missing(
        self, session: Session, told: EventLog, provider: Any, clock: FakeClock
    ) -> None:
        await self.start(session, provider, Begin(), Sound(5.0), Words("It is noon."), SoundEnds())
        await told.until(E.AUDIO_OUTPUT_STOPPED)
        await self.lapse(session, clock, 5.0)
        assert session.is_responding
        assert self.ends(told) == []
        await self.act(provider, 1, End())
        await self.over(session, told)
        assert self.ends(told) == ["completed"]

    async def test_an_end_that_never_comes_is_an_end(
        self, session: Session, told: EventLog, provider: Any, clock: FakeClock
    ) -> None:
        await self.start(session, provider, Begin(), Sound(5.0), Words("It is noon."), SoundEnds())
        await told.until(E.AUDIO_OUTPUT_STOPPED)
        await self.lapse(session, clock, 5.0 + END_LIMIT_S)
        await self.over(session, told)
        assert self.ends(told) == [NO_END]
        await self.check_next(session, told, provider, 2)

    async def test_a_response_that_stalls_is_a_failure(
        self, session: Session, told: EventLog, provider: Any, clock: FakeClock
    ) -> None:
        await self.start(session, provider, Begin(), Sound(0.2), Words("It is"))
        await told.until(E.AUDIO_OUTPUT_CHUNK)
        await self.lapse(session, clock, 0.2 + STALL_LIMIT_S)
        assert self.ends(told) == ["error timeout", "cancelled"]
        await self.check_next(session, told, provider, 2)

    async def test_a_response_that_never_begins_is_a_failure(
        self, session: Session, told: EventLog, provider: Any, clock: FakeClock
    ) -> None:
        await self.start(session, provider, Begin())
        await self.lapse(session, clock, LONGEST_ANSWER_S)
        assert self.ends(told)[:1] == ["error timeout"]
        assert not session.is_responding
        await self.check_next(session, told, provider, 2)

    async def test_an_end_with_nothing_said_is_a_failure(
        self, session: Session, told: EventLog, provider: Any
    ) -> None:
        await self.start(session, provider, Begin(), End())
        await self.over(session, told, 2)
        assert self.ends(told) == ["error empty_answer", "cancelled"]
        await self.check_next(session, told, provider, 2)

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ("filtered", ["error answer_filtered", "cancelled"]),
            ("cut_off", ["error answer_cut_off", "cancelled"]),
            ("failed", None),
        ],
    )
    async def test_an_end_for_a_reason_says_which(
        self, session: Session, told: EventLog, provider: Any, status: str, expected: list[str] | None
    ) -> None:
        if status not in self.statuses:
            pytest.skip("the protocol has no such end")
        await self.start(session, provider, Begin(), End(status))
        await self.over(session, told, 2)
        found = self.ends(told)
        assert found == expected if expected else found[-1] == "cancelled" and found[0].startswith("error ")
        await self.check_next(session, told, provider, 2)

    async def test_a_second_end_is_none(self, session: Session, told: EventLog, provider: Any) -> None:
        await self.start(session, provider, *ANSWER, End())
        await self.over(session, told)
        await self.check_next(session, told, provider, 2)
        assert self.ends(told) == ["completed", "completed"]

    async def test_a_tool_runs_and_silence_after_it_is_a_failure(
        self, session: Session, told: EventLog, provider: Any, clock: FakeClock
    ) -> None:
        await self.start(session, provider, Begin(), End(calls=(Call("get_time", {"zone": "UTC"}),)))
        await told.until(E.FUNCTION_CALL_COMPLETED)
        await self.act(provider, 2)
        assert self.ran == [{"zone": "UTC"}]
        await self.lapse(session, clock, LONGEST_ANSWER_S)
        assert self.ends(told) == [TOOL_CALLS, "error timeout"]
        assert session.is_quiet
        await self.check_next(session, told, provider, 3)

    @pytest.mark.parametrize("name", ["get_time<|channel|>commentary", "functions.get_time"])
    async def test_the_tool_that_is_meant_runs(
        self, session: Session, told: EventLog, provider: Any, name: str
    ) -> None:
        await self.start(session, provider, Begin(), End(calls=(Call(name, {"zone": "UTC"}),)))
        await self.act(provider, 2, *ANSWER)
        await self.over(session, told, 2)
        assert self.ran == [{"zone": "UTC"}]

    async def test_a_tool_does_not_run_with_arguments_that_were_cut_off(
        self, session: Session, told: EventLog, provider: Any
    ) -> None:
        await self.start(session, provider, Begin(), End(calls=(Call("get_time", '{"zone": "U'),)))
        await self.act(provider, 2, *ANSWER)
        await self.over(session, told, 2)
        assert self.ran == []
        assert [each["ok"] for each in told.of(E.FUNCTION_CALL_COMPLETED)] == [False]
        assert self.ends(told) == [TOOL_CALLS, "completed"]

    @pytest.mark.parametrize(("same", "limit"), [(True, MAX_SAME_CALLS), (False, MAX_TOOL_ROUNDS)])
    async def test_a_model_that_only_calls_tools_is_stopped(
        self, session: Session, told: EventLog, provider: Any, same: bool, limit: int
    ) -> None:
        async def loop() -> None:
            for number in range(limit + 2):
                zone = "UTC" if same else f"UTC{number}"
                await self.act(provider, number + 1, Begin(), End(calls=(Call("get_time", {"zone": zone}),)))

        looping = asyncio.create_task(loop())
        await self.ask(session)
        await looping
        await told.until(E.ERROR_GENERAL)
        assert len(self.ran) == limit
        stops = [each["next"] for each in told.of(E.FUNCTION_CALLS_STOPPED)]
        assert stops == ["answer_without_tools", "stop"]
        await self.over(session, told, limit + 2)
        assert told.codes(E.ERROR_GENERAL) == ["tool_loop"]
        await self.check_next(session, told, provider, limit + 3)


ANSWER: tuple[Act, ...] = (Begin(), Sound(0.1), Words("It is noon."), SoundEnds(), End())
