"""Reads what a docstring says about a function and its parameters, in the usual styles."""

import re

_SECTION = re.compile(r"^(args|arguments|parameters|params)\s*:?$", re.IGNORECASE)
_END = re.compile(r"^(returns?|raises|yields?|examples?|notes?)\s*:?$", re.IGNORECASE)
_GOOGLE = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX = re.compile(r"^:param\s+(?:[\w\[\], |]+\s)?(\w+)\s*:\s*(.*)$")


def described(doc: str) -> tuple[str, dict[str, str]]:
    """Return the text before the sections, and each parameter's meaning.

    Understood are "Args:" with indented "name: meaning" lines (Google) and ":param name: meaning" (Sphinx).
    """
    text: list[str] = []
    meanings: dict[str, str] = {}
    inside = ended = False
    name = ""
    for line in doc.splitlines():
        bare = line.strip()
        if _SECTION.match(bare) or _END.match(bare):
            inside, ended, name = bool(_SECTION.match(bare)), True, ""
        elif match := _SPHINX.match(bare):
            ended, name = True, match[1]
            meanings[name] = match[2]
        elif inside and line.startswith(" ") and (match := _GOOGLE.match(bare)):
            name = match[1]
            meanings[name] = match[2]
        elif name and line.startswith(" ") and bare:
            meanings[name] = f"{meanings[name]} {bare}".strip()
        elif not ended and not bare.startswith(":"):
            text.append(bare)
    return " ".join(" ".join(text).split()), meanings
