"""Who spoke, from the labels of the vendors."""

from typing import Any

import pytest

from voxd.providers.events import SpeakerPart
from voxd.providers.pipeline.stages.speakers import LabelledWord, labelled, parts_of
from voxd.providers.pipeline.stages.stt_protocol import TranscriptAssembler, TranscriptUpdate
from voxd.providers.usage import Usage


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "plain"),
        ([(None, "a"), (None, "b")], "plain"),
        ([(0, "a"), (0, "b")], "plain"),
        ([(1, "a"), (0, "b"), (0, "c"), (1, "d")], "Speaker 1: a Speaker 2: b c Speaker 1: d"),
        ([("B", "Hello"), (None, "."), ("A", "Yes"), (None, "?")], "Speaker 1: Hello. Speaker 2: Yes?"),
        ([(None, "so"), (3, "a"), ("", "b"), (5, "c")], "Speaker 1: so a b Speaker 2: c"),
        ([(0, "a"), (1, " "), (1, None), (2, "b")], "Speaker 1: a Speaker 2: b"),
    ],
)
def test_more_than_one_speaker_is_named_in_the_text(words: list[LabelledWord], text: str) -> None:
    assert labelled(parts_of(words), "plain") == text


def test_a_speaker_keeps_the_number_over_all_results() -> None:
    transcript = TranscriptAssembler()
    transcript.add(TranscriptUpdate("one two", 1.0, words=((1, "one"), (1, "two"))))
    assert transcript.text == "one two"
    transcript.add(TranscriptUpdate("red three", 2.0, words=((0, "red"), (1, "three"))))
    transcript.add(TranscriptUpdate(partial="and"))
    assert transcript.text == "Speaker 1: one two Speaker 2: red Speaker 1: three and"
    final = transcript.final(Usage())
    assert final.speakers == (SpeakerPart(1, "one two"), SpeakerPart(2, "red"), SpeakerPart(1, "three"))


@pytest.mark.parametrize("label", [None, 0, "A", "spk_0", 2.0, True, ["odd"], {"id": 1}])
def test_a_label_of_any_type_voids_nothing(label: Any) -> None:
    assert labelled(parts_of([(label, "a")]), "a") == "a"
