"""What was said, of what a recogniser returns."""

import pytest

from voxd.spoken.transcripts import said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what time is it", "what time is it"),
        ("", ""),
        ("[BLANK_AUDIO]", ""),
        (" [ Silence ] (music playing) ♪♪", ""),
        ("*coughs*", ""),
        ("...", ""),
        ("(555)", "(555)"),
        ("[1999]", "[1999]"),
        ("my name is [PERSON_NAME]", "my name is [PERSON_NAME]"),
        ("<|startoftranscript|><|en|><|0.00|> what time is it<|2.00|><|endoftext|>", "what time is it"),
        ("<|zh|><|NEUTRAL|><|Speech|><|woitn|>现在几点", "现在几点"),
        ("<|nospeech|>", ""),
        ("is 3 < 5 or 5 > 3", "is 3 < 5 or 5 > 3"),
    ],
)
def test_notes_and_tokens_are_no_words(text: str, words: str) -> None:
    assert said(text) == words
