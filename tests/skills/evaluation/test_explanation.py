"""Why a sentence is understood as it is."""

import pytest

from tests.fakes import FakeClock
from voxd.config import schema
from voxd.skills.evaluation.explanation import FoundValue, explain


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


async def test_a_sentence_shows_its_values_its_intent_and_what_is_done() -> None:
    explanation = await explain("Set a 5 minute pizza timer", schema.Skills(), FakeClock())
    assert explanation.words == ("set", "a", "five", "minute", "pizza", "timer")
    assert explanation.values == (FoundValue("duration", "five minute", "300"),)
    (taken,) = [candidate for candidate in explanation.candidates if candidate.taken]
    assert (taken.intent, dict(taken.slots)) == ("timer_set", {"duration": "300", "name": "pizza"})
    assert explanation.decision.startswith('timer.set 5m name="pizza"; reply "')


async def test_a_question_is_part_of_what_is_done() -> None:
    explanation = await explain("set a timer", schema.Skills(), FakeClock())
    assert explanation.decision == 'ask; reply "Set a timer for how long?"'


async def test_what_is_not_understood_has_no_intent() -> None:
    explanation = await explain("colourless green ideas", schema.Skills(), FakeClock())
    assert not any(candidate.taken for candidate in explanation.candidates)
    assert explanation.decision.startswith('reply "Sorry')
