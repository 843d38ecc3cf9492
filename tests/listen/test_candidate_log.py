"""What `voxctl wake why` shows, and that it stays small."""

import pytest

from voxd.errors import NotFound
from voxd.listen.candidate_log import MAX_BYTES, MAX_COUNT, CandidateLog
from voxd.listen.gate import ScoredCandidate, WakeDecision


def decision(word: str = "alexa", reason: str = "") -> WakeDecision:
    return WakeDecision(ScoredCandidate(word, 1_000, 0.8, 0.6), 2_000, reason)


def test_a_candidate_is_kept_with_scores_reason_and_sound() -> None:
    kept = CandidateLog(60)
    kept.add(decision(reason="too faint"), bytes(32_000), monotonic_s=1, wall_s=1_700_000_000)
    (one,) = kept.newest(5, 2)
    assert (one.word, one.first_score, one.score, one.accepted) == ("alexa", 0.8, 0.6, False)
    assert (one.reason, one.time, one.clip_s) == ("too faint", 1_700_000_000, 1.0)
    assert kept.clip(one.id).pcm == bytes(32_000)


def test_the_newest_come_first_and_no_more_than_asked_for() -> None:
    kept = CandidateLog(60)
    for index in range(5):
        kept.add(decision(f"word{index}"), b"", monotonic_s=index, wall_s=index)
    assert [one.word for one in kept.newest(2, 5)] == ["word4", "word3"]


def test_candidates_expire() -> None:
    kept = CandidateLog(60)
    kept.add(decision(), b"12", monotonic_s=0, wall_s=0)
    assert len(kept.newest(5, 60)) == 1
    assert kept.newest(5, 60.1) == []
    with pytest.raises(NotFound):
        kept.clip(1)


def test_count_and_bytes_are_bounded_and_what_goes_is_counted() -> None:
    kept = CandidateLog(1e9)
    for _ in range(MAX_COUNT + 3):
        kept.add(decision(), b"", monotonic_s=0, wall_s=0)
    assert (len(kept.newest(MAX_COUNT * 2, 0)), kept.dropped) == (MAX_COUNT, 3)
    kept.add(decision(), bytes(MAX_BYTES), monotonic_s=0, wall_s=0)
    kept.add(decision(), bytes(2), monotonic_s=0, wall_s=0)
    assert len(kept.newest(MAX_COUNT, 0)) == 1
