import json
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from tests.properties import examples
from voxd.config.toml_lines import KeyPath, key_lines

DOCUMENT = '''\
# a comment with a = 1 in it
version = 1
audio.channels = 2

[wake] # [not.a.table]
keep_clips_s = 10.0
text = """
[fake]
key = "inside a string"
quotes \\""" and ""\\"""""
raw = \'\'\'
[[also.fake]]
\'\'\'

[[wake.words]]
name = "one"

[[wake.words]]
name = "two"
  [wake.words.extra]
  deep = { a = 1, "b.c" = [ 2,
    3, # ] comment
    { d = 'x]' } ] }

["quoted key".'x']
"tab\\tkey" = 1979-05-27 07:32:00
a . b . c = [[1], [2,
 [3]]]
'''


def leaves(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    if isinstance(value, dict):
        items: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return {path}
    return {path}.union(*(leaves(item, (*path, key)) for key, item in items))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("version",), 2),
        (("audio", "channels"), 3),
        (("wake",), 5),
        (("wake", "keep_clips_s"), 6),
        (("wake", "text"), 7),
        (("wake", "raw"), 11),
        (("wake", "words"), 15),
        (("wake", "words", 0, "name"), 16),
        (("wake", "words", 1), 18),
        (("wake", "words", 1, "name"), 19),
        (("wake", "words", 1, "extra", "deep", "a"), 21),
        (("wake", "words", 1, "extra", "deep", "b.c"), 21),
        (("wake", "words", 1, "extra", "deep", "b.c", 1), 22),
        (("wake", "words", 1, "extra", "deep", "b.c", 2, "d"), 23),
        (("quoted key", "x", "tab\tkey"), 26),
        (("quoted key", "x", "a", "b", "c", 1, 1, 0), 28),
    ],
)
def test_the_line_of_a_key_is_where_it_was_written(path: KeyPath, line: int) -> None:
    assert key_lines(DOCUMENT)[path] == line


def test_every_key_tomli_reads_has_a_line_and_no_other_has() -> None:
    assert set(key_lines(DOCUMENT)) == leaves(tomli.loads(DOCUMENT)) - {()}


def test_carriage_returns_do_not_move_the_lines() -> None:
    assert key_lines(DOCUMENT.replace("\n", "\r\n")) == key_lines(DOCUMENT)


keys = st.text(st.sampled_from('abz_-19 ."\\#=[]é'), min_size=1, max_size=5)
texts = st.text(st.sampled_from("ab\"'\\\n#=[]{},é "), max_size=8)
scalars = st.booleans() | st.integers(-9, 9) | texts | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def written(value: Any, breaks: str) -> str:
    """Write a value as TOML, with ``breaks`` wherever an array may be broken."""
    match value:
        case str() if "'''" not in value and not value.endswith("'") and "\n" in value:
            return f"'''\n{value}'''"
        case str():
            return quoted(value)
        case bool():
            return str(value).lower()
        case list():
            return "[" + breaks + ("," + breaks).join(written(item, breaks) for item in value) + "]"
        case dict():
            return "{ " + ", ".join(f"{quoted(k)} = {written(v, breaks)}" for k, v in value.items()) + " }"
    return repr(value)


@examples(60, deadline=None)
@given(
    tables=st.lists(
        st.tuples(st.sampled_from(["plain", "array"]), keys, st.dictionaries(keys, values, max_size=3)),
        max_size=4,
        unique_by=lambda table: table[1],
    ),
    breaks=st.sampled_from(["", " ", "\n", " # c = ] }\n\n"]),
)
def test_whatever_is_written_is_found_where_it_was_written(tables: Any, breaks: str) -> None:
    text = "# head\n"
    expected: dict[KeyPath, int] = {}
    for kind, name, entries in tables:
        for element in range(2 if kind == "array" else 1):
            text += f"[[{quoted(name)}]]\n" if kind == "array" else f"[{quoted(name)}]\n"
            for key, value in entries.items():
                path = (name, element, key) if kind == "array" else (name, key)
                expected[path] = text.count("\n") + 1
                text += f"{quoted(key)} = {written(value, breaks)}\n"
    found = key_lines(text)
    assert {path: found[path] for path in expected} == expected
    assert set(found) == leaves(tomli.loads(text)) - {()}
