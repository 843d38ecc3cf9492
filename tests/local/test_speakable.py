"""What can be spoken, and the code of what cannot."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxd.errors import InvalidRequest
from voxd.local.speakable import MAX_CHARS, check_speakable
from voxd.text import sentences


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("dinner is ready", "en"),
        ("42", "en"),
        ("3 < 4", "en"),
        ("Grüße aus Köln", "de"),
        ("naïve café", "en"),
        ("Привет, world", "en"),
        ("привет", "ru"),
        ("привет", "ru_RU"),
        ("你好", "zh-CN"),
        ("こんにちは", "ja"),
        ("안녕하세요", "ko"),
        ("γειά", "el"),
        ("hello", "ru"),
        ("🎉 party 🎉", "en"),
        ("x" * MAX_CHARS, "en"),
    ],
)
def test_what_has_a_word_in_a_script_of_the_language_is_spoken(text: str, language: str) -> None:
    check_speakable(text, language)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_text"),
        (" \n\t ", "empty_text"),
        ("🎉🎉", "nothing_to_say"),
        ("👩‍👩‍👧 ❤️", "nothing_to_say"),
        ("...!?", "nothing_to_say"),
        ("---", "nothing_to_say"),
        ("** **", "nothing_to_say"),
        ("привет", "script_not_spoken"),
        ("你好", "script_not_spoken"),
        ("שלום", "script_not_spoken"),
        ("สวัสดี", "script_not_spoken"),
        ("a" * (MAX_CHARS + 1), "text_too_long"),
    ],
)
def test_what_cannot_be_spoken_has_a_code_and_a_hint(text: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_speakable(text, "en")
    assert refused.value.code == code
    assert refused.value.hint


@given(st.text(max_size=40), st.sampled_from(["en", "ru", "zh", "xx", ""]))
def test_what_leaves_no_piece_to_speak_is_never_accepted(text: str, language: str) -> None:
    if sentences(text):
        with suppress(InvalidRequest):
            check_speakable(text, language)
    else:
        with pytest.raises(InvalidRequest):
            check_speakable(text, language)
