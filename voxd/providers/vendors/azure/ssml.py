"""Writes a text as SSML, so that it is heard as it was written whatever characters it has."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped (XML 1.0, 2.2), and nobody can speak."""

_NAMESPACES = 'xmlns="http://www.w3.org/2001/10/synthesis" xmlns:mstts="https://www.w3.org/2001/mstts"'


def ssml(
    text: str, *, voice: str, language: str, style: str = "", prosody: Mapping[str, str] | None = None
) -> str:
    """Return the document in which ``voice`` speaks ``text``; ``prosody`` has rate, pitch and volume."""
    # A parser makes a line feed of a bare carriage return.
    inner = escape(_ILLEGAL.sub("", text), {"\r": "&#13;"})
    if told := {name: value for name, value in (prosody or {}).items() if value}:
        inner = f"<prosody{_attributes(told)}>{inner}</prosody>"
    if style:
        inner = f"<mstts:express-as{_attributes({'style': style})}>{inner}</mstts:express-as>"
    return (
        f'<speak version="1.0" {_NAMESPACES}{_attributes({"xml:lang": language})}>'
        f"<voice{_attributes({'name': voice})}>{inner}</voice></speak>"
    )


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(_ILLEGAL.sub('', value))}" for name, value in values.items())
