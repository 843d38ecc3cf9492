"""What every speech-to-text must do, third-party ones included: subclass `SttContract` and give its fixtures.

The fakes of tests/servers really recognise the sound of tests/servers/words.py; one that cannot may answer
`SAID` to any sound that is not silent, and "" to silence.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from tests.providers.stage_contract import WAIT_S, StageContract
from tests.servers.words import frames, played, spoken
from voxd.errors import (
    DeviceError,
)
from voxd.frames import Frame
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import (
    SpeechToText,
    StageKind,
    Transcription,
    TranscriptionRequest,
)

SAID = "kitchen light off"
SILENCE = bytes(2 * 16_000)
"""A second in which nobody speaks."""

Make = Callable[[], SpeechToText]


async def heard_of(
    stt: SpeechToText, pcm: bytes, told: TranscriptionRequest | None = None
) -> list[Transcription]:
    """Return everything that was heard of ``pcm``."""
    async with (
        asyncio.timeout(WAIT_S),
        aclosing(stt.transcribe(played(pcm), told or TranscriptionRequest())) as heard,
    ):
        return [each async for each in heard]


class Speaker:
    """A user that speaks for as long as a test requires; an iterator of frames."""

    def __init__(self, pcm: bytes) -> None:
        self._frames = frames(pcm)
        self._finished = asyncio.Event()

    def finish(self) -> None:
        self._finished.set()

    async def sound(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame
        await self._finished.wait()


class SttContract(StageContract):
    """Give the fixtures; a vendor transcribes only while `make`'s fake runs."""

    does = StageKind.STT

    async def use(self, stage: SpeechToText, budget: Budget | None = None) -> None:
        told = TranscriptionRequest(budget=budget or Budget(retries=0))
        assert (await heard_of(stage, spoken(SAID), told))[-1].final

    def betrays(self, told: str) -> bool:
        return any(word in told for word in SAID.split())

    def others_tasks(self) -> set[str]:
        """The names of tasks that are not the stage's: those of a fake server, of the line."""
        return set()

    @pytest.fixture
    def stt(self, stage: SpeechToText) -> SpeechToText:
        return stage

    async def test_the_final_text_comes_once_and_last(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, spoken(SAID))
        assert [each.final for each in heard] == [False] * (len(heard) - 1) + [True]
        assert heard[-1].text.lower().strip(" .") == SAID

    async def test_it_reports_the_usage_the_vendor_will_bill(self, stt: SpeechToText) -> None:
        used = (await heard_of(stt, spoken(SAID)))[-1].usage
        assert used.transcribed_seconds > 0 or used.input_audio_tokens > 0 or used.input_text_tokens > 0

    async def test_an_empty_recording_gives_no_text(self, stt: SpeechToText) -> None:
        assert [(each.text, each.final) for each in await heard_of(stt, b"")] == [("", True)]

    async def test_silence_gives_no_text(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, SILENCE)
        assert (heard[-1].text, heard[-1].final) == ("", True)

    async def test_a_single_frame_is_enough(self, stt: SpeechToText) -> None:
        heard = await heard_of(stt, bytes(640))
        assert (heard[-1].text, heard[-1].final) == ("", True)

    async def test_one_utterance_after_another_is_understood(self, stt: SpeechToText) -> None:
        for _ in range(3):
            assert (await heard_of(stt, spoken(SAID)))[-1].text.lower().strip(" .") == SAID

    async def test_two_utterances_at_the_same_time_are_not_mixed(self, stt: SpeechToText) -> None:
        both = await asyncio.gather(heard_of(stt, spoken(SAID)), heard_of(stt, spoken(SAID)))
        assert [heard[-1].text.lower().strip(" .") for heard in both] == [SAID, SAID]

    async def test_a_language_and_hints_are_taken(self, stt: SpeechToText) -> None:
        told = TranscriptionRequest(language="en-US", hints=("kitchen", "Ada Lovelace"))
        assert (await heard_of(stt, spoken(SAID), told))[-1].text.lower().strip(" .") == SAID

    async def test_nothing_runs_after_the_end(self, make: Make) -> None:
        before = asyncio.all_tasks()
        stt = make()
        await heard_of(stt, spoken(SAID))
        await stt.close()
        await self.nobody_served()
        left = asyncio.all_tasks() - before
        assert {task.get_name() for task in left} <= self.others_tasks()

    async def test_an_utterance_can_be_given_up_while_the_user_speaks(self, make: Make) -> None:
        before = asyncio.all_tasks()
        stt = make()
        speaker = Speaker(spoken(SAID))
        heard = stt.transcribe(speaker.sound(), TranscriptionRequest())
        waiting = asyncio.ensure_future(anext(heard, None))
        await asyncio.wait({waiting}, timeout=0.1)
        if not waiting.done():
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(WAIT_S):
            await heard.aclose()
            await stt.close()
            await self.nobody_served()
        left = asyncio.all_tasks() - before
        assert {task.get_name() for task in left} <= self.others_tasks()
        gc.collect()

    async def test_a_failure_of_the_microphone_is_passed_on_unchanged(self, stt: SpeechToText) -> None:
        async def broken() -> AsyncIterator[Frame]:
            yield Frame(0, bytes(6400))
            raise DeviceError("unplugged")

        async with (
            asyncio.timeout(WAIT_S),
            aclosing(stt.transcribe(broken(), TranscriptionRequest())) as heard,
        ):
            with pytest.raises(DeviceError):
                await anext(each async for each in heard if each.final)
