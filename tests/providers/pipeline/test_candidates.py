"""Which candidates are tried, for how long, and what is recorded about failures."""

import pytest

from tests.fakes import FakeClock
from tests.providers.pipeline.stage_fakes import Board, Brain
from voxd.errors import ConnectionFailed, ContextTooLong
from voxd.providers.pipeline.candidates import NO_TIME, Candidates
from voxd.providers.pipeline.deadlines import Latencies
from voxd.providers.pipeline.stages.contract import LanguageModel, StageKind


def candidates(board: Board, *stages: Brain, latencies: Latencies | None = None) -> Candidates[LanguageModel]:
    return Candidates(
        StageKind.LLM, stages, health=board, latencies=latencies or Latencies(), clock=FakeClock()
    )


def brains(*names: str, kind: str = "scripted") -> list[Brain]:
    return [Brain(name, FakeClock(), kind=kind) for name in names]


def test_healthy_candidates_come_in_order_and_unhealthy_ones_only_as_a_last_resort() -> None:
    board = Board("a")
    made = candidates(board, *brains("a", "b", "c"))
    assert [stage.name for stage in made.available()] == ["b", "c"]
    board.unhealthy = {"a", "b", "c"}
    assert [stage.name for stage in made.available()] == ["a", "b", "c"]
    assert made.available(), "no other is left"
    board.barred = {"a", "b", "c"}
    assert made.available() == []


def test_a_local_engine_is_always_healthy_and_has_no_health_record() -> None:
    board = Board("own")
    made = candidates(board, *brains("own", kind="local"))
    (stage,) = made.available()
    made.record_failure(stage, ConnectionFailed("gone"))
    made.record_success(stage, 0.1)
    assert (board.failures, board.answers) == ([], [])


def test_a_long_context_or_too_little_time_is_not_a_failure_of_the_provider() -> None:
    board = Board()
    made = candidates(board, *brains("a"))
    (stage,) = made.stages
    made.record_failure(stage, ContextTooLong("too long"))
    short = made.record_timeout(stage, 0.3)
    made.record_failure(stage, short)
    assert (short.code, board.failures) == (NO_TIME, [])
    made.record_failure(stage, made.record_timeout(stage, 0.9))
    assert board.failures == [("a", "timeout")]


@pytest.mark.parametrize(
    ("others", "until_s", "known_s", "due_s"),
    [
        (0, 2.6, None, 2.6),
        (0, None, None, None),
        (1, None, None, 2.0),
        (1, 2.6, None, 1.3),
        (2, 2.6, None, 2.6 / 3),
        (3, 2.6, None, 0.8),
        (1, 0.6, None, 0.6),
        (1, 9.0, None, 2.0),
        (1, 2.6, 1.2, 1.8),
        (1, 2.6, 0.1, 0.8),
    ],
)
def test_the_first_leaves_time_to_the_others_unless_its_latency_is_known(
    others: int, until_s: float | None, known_s: float | None, due_s: float | None
) -> None:
    latencies = Latencies()
    for _ in range(5 if known_s is not None else 0):
        latencies.record(StageKind.LLM, "a", known_s or 0.0)
    made = candidates(Board(), *brains("a"), latencies=latencies)
    assert made.due_s(made.stages[0], 0.0, others, until_s) == pytest.approx(due_s)


def test_the_error_of_a_list_names_its_stage_and_its_providers() -> None:
    assert "a, b" in str(candidates(Board(), *brains("a", "b")).unavailable_error())
    assert "the pipeline has no language model provider" in str(candidates(Board()).unavailable_error())
