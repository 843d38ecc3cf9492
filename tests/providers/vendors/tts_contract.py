"""What every text-to-speech must do, third-party ones included: subclass `TtsContract` and give its fixtures.

The fakes of tests/servers make another sound for every text; `sound` says which.
"""

import asyncio
import dataclasses
import gc
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest

from tests.providers.stage_contract import WAIT_S, StageContract
from voxd.errors import ProviderError, StreamError
from voxd.frames import Clip
from voxd.net.transport import Budget
from voxd.providers.pipeline.stages.contract import StageKind, TextToSpeech

TEXT = "Your tea is ready."
ODD_TEXTS = [
    'Is 3 < 4 & 5 > 2? "Yes," she said.',
    "Grüße aus Köln, 25 °C, schön!",
    "Ships at 10:30 🚢, says O'Neill.",
    "First line.\nSecond line.",
    "ok",
]

_OTHERS = ("/tests/", "websockets/asyncio/server", "voxd/net/http")
"""Where the tasks of fake servers come from, and those of the HTTP client, which outlives a stage."""

Make = Callable[[], TextToSpeech]


async def clips_of(
    tts: TextToSpeech, text: str = TEXT, *, previous: str = "", retries: int = 0
) -> list[Clip]:
    """Return the clips of ``text``."""
    budget = Budget(retries=retries)
    async with asyncio.timeout(WAIT_S), aclosing(tts.synthesize(text, budget, previous=previous)) as clips:
        return [clip async for clip in clips]


async def heard_until_it_breaks(tts: TextToSpeech, heard: list[Clip], *, retries: int = 0) -> None:
    """Add the clips of `TEXT` to ``heard`` one by one."""
    budget = Budget(retries=retries)
    async with asyncio.timeout(WAIT_S), aclosing(tts.synthesize(TEXT, budget)) as clips:
        while clip := await anext(clips, None):
            heard.append(clip)


def pcm_of(clips: list[Clip]) -> bytes:
    return b"".join(clip.pcm for clip in clips)


class TtsContract(StageContract):
    """Give the fixtures; a vendor speaks only while `make`'s fake runs."""

    does = StageKind.TTS

    async def use(self, stage: TextToSpeech, budget: Budget | None = None) -> None:
        async with (
            asyncio.timeout(WAIT_S),
            aclosing(stage.synthesize(TEXT, budget or Budget(retries=0))) as clips,
        ):
            assert pcm_of([clip async for clip in clips]) == self.sound(stage, TEXT)

    def betrays(self, told: str) -> bool:
        return "tea" in told.split()

    @pytest.fixture
    def make_broken(self) -> Make:
        """Returns new stages whose vendor hangs up in the middle of the sound."""
        raise NotImplementedError

    @pytest.fixture
    def make_mute(self) -> Make:
        """Returns new stages whose vendor answers with no sound at all."""
        raise NotImplementedError

    def sound(self, tts: TextToSpeech, text: str) -> bytes:
        """Return what ``text`` sounds like."""
        raise NotImplementedError

    @pytest.fixture
    def tts(self, stage: TextToSpeech) -> TextToSpeech:
        return stage

    def test_it_takes_a_long_sentence(self, make: Make) -> None:
        assert make().max_chars >= 1000

    async def test_a_text_is_spoken_from_beginning_to_end(self, tts: TextToSpeech) -> None:
        clips = await clips_of(tts)
        assert pcm_of(clips) == self.sound(tts, TEXT)

    async def test_the_clips_hold_whole_samples_at_one_rate(self, tts: TextToSpeech) -> None:
        clips = await clips_of(tts)
        assert all(clip.pcm and len(clip.pcm) % 2 == 0 for clip in clips)
        (rate_hz,) = {clip.rate_hz for clip in clips}
        assert 8000 <= rate_hz <= 48_000

    @pytest.mark.parametrize("text", ODD_TEXTS)
    async def test_every_text_is_spoken_as_it_is(self, tts: TextToSpeech, text: str) -> None:
        assert pcm_of(await clips_of(tts, text)) == self.sound(tts, text)

    async def test_one_clause_after_another_is_spoken(self, tts: TextToSpeech) -> None:
        for text in ("Hello there.", "How are you?", "Fine."):
            assert pcm_of(await clips_of(tts, text)) == self.sound(tts, text)

    async def test_two_clauses_at_the_same_time_are_not_mixed(self, tts: TextToSpeech) -> None:
        texts = ("Hello there.", "Something else.")
        both = await asyncio.gather(*(clips_of(tts, text) for text in texts))
        assert [pcm_of(clips) for clips in both] == [self.sound(tts, text) for text in texts]

    async def test_what_was_spoken_before_is_not_spoken_again(self, tts: TextToSpeech) -> None:
        clips = await clips_of(tts, previous="Good morning.")
        assert pcm_of(clips) == self.sound(tts, TEXT)

    def test_whatever_changes_the_sound_changes_the_variant(self, make: Make) -> None:
        tts = make()
        config = tts.config
        others = [
            dataclasses.replace(config, voice="another"),
            dataclasses.replace(config, language="de"),
            dataclasses.replace(config, endpoint="http://127.0.0.1:9"),
            dataclasses.replace(config, options={**config.options, "speed": 1.1, "rate": "slow"}),
        ]
        variants = [
            json.dumps(type(tts)(each, tts.transport).variant, sort_keys=True) for each in [config, *others]
        ]
        assert len(set(variants)) == len(variants)
        assert json.dumps(make().variant, sort_keys=True) == variants[0]

    async def test_nothing_runs_after_the_end(self, make: Make) -> None:
        before = asyncio.all_tasks()
        tts = make()
        await clips_of(tts)
        tts.prepare()
        await tts.close()
        await self.nobody_served()
        assert not {task.get_name() for task in asyncio.all_tasks() - before if self.is_ours(task)}

    async def test_a_clause_can_be_given_up(self, make: Make) -> None:
        before = asyncio.all_tasks()
        tts = make()
        clips = tts.synthesize(TEXT * 10, Budget())
        async with asyncio.timeout(WAIT_S):
            await anext(clips)
            await clips.aclose()
            await tts.close()
            await self.nobody_served()
        gc.collect()
        assert not {task.get_name() for task in asyncio.all_tasks() - before if self.is_ours(task)}

    def is_ours(self, task: "asyncio.Task[object]") -> bool:
        """Whether ``task`` is the stage's, and not one of a fake server or of the HTTP client."""
        code = getattr(task.get_coro(), "cr_code", None)
        return not (code and any(part in code.co_filename for part in _OTHERS))

    async def test_sound_that_breaks_off_is_reported_after_the_received_part(self, make_broken: Make) -> None:
        tts = make_broken()
        heard: list[Clip] = []
        with pytest.raises(ProviderError) as raised:
            await heard_until_it_breaks(tts, heard)
        assert raised.value.retryable
        assert all(len(clip.pcm) % 2 == 0 for clip in heard)
        assert self.sound(tts, TEXT).startswith(pcm_of(heard))
        await tts.close()

    async def test_a_vendor_that_sends_no_sound_is_a_fault(self, make_mute: Make) -> None:
        tts = make_mute()
        with pytest.raises(StreamError) as raised:
            await clips_of(tts)
        assert raised.value.code == "no_sound"
        await tts.close()

    def test_it_reports_the_cost_of_a_text(self, make: Make) -> None:
        spent = make().bill(TEXT)
        assert spent.characters == len(TEXT) or spent.output_audio_tokens > 0
