"""The wake gate as a table, and what must hold whatever the scores are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.listen.gate import CONFIRM_SAMPLES, OTHERS_IGNORED_SAMPLES, WakeDecision, WakeGate, WakeRule
from voxd.listen.wake_engine import Score

HOP = 1280
REFRACTORY = 24_000


def gate(**rules: WakeRule) -> WakeGate:
    made = WakeGate()
    made.configure(rules)
    return made


def rule(first: float = 0.3, second: float = 0.3, *, enabled: bool = True) -> WakeRule:
    return WakeRule(first, second, REFRACTORY, enabled)


def step(made: WakeGate, now: int, first: dict[str, float], second: dict[str, float]) -> list[WakeDecision]:
    made.open_candidates(Score(word, score, now) for word, score in first.items())
    return made.decide([Score(word, score, now) for word, score in second.items()], now)


@pytest.mark.parametrize(
    ("first", "second", "accepted"),
    [
        (0.3, 0.3, ["alexa"]),
        (0.29, 0.99, []),
        (0.99, 0.29, []),
        (1.0, 1.0, ["alexa"]),
    ],
)
def test_both_stages_must_reach_their_threshold(first: float, second: float, accepted: list[str]) -> None:
    decisions = step(gate(alexa=rule()), HOP, {"alexa": first}, {"alexa": second})
    assert [decision.candidate.word for decision in decisions if decision.accepted] == accepted


def test_the_second_stage_may_agree_later_but_not_too_late() -> None:
    for late, accepted in ((CONFIRM_SAMPLES - 1, True), (CONFIRM_SAMPLES + HOP, False)):
        made = gate(alexa=rule())
        assert step(made, HOP, {"alexa": 0.9}, {"alexa": 0.0}) == []
        decisions = step(made, HOP + late, {"alexa": 0.9}, {"alexa": 0.9 if accepted else 0.1})
        assert [decision.accepted for decision in decisions] == [accepted]


def test_a_rejection_gives_its_reason_and_the_best_scores() -> None:
    made = gate(alexa=rule())
    step(made, HOP, {"alexa": 0.4}, {"alexa": 0.2})
    step(made, 2 * HOP, {"alexa": 0.8}, {"alexa": 0.1})
    (decision,) = step(made, HOP + CONFIRM_SAMPLES, {"alexa": 0.5}, {})
    assert decision.reason == "second stage below threshold"
    assert (decision.candidate.first_score, decision.candidate.score) == (0.8, 0.2)


def test_one_sound_is_one_candidate_until_the_first_score_has_fallen() -> None:
    made = gate(alexa=rule())
    step(made, HOP, {"alexa": 0.9}, {"alexa": 0.0})
    step(made, HOP + CONFIRM_SAMPLES, {"alexa": 0.9}, {})
    later = HOP + 2 * CONFIRM_SAMPLES
    assert made.open_candidates([Score("alexa", 0.9, later)]) == []
    made.open_candidates([Score("alexa", 0.1, later + HOP)])
    assert made.open_candidates([Score("alexa", 0.9, later + 2 * HOP)]) != []


def test_an_accepted_word_is_deaf_for_its_refractory_time() -> None:
    made = gate(alexa=rule())
    assert step(made, HOP, {"alexa": 0.9}, {"alexa": 0.9})[0].accepted
    made.open_candidates([Score("alexa", 0.0, 2 * HOP)])
    assert made.open_candidates([Score("alexa", 0.9, HOP + REFRACTORY - 1)]) == []
    assert made.open_candidates([Score("alexa", 0.9, HOP + REFRACTORY)]) != []


def test_of_several_words_at_once_the_best_wins_and_the_others_are_told_so() -> None:
    made = gate(alexa=rule(), hey_jarvis=rule())
    decisions = step(made, HOP, {"alexa": 0.9, "hey_jarvis": 0.9}, {"alexa": 0.6, "hey_jarvis": 0.7})
    assert {v.candidate.word: v.reason for v in decisions} == {
        "hey_jarvis": "",
        "alexa": "another word scored higher",
    }


def test_the_same_sound_does_not_pass_for_another_word_right_after() -> None:
    made = gate(alexa=rule(), hey_jarvis=rule())
    step(made, HOP, {"alexa": 0.9}, {"alexa": 0.9})
    assert made.open_candidates([Score("hey_jarvis", 0.9, HOP + OTHERS_IGNORED_SAMPLES - 1)]) == []
    assert made.open_candidates([Score("hey_jarvis", 0.9, HOP + OTHERS_IGNORED_SAMPLES)]) != []


def test_a_disabled_word_is_never_suspected_and_its_candidate_is_dropped() -> None:
    made = gate(alexa=rule())
    made.open_candidates([Score("alexa", 0.9, HOP)])
    made.configure({"alexa": rule(enabled=False)})
    assert made.open_words == frozenset()
    assert made.open_candidates([Score("alexa", 0.9, 2 * HOP)]) == []


def test_thresholds_change_while_a_candidate_waits() -> None:
    made = gate(alexa=rule(second=0.9))
    assert step(made, HOP, {"alexa": 0.9}, {"alexa": 0.5}) == []
    made.configure({"alexa": rule(second=0.4)})
    assert step(made, 2 * HOP, {}, {"alexa": 0.1})[0].accepted


def test_scores_of_unknown_words_are_ignored() -> None:
    assert step(gate(), HOP, {"alexa": 1.0}, {"alexa": 1.0}) == []


@examples(50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["alexa", "hey_jarvis"]), st.floats(0, 1), st.floats(0, 1)),
        max_size=60,
    )
)
def test_accepted_words_had_both_scores_and_kept_their_distance(
    heard: list[tuple[str, float, float]],
) -> None:
    made = gate(alexa=rule(0.5, 0.6), hey_jarvis=rule(0.4, 0.7))
    rules, last = made.rules(), dict[str, int]()
    for index, (word, first, second) in enumerate(heard, start=1):
        now = index * HOP
        decisions = step(made, now, {word: first}, {word: second})
        assert sum(decision.accepted for decision in decisions) <= 1
        for decision in decisions:
            assert decision.sample - decision.candidate.opened <= CONFIRM_SAMPLES + HOP
            if decision.accepted:
                name = decision.candidate.word
                assert decision.candidate.first_score >= rules[name].first_threshold
                assert decision.candidate.score >= rules[name].threshold
                assert now - last.get(name, -REFRACTORY) >= REFRACTORY
                last[name] = now
