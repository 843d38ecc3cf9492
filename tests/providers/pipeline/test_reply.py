"""An answer that is audible never starts again."""

import asyncio
from collections.abc import AsyncGenerator

from tests.fakes import FakeClock, settle
from tests.providers.pipeline.stage_fakes import Board, Voice
from voxd.net.transport import Budget
from voxd.providers.events import ProviderEvent
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.llm_chain import AnswerEnd, AnswerEvent, Restart
from voxd.providers.pipeline.prompt import PendingAnswer
from voxd.providers.pipeline.reply import BROKEN_OFF, ReplyTask
from voxd.providers.pipeline.stages.contract import Completion, TextChunk
from voxd.providers.pipeline.tts_chain import TtsChain
from voxd.tasks import TaskScope


async def test_an_answer_that_just_became_audible_does_not_start_again() -> None:
    clock, tasks, begun = FakeClock(), TaskScope("test"), asyncio.Event()
    events: list[ProviderEvent] = []
    voice = Voice("voice", clock)
    chain = TtsChain([voice], health=Board(), latencies=Latencies(), clock=clock)
    budget = Budget(clock.now + 3.0)

    async def answer() -> AsyncGenerator[AnswerEvent]:
        yield TextChunk("One two. Three")
        # As when it comes through a queue: the decision to begin again is older than the first sound.
        await begun.wait()
        yield Restart()
        yield TextChunk("Something else.")
        yield AnswerEnd(Completion("stop"), "scripted")

    reply = ReplyTask(
        "response_1",
        PendingAnswer(answer(), budget, begun),
        start_tts=lambda: chain.start_turn(budget, tasks, lambda stage, usage: None),
        filter_clause=None,
        on_event=events.append,
        tasks=tasks,
        clock=clock,
    )
    work = asyncio.create_task(reply.run())
    for _ in range(5):
        await settle()
    await work
    assert voice.spoken == ["One two.", BROKEN_OFF]
    assert budget.until_s is None, "what is heard may take its time"
    await tasks.close()
