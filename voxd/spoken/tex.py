"""TeX between dollars and backslashes; what is arithmetic only is spoken, and amounts of money are text."""

import re

from voxd.spoken.model_tokens import WAIT, MarkupVerdict

# Arithmetic that is read as it stands; anything else is LaTeX.
_PLAIN_MATH = re.compile(r"[\w\s.,:+\-=<>*/()!?×÷·−%°]*")  # noqa: RUF001
# A word of three letters is one, and so are these of two.
_PROSE = re.compile(
    r"[A-Za-z]{3,}(?=[\s,.;:!?/-])|[A-Za-z]{5,}"
    r"|\b(?:a[nst]|b[ey]|do|go|he|i[fnst]|m[ey]|no|o[fnr]|so|to|u[ps]|we)(?=[\s,.;:!?])",
    re.IGNORECASE,
)
_FUNCTIONS = re.compile(r"\\[A-Za-z]+|\b(?:sin|cos|tan|log|ln|exp|lim|max|min|mod|det|gcd)\b|\{[^{}]*\}")


def dollar(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``$``: TeX between dollars; "$5 and $6" are amounts."""
    if len(held) < 2:
        return None if is_last else WAIT
    if held.startswith("$$"):
        end = held.find("$$", 2)
        return _math(held[2:end], end + 2) if end > 0 else None if is_last else WAIT
    at = held.find("$", 1)
    inner = held[1:at] if at > 0 else held[1:]
    if inner[:1].isspace() or "\n" in inner or len(inner) > 120:
        return None
    if _PROSE.search(_FUNCTIONS.sub(" ", inner)):
        return None
    if at < 0 or (at + 1 == len(held) and not is_last):
        return None if is_last else WAIT
    # The rules of Pandoc, "Math": no space inside the dollars, no digit behind the second one.
    if inner[-1:].isspace() or held[at + 1 : at + 2].isdigit():
        return None
    return _math(inner, at + 1)


def _math(inner: str, length: int) -> MarkupVerdict:
    text = inner.strip()
    return MarkupVerdict(length, text.replace("\n", " ") if _PLAIN_MATH.fullmatch(text) else "")


def backslash(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """Backslash: TeX, or a mark that is meant as it is."""
    if len(held) < 2:
        return None if is_last else WAIT
    if held[1] in "([":
        end = held.find("\\)" if held[1] == "(" else "\\]", 2)
        return _math(held[2:end], end + 2) if end > 0 else MarkupVerdict(1) if is_last else WAIT
    if found := re.match(r"\\begin\{([a-z*]{1,20})\}", held):
        return MarkupVerdict(found.end(), until=re.compile(rf"\\end\{{{re.escape(found[1])}\}}"))
    if found := re.match(r"\\(?:boxed|text|mathrm|textbf)\{([^{}\n]*)\}", held):
        return _math(found[1], found.end())
    if re.match(r"\\(?:[a-z]{0,7}$|[a-z]{1,7}\{[^{}\n]*$)", held) and not is_last and len(held) < 80:
        return WAIT
    if held[1] in "*_`~#$":
        return MarkupVerdict(2, held[1] if held[1] in "#$" else "")
    return MarkupVerdict(1) if held[1] in "{}[]()!.+->|<&%" else None
