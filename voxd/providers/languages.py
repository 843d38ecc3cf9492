"""Converts language tags to the form a vendor requires: "en" for some, "en-US" for others."""

# The default region of a language where it is not the language code itself, as in "de-DE".
_REGIONS = {
    "ar": "SA",
    "cs": "CZ",
    "da": "DK",
    "el": "GR",
    "en": "US",
    "et": "EE",
    "fa": "IR",
    "he": "IL",
    "hi": "IN",
    "ja": "JP",
    "ko": "KR",
    "nb": "NO",
    "pt": "BR",
    "sl": "SI",
    "sv": "SE",
    "uk": "UA",
    "vi": "VN",
    "zh": "CN",
}


def code_of(language: str) -> str:
    """Return the ISO 639-1 code in ``language``: "en" of "en-US"."""
    return language.replace("_", "-").partition("-")[0].lower()


def locale_of(language: str, usual: str = "en-US") -> str:
    """Return ``language`` with a region: "de-DE" for "de", "en-GB" unchanged, ``usual`` for ""."""
    if not language:
        return usual
    code, _, rest = language.replace("_", "-").partition("-")
    return f"{code.lower()}-{rest or _REGIONS.get(code.lower(), code.upper())}"
