"""Words, numbers and ordinals: what was written or recognised becomes words, and words become values."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from voxd.skills.understanding.language import Language, load_language

MAX_NUMBER = 999_999_999_999
"""Greater numbers in digits are taken for this one."""

_MAX_NUMBER_WORDS = 24
"""No number is longer than this: MAX_NUMBER with its "and"."""

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u02b9`\u00b4\uff07", "'"))
_FRACTION = re.compile(r"(?<![\d.:,/])(?:(\d+)\s+)?(\d+)/(\d+)(?![\d/])")
_THOUSANDS = re.compile(r"(?<![\d.,:])\d{1,3}(?:,\d{3})+(?![\d,])")
# "1h30m", "1 h 30 min"; "0630 am", "836pm".
_HOURS_MINUTES = re.compile(r"(?<![\w.:])(\d+)\s?h\s?(\d{1,2})\s?m(?:in)?(?![\w:])")
_CLOCK_DIGITS = re.compile(r"(?<![\d.:,])(\d{1,2})(\d\d)\s?(?=[ap]\.?\s?m\b)")
_MINUS = re.compile(r"(?<=\d)\s+[-\u2212\u2013]\s+(?=\d)|(?<![^\s(])[-\u2212](?=\d)")
_BETWEEN = re.compile(r"(?<=\d)\s?([/\u2013-])\s?(?=\d)")


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day as it was said.

    ``half`` is am, pm, 24 (the hour is certain), night ("at night", "tonight": up to four o'clock it is after
    midnight, as is twelve), or "" when that was left open.
    """

    hour: int
    minute: int = 0
    half: str = ""


def number_words(value: int, language: Language | None = None) -> str:
    """Return ``value`` (0 to `MAX_NUMBER`) in words: 90 is "ninety", 105 "one hundred five"."""
    numbers = (language or load_language()).tables.numbers
    if value < 100:
        return numbers.below_hundred[value]
    unit, size = numbers.hundred, 100
    for name, scale in numbers.scales.items():
        if scale <= value:
            unit, size = name, scale
    head, rest = divmod(value, size)
    return f"{number_words(head, language)} {unit}" + (f" {number_words(rest, language)}" if rest else "")


def ordinal_words(value: int, language: Language | None = None) -> str:
    """Return the ordinal of ``value`` (0 to `MAX_NUMBER`) in words: 21 is "twenty first"."""
    numbers = (language or load_language()).tables.numbers
    head, rest = value - value % 100, value % 100
    if rest or not head:
        return f"{number_words(head, language)} {numbers.ordinals[rest]}" if head else numbers.ordinals[rest]
    *first, last = number_words(head, language).split()
    return " ".join([*first, numbers.ordinal_scales[last]])


def words(text: str, language: Language | None = None) -> list[str]:
    """Return ``text`` as lower-case words with numbers spelled out and punctuation gone.

    "Set it for 7:30 a.m." is set it for seven thirty a m. Letters of every alphabet stay. What is said and
    what a template holds go through this one function, and words that went through it stay what they are.
    """
    language = language or load_language()
    text = _in_plain_letters(text)
    text = _FRACTION.sub(lambda match: _fraction_words(match, language), text)
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    text = _HOURS_MINUTES.sub(language.tables.spellings.hours_minutes, text)
    text = _CLOCK_DIGITS.sub(r"\1:\2 ", text)
    text = _MINUS.sub(f" {language.tables.numbers.minus} ", text)
    between = language.tables.spellings.between_numbers
    text = _BETWEEN.sub(lambda match: f" {between['/' if match[1] == '/' else '-']} ", text)
    for sign, word in language.tables.spellings.symbols.items():
        text = text.replace(sign, f" {word} ")
    text = "".join(char if _is_kept(char) else " " for char in text)
    found: list[str] = []
    for match in _token_pattern(language).finditer(text):
        found.extend(_digit_words(match, language) if match[0][0].isdecimal() else [match[0]])
    return found


def _in_plain_letters(text: str) -> str:
    """Return ``text`` in lower case, composed, with one kind of apostrophe and fractions as 1/2."""
    text = "".join(_plain_fraction(char) for char in text)
    lower = unicodedata.normalize("NFC", text).translate(_APOSTROPHES).lower()
    return unicodedata.normalize("NFC", lower)


def _plain_fraction(char: str) -> str:
    if char.isascii() or unicodedata.category(char) != "No":
        return char
    plain = unicodedata.normalize("NFKC", char)
    return f" {plain.replace(chr(0x2044), '/')} " if chr(0x2044) in plain else char


def _is_kept(char: str) -> bool:
    return char in "'.:" or char.isdecimal() or unicodedata.category(char)[0] in "LM"


