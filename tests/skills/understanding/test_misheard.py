"""What a misheard sentence may have been: known confusions and alike nouns, never an opposite."""

import msgspec

from voxd.skills.understanding.language import load_language
from voxd.skills.understanding.misheard import variants
from voxd.skills.understanding.speech import Speech, load_speech

LIKENESS = 0.8


def tried(said: str, **changes: object) -> list[str]:
    speech: Speech = msgspec.structs.replace(load_speech(), **changes)
    found = variants(said.split(), speech, load_language(), frozenset({"set", "a", "the"}), LIKENESS)
    return [" ".join(one.said) for one in found]


def test_known_confusions_and_alike_nouns_are_put_right() -> None:
    assert "pause the timer" in tried("paws the timer")
    assert "set a timer" in tried("set a timmer")
    assert "set a timer" in tried("set a a timer")


def test_several_confusions_are_put_right_together() -> None:
    assert "cancel the timer" in tried("council the tamer")


def test_a_changed_number_is_told() -> None:
    found = variants(["for", "timers"], load_speech(), load_language(), frozenset({"timers"}), LIKENESS)
    assert {one.said[0]: one.is_number_changed for one in found}["four"]


def test_a_word_is_never_put_right_as_its_opposite() -> None:
    misheard = {"mute": ("unmute",), "turn it up": ("turn it down",), "an mute": ("unmute",)}
    assert tried("mute", misheard=misheard) == []
    assert tried("turn it up", misheard=misheard) == []
    assert tried("an mute", misheard=misheard) == ["unmute"]
    assert tried("earlier", nouns=("later", "earliest"), misheard={}) == ["earliest"]
    assert tried("shorten", nouns=("shorter",), misheard={"shorten": ("lengthen",)}) == ["shorter"]
