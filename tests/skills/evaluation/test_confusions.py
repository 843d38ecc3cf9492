"""What a recogniser may make of a sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxd.skills.evaluation.confusions import Confusions, Mishearing, spoken_words
from voxd.skills.evaluation.effects import Effect

ENGLISH = Confusions.load()
ONE = Confusions(
    groups={"homophones": (("for", "four"),), "neighbours": (("alarm", "a lamb"),)},
    fillers=("um",),
    values=("four", "five", "minute", "minutes"),
    joints=("a",),
)


def variants(*sentences: str, seed: int = 1) -> dict[str, Mishearing]:
    return {variant.kind: variant for variant in ONE.variants(sentences, seed)}


def test_every_kind_of_error_that_is_possible_is_made_once() -> None:
    made = variants("set an alarm for 5")
    assert made.keys() == {"dropped", "doubled", "homophones", "neighbours", "filler"}
    assert made["homophones"].sentences == ("set an alarm four five",)
    assert made["neighbours"].sentences == ("set an a lamb for five",)
    assert (made["neighbours"].lost, made["neighbours"].heard) == ({"alarm"}, {"a", "lamb"})
    assert len(made["dropped"].sentences[0].split()) == 4
    assert len(made["doubled"].sentences[0].split()) == 6
    assert "um" in made["filler"].sentences[0].split()


def test_a_word_of_a_value_is_known_by_itself_or_by_its_neighbour() -> None:
    assert variants("an alarm for five")["homophones"].changes_value
    assert not variants("set an alarm")["neighbours"].changes_value
    joined = Confusions({"neighbours": (("a", "the"),)}, ("um",), ("minute",), ("a",))
    found = {each.sentences: each for each in joined.variants(("a minute",), 1)}
    assert found[("the minute",)].changes_value


def test_a_sentence_of_one_word_is_not_dropped() -> None:
    assert variants("stop").keys() == {"doubled", "filler"}


def test_one_sentence_of_a_conversation_is_misheard() -> None:
    for variant in variants("set a timer", "five minutes", "thanks").values():
        assert len(variant.sentences) == 3
        others = [text for index, text in enumerate(variant.sentences) if index != variant.index]
        assert {*others} <= {"set a timer", "five minutes", "thanks"}


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3), st.integers())
def test_the_same_seed_makes_the_same_variants(sentences: list[str], seed: int) -> None:
    said = tuple(sentences)
    assert [*ENGLISH.variants(said, seed)] == [*ENGLISH.variants(said, seed)]


def test_another_seed_makes_others() -> None:
    said = ("set a timer for fifteen minutes and call it tea",)
    assert len({tuple(each.sentences for each in ENGLISH.variants(said, seed)) for seed in range(9)}) > 1


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("Set a timer, please!", "set a timer please"),
        ("15 minutes.", "fifteen minutes"),
        ("7:30 a.m.", "7:30 a.m."),
        ("Jürgen's tea", "jürgen's tea"),
        ("!", "!"),
    ],
)
def test_words_are_written_as_a_recogniser_writes_them(sentence: str, words: str) -> None:
    assert " ".join(spoken_words(sentence)) == words


FIVE = Effect("timer.set", due_s=300, name="green tea")


@pytest.mark.parametrize(
    ("kind", "lost", "heard", "changes_value", "got", "allowed"),
    [
        ("dropped", "set", "", False, FIVE, True),
        ("dropped", "set", "", False, Effect("timer.set", due_s=60, name="green tea"), False),
        ("numbers", "five", "nine", True, Effect("timer.set", due_s=540, name="green tea"), True),
        ("numbers", "five", "nine", True, Effect("alarm.set", due_s=540, name="green tea"), False),
        ("dropped", "green", "", False, Effect("timer.set", due_s=300, name="tea"), True),
        ("dropped", "five", "", True, Effect("timer.set", due_s=300), False),
        ("filler", "", "um", False, Effect("timer.set", due_s=300, name="um green tea"), True),
        ("homophones", "tea", "tee", False, Effect("timer.set", due_s=300, name="green tee"), True),
        ("homophones", "tea", "tee", False, Effect("timer.set", due_s=300, name="green pot"), False),
    ],
)
def test_only_what_was_misheard_may_differ(
    kind: str, lost: str, heard: str, changes_value: bool, got: Effect, allowed: bool
) -> None:
    variant = Mishearing(kind, 0, (), frozenset(lost.split()), frozenset(heard.split()), changes_value)
    assert variant.allows(FIVE, got) is allowed


def test_only_a_confused_number_may_mean_another_timer() -> None:
    for kind, allowed in (("numbers", True), ("dropped", False)):
        variant = Mishearing(kind, 0, (), frozenset(), frozenset(), True)
        assert variant.allows(Effect("cancel", "p"), Effect("cancel", "q")) is allowed


def test_a_name_is_never_made_up() -> None:
    variant = Mishearing("filler", 0, (), frozenset(), frozenset(("um",)), False)
    assert not variant.allows(Effect("timer.set", due_s=300), Effect("timer.set", due_s=300, name="um"))
