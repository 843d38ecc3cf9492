import pytest

from voxd.config.mistakes.words import did_you_mean


@pytest.mark.parametrize(
    ("written", "meant"),
    [("chanels", "channels"), ("chanel", "channel"), ("wisper", "whisper"), ("xyz", ""), ("", ""), (7, "")],
)
def test_a_near_miss_is_offered_and_a_far_one_is_not(written: object, meant: str) -> None:
    hint = did_you_mean(written, ["channels", "channel", "whisper", "auto"])
    assert hint == (f'did you mean "{meant}"?' if meant else "")


def test_without_known_words_nothing_is_offered() -> None:
    assert did_you_mean("word", []) == ""
