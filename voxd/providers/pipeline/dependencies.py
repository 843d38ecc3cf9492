"""What a pipeline is made of: built once, shared by all its sessions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voxd.clock import Clock
from voxd.config.provider_schema import Pipeline
from voxd.events import Emit
from voxd.providers.pipeline.answer_cache import AnswerCache
from voxd.providers.pipeline.llm_chain import LlmChain
from voxd.providers.pipeline.middleware import MessageMiddleware
from voxd.providers.pipeline.stt_chain import SttChain
from voxd.providers.pipeline.tts_chain import TtsChain

Close = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PipelineDependencies:
    """The three lists, and how they are used; ``hints`` are likely words, ``owned`` is closed too."""

    stt: SttChain
    llm: LlmChain
    tts: TtsChain
    settings: Pipeline
    emit: Emit
    clock: Clock
    middleware: tuple[MessageMiddleware, ...] = ()
    answers: AnswerCache | None = None
    hints: tuple[str, ...] = ()
    owned: tuple[Close, ...] = ()

    async def close(self) -> None:
        """Free every stage; idempotent."""
        await self.stt.close()
        await self.llm.close()
        await self.tts.close()
        for close in self.owned:
            await close()
