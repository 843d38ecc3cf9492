"""Languages as people write them, and their codes."""

from collections.abc import Mapping
from types import MappingProxyType

# ISO 639-1, and the longer codes that espeak-ng and Whisper have.
_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id
ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu
lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu
rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr
ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu yue cmn haw gsw kok bpy grc jbo lfn mto nci
pap py qya quc sjn tpi nog chr ast fil
"""
CODES = frozenset(_CODES.split())
# Names of languages in English and by themselves, codes of countries, and old codes.
_MEANT: Mapping[str, str] = MappingProxyType(
    {
        "english": "en", "british": "en", "american": "en", "german": "de", "deutsch": "de",
        "ger": "de", "deu": "de", "french": "fr", "français": "fr", "francais": "fr", "spanish": "es",
        "español": "es", "espanol": "es", "italian": "it", "italiano": "it", "dutch": "nl",
        "nederlands": "nl", "polish": "pl", "polski": "pl", "portuguese": "pt", "português": "pt",
        "russian": "ru", "swedish": "sv", "svenska": "sv", "danish": "da", "dansk": "da",
        "norwegian": "no", "norsk": "no", "finnish": "fi", "suomi": "fi", "czech": "cs", "cz": "cs",
        "greek": "el", "gr": "el", "turkish": "tr", "japanese": "ja", "jp": "ja", "chinese": "zh",
        "cn": "zh", "mandarin": "zh", "korean": "ko", "ukrainian": "uk", "ua": "uk", "arabic": "ar",
        "hebrew": "he", "iw": "he", "hindi": "hi", "hungarian": "hu", "romanian": "ro", "slovak": "sk",
        "slovenian": "sl", "croatian": "hr", "bulgarian": "bg", "catalan": "ca", "dk": "da",
        "vietnamese": "vi", "indonesian": "id", "in": "id", "us": "en", "gb": "en", "eng": "en",
        "fra": "fr", "spa": "es", "ita": "it", "nld": "nl", "at": "de",
    }
)  # fmt: skip


def base_code(language: str) -> str:
    """Return the first part of a tag in lower case: de_DE.UTF-8 and de-AT are de."""
    return language.strip().casefold().replace("_", "-").split("-")[0].split(".")[0]


def is_known(language: str) -> bool:
    """Return whether ``language`` begins with the code of a language."""
    return base_code(language) in CODES


def meant_code(language: str) -> str:
    """Return the code that ``language`` probably means, "" if none is known."""
    return _MEANT.get(language.strip().casefold(), "") or _MEANT.get(base_code(language), "")
