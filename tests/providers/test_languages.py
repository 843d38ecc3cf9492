"""Names of languages, with a region or without."""

import pytest

from voxd.providers.languages import code_of, locale_of


@pytest.mark.parametrize(
    ("language", "code", "locale"),
    [
        ("", "", "en-US"),
        ("en", "en", "en-US"),
        ("de", "de", "de-DE"),
        ("ja", "ja", "ja-JP"),
        ("pt", "pt", "pt-BR"),
        ("en-GB", "en", "en-GB"),
        ("EN-gb", "en", "en-gb"),
        ("zh_TW", "zh", "zh-TW"),
        ("sr-Latn-RS", "sr", "sr-Latn-RS"),
    ],
)
def test_a_language_is_named_as_each_vendor_wants_it(language: str, code: str, locale: str) -> None:
    assert code_of(language) == code
    assert locale_of(language) == locale


def test_what_is_usual_can_be_chosen() -> None:
    assert locale_of("", "de-CH") == "de-CH"
