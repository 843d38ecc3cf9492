"""Whether a text can be spoken: it has words, in a script of the device's language, and is not too long."""

import unicodedata

from voxd.errors import InvalidRequest
from voxd.text import speakable

MAX_CHARS = 8192
"""The longest text that is spoken on request: some nine minutes."""

# The first word of the Unicode names of a language's letters; any other language is written in Latin ones.
_SCRIPTS = {
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "tt", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "sd", "ug"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr", "ne", "kok", "sa"), ("DEVANAGARI",)),
    **dict.fromkeys(("zh", "cmn", "yue", "hak"), ("CJK",)),
    "am": ("ETHIOPIC",),
    "as": ("BENGALI",),
    "bn": ("BENGALI",),
    "el": ("GREEK",),
    "gu": ("GUJARATI",),
    "he": ("HEBREW",),
    "hy": ("ARMENIAN",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH"),
    "ka": ("GEORGIAN",),
    "km": ("KHMER",),
    "kn": ("KANNADA",),
    "ko": ("HANGUL", "CJK"),
    "ml": ("MALAYALAM",),
    "my": ("MYANMAR",),
    "or": ("ORIYA",),
    "pa": ("GURMUKHI",),
    "si": ("SINHALA",),
    "ta": ("TAMIL",),
    "te": ("TELUGU",),
    "th": ("THAI",),
}
# Every engine reads Latin words too, if only letter by letter.
_EVERYWHERE = ("LATIN", "FULLWIDTH")


def check_speakable(text: str, language: str) -> None:
    """Raise `InvalidRequest` when nothing of ``text`` can be spoken in ``language`` (as ``en`` or ``pt-BR``).

    Its code is ``empty_text``, ``nothing_to_say`` (only emoji, marks or markup), ``script_not_spoken`` or
    ``text_too_long``.
    """
    if not text.strip():
        raise InvalidRequest("the text is empty", code="empty_text", hint="give a text")
    if len(text) > MAX_CHARS:
        message = f"the text has {len(text)} characters, at most {MAX_CHARS} are spoken"
        raise InvalidRequest(message, code="text_too_long", hint="divide it")
    # The rule by which everything is spoken: what it drops is not heard.
    words = speakable(text)
    if not words:
        message = "nothing of the text can be spoken: it has no words"
        raise InvalidRequest(message, code="nothing_to_say", hint="use words, not only emoji, marks or code")
    scripts = _scripts_of(language)
    if not any(_is_spoken(letter, scripts) for letter in words):
        message = f"the voice of the device speaks {language} and cannot read this script"
        raise InvalidRequest(message, code="script_not_spoken", hint="set tts.language and a voice for it")


def _scripts_of(language: str) -> tuple[str, ...]:
    return (*_EVERYWHERE, *_SCRIPTS.get(language.replace("_", "-").split("-")[0].lower(), ()))


def _is_spoken(letter: str, scripts: tuple[str, ...]) -> bool:
    if letter.isdecimal():
        return True
    return letter.isalpha() and unicodedata.name(letter, "").startswith(scripts)
