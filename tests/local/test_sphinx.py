"""The rules of the pocketsphinx engine: the grammar, its hypotheses, and when a command is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.local.sphinx import RecognizedWord, accepts, cut_to_sentence, text_of, void_unknown_words


@pytest.mark.parametrize(
    ("heard", "command"),
    [
        ("stop", "stop"),
        ("stop the", "stop"),
        ("stop the timer", "stop the timer"),
        ("<sil> stop <sil> the <sil>", "stop"),
        ("set a", ""),
        ("", ""),
    ],
)
def test_a_hypothesis_is_taken_up_to_its_last_whole_sentence(heard: str, command: str) -> None:
    words = [RecognizedWord(text, at, at, -1.0) for at, text in enumerate(heard.split())]
    found = cut_to_sentence(words, {"stop", "stop the timer"}.__contains__)
    assert text_of(found) == command
    if command:
        assert sum(word.score for word in found) == sum(word.score for word in words)


def test_a_word_missing_from_the_dictionary_voids_its_alternative_only() -> None:
    grammar = (
        "#JSGF V1.0;\ngrammar xyzzy;\n<a> = go home | xyzzy {tag};\npublic <b> = [please] <a>\n | /2/ stop;"
    )
    changed, unknown = void_unknown_words(grammar, lambda word: word != "xyzzy")
    assert unknown == ["xyzzy"]
    assert changed.splitlines()[1] == "grammar xyzzy;"
    assert "go home | <VOID>" in changed
    assert "public <b> = [please] <a>" in changed


def word(text: str, start: int, end: int, score: float = 0.0) -> RecognizedWord:
    return RecognizedWord(text, start, end, score)


FREE = [
    word("<s>", 0, 9),
    word("what", 10, 49, -50.0),
    word("time", 50, 99, -50.0),
    word("is", 100, 109, -10.0),
]


@pytest.mark.parametrize(
    ("command", "free", "believed"),
    [
        ([word("what", 10, 109, -110.0)], FREE, True),
        ([word("what", 10, 109, -205.0)], FREE, True),
        ([word("what", 10, 109, -215.0)], FREE, False),
        ([word("stop", 10, 40, -30.0), word("<sil>", 41, 109, -10.0)], FREE, False),
        ([word("<sil>", 0, 109)], FREE, False),
        ([], FREE, False),
        ([word("stop", 10, 49, -150.0)], [word("shut", 10, 29, -20.0), word("the", 30, 49, -20.0)], True),
        ([word("stop", 10, 49, -230.0)], [word("shut", 10, 29, -20.0), word("the", 30, 49, -20.0)], False),
        ([word("stop", 10, 49)], [], True),
    ],
    ids=[
        "better",
        "a little worse",
        "much worse",
        "a part",
        "silence",
        "nothing",
        "short",
        "short and bad",
        "alone",
    ],
)
def test_a_command_must_explain_the_sound_about_as_well(
    command: list[RecognizedWord], free: list[RecognizedWord], believed: bool
) -> None:
    assert accepts(command, free) is believed


def test_an_allowance_permits_a_worse_score_but_no_missing_part() -> None:
    worse = [word("what", 10, 109, -300.0)]
    assert [accepts(worse, FREE, allowance) for allowance in (0.0, 1.0, 2.0)] == [False, True, True]
    part = [word("stop", 10, 40, -30.0), word("<sil>", 41, 109, -10.0)]
    assert not accepts(part, FREE, 10.0)


@examples(50)
@given(st.floats(-500, 500), st.floats(0, 500))
def test_a_better_score_never_turns_yes_into_no(score: float, gain: float) -> None:
    if accepts([word("what", 10, 109, score)], FREE):
        assert accepts([word("what", 10, 109, score + gain)], FREE)
