"""Ill-typed extras, and answers that are wrong themselves."""

from typing import Any

import msgspec
import pytest

from voxd.providers import lenient


class Word(msgspec.Struct):
    text: str
    end: float = 0.0


class Answer(msgspec.Struct):
    transcript: str = ""
    confidence: float = 0.0
    words: list[Word] = []
    usage: dict[str, int] | None = None
    is_final: bool = False


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({}, Answer()),
        ({"transcript": "hi", "confidence": "0.98"}, Answer("hi", 0.98)),
        ({"transcript": "hi", "confidence": "high"}, Answer("hi")),
        ({"transcript": "hi", "confidence": None, "words": None}, Answer("hi")),
        ({"transcript": "hi", "words": {"a": 1}}, Answer("hi")),
        (
            {"transcript": "hi", "words": [{"text": "hi", "end": "1.5"}]},
            Answer("hi", words=[Word("hi", 1.5)]),
        ),
        ({"transcript": "hi", "words": [None, 7, {"end": 1}]}, Answer("hi")),
        ({"transcript": "hi", "usage": "none"}, Answer("hi")),
        ({"transcript": "hi", "usage": {"tokens": "x"}}, Answer("hi")),
        ({"transcript": "hi", "is_final": "true", "extra": [1]}, Answer("hi", is_final=True)),
        ({"transcript": None}, Answer()),
    ],
)
def test_extras_do_not_void_an_answer(body: dict[str, Any], answer: Answer) -> None:
    assert lenient.convert(body, Answer) == answer
    assert lenient.decode(msgspec.json.encode(body), Answer) == answer


def test_a_number_that_is_none_does_not_void_an_answer() -> None:
    body = '\ufeff{"transcript": "hi", "confidence": NaN, "words": [{"text": "hi", "end": Infinity}]}'
    assert lenient.decode(body, Answer) == Answer("hi", words=[Word("hi")])


@pytest.mark.parametrize("wrong", [["hi"], {"text": "hi"}, 42, True])
def test_words_of_a_wrong_type_are_an_error(wrong: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        lenient.convert({"transcript": wrong}, Answer)
    with pytest.raises(msgspec.ValidationError):
        lenient.convert({"text": wrong}, Word)
    with pytest.raises(msgspec.ValidationError):
        lenient.convert({"end": 1.0}, Word)
