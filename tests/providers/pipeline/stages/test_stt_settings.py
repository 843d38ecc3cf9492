import msgspec

from voxd.providers.pipeline.stages.stt_settings import query_options, select_terms


class Options(msgspec.Struct):
    fast: bool | None = None
    words: list[str] | None = None
    limit: float | None = None


def test_only_what_is_set_is_chosen_and_truth_is_written_small() -> None:
    assert query_options(Options()) == {}
    assert query_options(Options(fast=False, words=["a"], limit=0.5)) == {
        "fast": "false",
        "words": ["a"],
        "limit": 0.5,
    }


def test_likely_words_are_told_once_and_no_more_than_are_taken() -> None:
    assert select_terms(["b", " a ", ""], ("a", "c" * 9), most=5, longest=8) == ["b", "a"]
    assert select_terms([str(n) for n in range(9)], most=3) == ["0", "1", "2"]
