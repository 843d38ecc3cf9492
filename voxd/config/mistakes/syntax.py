"""Lines that are not TOML, repaired as they were meant, so that one mistake gives one error."""

import re
from collections.abc import Callable, Iterator

import tomli

from voxd.config.mistakes.pins import meant_line

_ASSIGNMENT = re.compile(r"(\s*)([^=:#\[\]]+?)\s*(:?=+|:)\s*(.*)")
_BLANK_FOR_EQUALS = re.compile(r"""(\s*[\w-]+)\s+((?:["'\[]|[-+]?\d|true|false).*)""")
_HEADER = re.compile(r"\s*(\[{1,2})\s*([^\[\]#=]+?)\s*(\]{0,2})\s*[:;,]?\s*")
_SECRET = re.compile(r"key|token|secret|password|auth|cookie|header", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"sk-|Bearer|(?:[A-Za-z0-9_-]){32}")
_TWO = re.compile(
    r"""(\s*[\w.-]+\s*=\s*(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[\w.+-]+))\s*[,;]?\s*([\w.-]+\s*=\s*[^=].*)"""
)
_KEY = re.compile(r"[A-Za-z0-9_-]+(?:\s*\.\s*[A-Za-z0-9_-]+)*")
# Code points: these quotes and blanks of a word processor look alike in a listing.
_DOUBLE_QUOTES = (0x201C, 0x201D, 0x201E, 0x201F, 0xAB, 0xBB, 0x2033, 0xFF02)
_SINGLE_QUOTES = (0x2018, 0x2019, 0x201A, 0x201B, 0x2032, 0x2039, 0x203A, 0x60, 0xB4)
_BLANKS = (0xA0, 0x2002, 0x2003, 0x2007, 0x2009, 0x202F, 0x3000)
_INVISIBLE = (0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)
_TYPOGRAPHIC = (
    dict.fromkeys(_DOUBLE_QUOTES, '"')
    | dict.fromkeys(_SINGLE_QUOTES, "'")
    | dict.fromkeys(_BLANKS, " ")
    | dict.fromkeys(_INVISIBLE, "")
    | {0xFF1D: "=", 0x2212: "-"}
)
_TRUE, _FALSE = ("true", "yes", "on", "enabled"), ("false", "no", "off", "disabled")
_NOTHING = ("none", "null", "nil", "undefined")


def repair(line: str) -> tuple[str, str]:
    """Return ``line`` as it was meant and a hint; ("", "") when that cannot be seen.

    The returned line is TOML by itself. A value that cannot be read becomes "?".
    """
    if (found := _TWO.fullmatch(line)) and _is_toml(found[1]) and _is_toml(found[2]):
        return found[1], f"write {found[2].partition('=')[0].strip()} in a line of its own"
    for candidate in _candidates(line):
        if candidate != line and _is_toml(candidate):
            return candidate, _hint(candidate.strip())
    if found := _ASSIGNMENT.fullmatch(line):
        stand_in = f'{found[2]} = "?"'
        if _is_toml(stand_in):
            return stand_in, ""
    return "", ""


def _hint(candidate: str) -> str:
    if not candidate:
        return "remove the line"
    key, equals, _ = candidate.partition("=")
    # A key is not repeated in a message, which may end in a log or an issue.
    if equals and (_SECRET.search(key) or _SECRET_VALUE.search(candidate)):
        return f'{key.strip()} = {{ credential = "name" }}'
    return candidate


def opening_line(lines: list[str], last: int) -> int:
    """Return the index of the line at which what is not closed in line ``last`` begins."""
    for index in range(min(last, len(lines) - 1), -1, -1):
        code = lines[index].partition("#")[0]
        if (
            code.count("[") > code.count("]")
            or code.count('"""') % 2
            or code.count("'''") % 2
            or (code.count("{") > code.count("}"))
        ):
            return index
    return last


def _candidates(line: str) -> Iterator[str]:
    plain = line.translate(_TYPOGRAPHIC)
    yield plain
    # Other languages begin a comment so; a statement ends with neither in TOML.
    bare = re.sub(r"\s*(?://|--\s).*$|[;,]\s*$", "", plain) if '"' not in plain.partition("//")[2] else plain
    yield bare
    if re.match(r"\s*[;%]", plain):
        yield ""
    if found := _BLANK_FOR_EQUALS.fullmatch(bare):
        yield f"{found[1]} = {found[2]}"
    if found := _HEADER.fullmatch(bare.partition("#")[0]):
        count = max(len(found[1]), len(found[3]))
        yield "[" * count + found[2] + "]" * count
        yield "[" * count + re.sub(r"\s+", "_", found[2]) + "]" * count
        return
    if found := _ASSIGNMENT.fullmatch(bare):
        key = found[2] if _KEY.fullmatch(found[2]) else re.sub(r"[^\w.\"'-]+", "_", found[2])
        for value in _values(found[4].strip()):
            yield f"{found[1]}{key} = {value}" if value else ""


def _values(written: str) -> Iterator[str]:
    """Yield what the right side of an assignment may mean, the likeliest first; "" for no value."""
    yield written
    value = re.sub(r"\s+#.*$", "", written).strip().rstrip(";,").strip()
    word = value.strip("\"'").strip()
    if word.casefold() in _TRUE + _FALSE:
        yield "true" if word.casefold() in _TRUE else "false"
    if word.casefold() in _NOTHING:
        yield ""
    for pattern, replaced in _NUMBERS:
        if re.fullmatch(pattern, word):
            yield replaced(word)
    if (line := meant_line(word)) is not None:
        yield str(line)
    if "\\" in value:
        yield f"'{word}'"
    if value[:1] in ("[", "("):
        parts = [part.strip().strip("\"'") for part in value.strip("[]()").split(",")]
        yield "[" + ", ".join(_quoted(part) for part in parts if part) + "]"
    elif word and not value.startswith(("{", '"""', "'''")):
        yield _quoted(word)


_NUMBERS: tuple[tuple[str, Callable[[str], str]], ...] = (
    (r"\d{2,3}(?:,\d{3})+|\d{1,3}(?:,\d{3}){2,}", lambda word: word.replace(",", "")),
    (r"[-+]?\d+,\d+", lambda word: word.replace(",", ".")),
    (r"[-+]?\.\d+", lambda word: word.replace(".", "0.")),
    (r"[-+]?\d+\.", lambda word: f"{word}0"),
    (r"0+\d+", lambda word: word.lstrip("0")),
    (r"\d+(?:[.,]\d+)?\s*%", lambda word: word.rstrip("% ").replace(",", ".")),
    (r"\d+(?:[.,]\d+)?\s*(?:ms|s|sec|seconds|min|h|mb)", lambda word: f'"{word}"'),
)


def _quoted(word: str) -> str:
    try:
        float(word)
    except ValueError:
        return f"'{word}'" if '"' in word or "\\" in word else f'"{word}"'
    return word


def _is_toml(line: str) -> bool:
    try:
        tomli.loads(line)
    except (tomli.TOMLDecodeError, RecursionError):
        return False
    return True
