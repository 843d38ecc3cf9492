"""What is done to a grammar, and to a hypothesis that stopped inside one of its sentences."""

import pytest

from voxd.local.acceptance import HeardWord
from voxd.local.sphinx import completed, speakable, text_of


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
    words = [HeardWord(text, at, at, -1.0) for at, text in enumerate(heard.split())]
    found = completed(words, {"stop", "stop the timer"}.__contains__)
    assert text_of(found) == command
    if command:
        assert sum(word.score for word in found) == sum(word.score for word in words)


def test_a_word_nobody_can_pronounce_voids_its_alternative_only() -> None:
    grammar = (
        "#JSGF V1.0;\ngrammar xyzzy;\n<a> = go home | xyzzy {tag};\npublic <b> = [please] <a>\n | /2/ stop;"
    )
    changed, unknown = speakable(grammar, lambda word: word != "xyzzy")
    assert unknown == ["xyzzy"]
    assert changed.splitlines()[1] == "grammar xyzzy;"
    assert "go home | <VOID>" in changed
    assert "public <b> = [please] <a>" in changed
