"""What of an answer reaches the voice, and what stays in the transcript only."""

import pytest

from tests.fakes import FakeClock
from tests.providers.pipeline.rig import Rig
from tests.providers.pipeline.stage_fakes import Brain, Voice
from voxd.events import EventType as E
from voxd.text import UNSPEAKABLE

ANSWERS = [
    (
        "Water boils at 100 degrees【4:0†source】. See [1] and https://x.y/z.",
        ["Water boils at 100 degrees.", "See and."],
    ),
    ("Like this:\n```python\nx = 1\n```\nDone.", ["Like this:", "Done."]),
    ("Done.\n```python\nx = 1\n```", ["Done."]),
    ("```python\nx = 1\n```", [UNSPEAKABLE]),
    ("Okay, the user asks. I say hi. </think>Hello there.", ["Hello there."]),
    ("<|channel|>analysis<|message|>Hm. Well.<|end|><|channel|>final<|message|>It is noon.", ["It is noon."]),
]


@pytest.mark.parametrize(("answer", "spoken"), ANSWERS)
async def test_what_is_not_spoken_is_in_the_transcript(answer: str, spoken: list[str]) -> None:
    clock = FakeClock()
    voice = Voice("voice", clock)
    async with Rig(clock=clock, llm=[Brain("brain", clock, (answer,))], tts=[voice]) as rig:
        await rig.type("go", 5.0)
        assert voice.spoken == spoken
        assert "".join(rig.of(E.TEXT_OUTPUT)[-1]["text"].split()) == "".join(answer.split())
        assert rig.types()[-1] is E.RESPONSE_COMPLETED


async def test_nothing_but_thoughts_is_no_answer() -> None:
    clock = FakeClock()
    brain = Brain("brain", clock, ("<thinking>What now. Hm.</thinking>",))
    voice = Voice("voice", clock)
    async with Rig(clock=clock, llm=[brain], tts=[voice]) as rig:
        await rig.type("go", 5.0)
        assert voice.spoken == []
        assert rig.of(E.ERROR_GENERAL)[-1]["code"] == "empty_answer"