def _fraction_words(match: re.Match[str], language: Language) -> str:
    spellings = language.tables.spellings
    whole, fraction = match[1], f"{match[2]}/{match[3]}"
    if whole is None:
        return spellings.fractions.get(fraction, match[0])
    mixed = spellings.mixed_fractions.get(fraction)
    return match[0] if mixed is None else f"{whole} {mixed}"


@cache
def _token_pattern(language: Language) -> re.Pattern[str]:
    endings = "|".join(language.tables.numbers.ordinal_endings)
    letters = r"[^\d\s'.:]"
    return re.compile(
        rf"(?P<ordinal>\d+)(?:{endings})(?!{letters})|(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?!\d)"
        rf"|(?P<whole>\d+)\.(?P<decimals>\d+)|\d+|{letters}+(?:'{letters}+)*"
    )


def _digit_words(match: re.Match[str], language: Language) -> list[str]:
    numbers = language.tables.numbers
    if match["ordinal"]:
        return ordinal_words(_capped(match["ordinal"]), language).split()
    if match["hour"]:
        hour, minute = number_words(int(match["hour"]), language), int(match["minute"])
        if minute == 0:
            return [*hour.split(), language.tables.spellings.full_hour]
        zero = numbers.zero if minute < 10 else ""
        return f"{hour} {zero} {number_words(minute, language)}".split()
    if match["whole"]:
        decimals = [number_words(int(digit), language) for digit in match["decimals"]]
        return [*number_words(_capped(match["whole"]), language).split(), numbers.point, *decimals]
    # The zeros before a number are a part of it: "007", "0730".
    zeros = len(match[0]) - len(match[0].lstrip("0"))
    value = _capped(match[0])
    spoken = [number_words(0, language)] * (zeros if value else max(zeros, 1))
    return spoken + (number_words(value, language).split() if value else [])


def _capped(digits: str) -> int:
    return min(int(digits[:13]), MAX_NUMBER) if len(digits.lstrip("0")) < 14 else MAX_NUMBER


def word_at(said: Sequence[str], index: int) -> str:
    """Return word ``index``, "" behind the last one."""
    return said[index] if index < len(said) else ""


def read_number(said: Sequence[str], start: int, language: Language | None = None) -> tuple[int, int] | None:
    """Return the number that begins at word ``start`` and the index after it, or None."""
    language = language or load_language()
    numbers = language.tables.numbers
    total, end, limit = 0, start, MAX_NUMBER + 1
    while True:
        joined = end + (total > 0 and word_at(said, end) in numbers.joiners)
        group = _read_below_thousand(said, joined, language)
        if group is None:
            break
        value, after = group
        scale = numbers.scales.get(word_at(said, after), 0)
        if value and 0 < scale < limit:
            total, end, limit = total + value * scale, after + 1, scale
            continue
        if total == 0 or value > 0:
            total, end = total + value, after
        break
    return (total, end) if end > start else None


def _read_below_thousand(said: Sequence[str], start: int, language: Language) -> tuple[int, int] | None:
    numbers = language.tables.numbers
    head = read_below_hundred(said, start, language)
    if head is None and word_at(said, start) in numbers.one:
        following = word_at(said, start + 1)
        head = (1, start + 1) if following == numbers.hundred or following in numbers.scales else None
    if head is None or not 1 <= head[0] <= 9 or word_at(said, head[1]) != numbers.hundred:
        return head
    value, end = head[0] * 100, head[1] + 1
    joined = end + (word_at(said, end) in numbers.joiners)
    rest = read_below_hundred(said, joined, language)
    return (value + rest[0], rest[1]) if rest is not None and rest[0] else (value, end)


def read_below_hundred(
    said: Sequence[str], start: int, language: Language | None = None
) -> tuple[int, int] | None:
    """Return the number from 0 to 99 that begins at word ``start`` and the index after it, or None."""
    cardinals = (language or load_language()).cardinals
    for length in (3, 2, 1):
        phrase = tuple(said[start : start + length])
        if phrase in cardinals:
            return cardinals[phrase], start + len(phrase)
    return None


def read_ordinal(said: Sequence[str], start: int, language: Language | None = None) -> tuple[int, int] | None:
    """Return the ordinal that begins at word ``start`` ("twenty first" is 21) and the index after it."""
    language = language or load_language()
    for last in range(start, min(len(said), start + _MAX_NUMBER_WORDS)):
        cardinal = language.ordinal_endings.get(said[last])
        if cardinal is not None:
            number = read_number([*said[start:last], cardinal], 0, language)
            return (number[0], last + 1) if number and number[1] == last + 1 - start else None
        if said[last] not in language.number_words and said[last] not in language.tables.numbers.joiners:
            return None
    return None
