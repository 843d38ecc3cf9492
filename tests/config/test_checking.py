import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.views import Without
from tests.properties import examples
from voxd.config import schema_types
from voxd.config.checking import check, check_schema
from voxd.config.problems import Problem, summary
from voxd.config.schema import Config
from voxd.config.secrets import resolve
from voxd.config.toml_writer import sample
from voxd.providers.facts import config_facts


def uncommented_sample() -> str:
    return re.sub(r"^#(?=[a-z\[])", "", sample(), flags=re.MULTILINE)


def problems_of(text: str, *, missing: tuple[str, ...] = ()) -> list[Problem]:
    return check({"voxd.toml": text}, get_facts=config_facts, view=Without(lambda name: name in missing))


def lines_of(text: str) -> list[str]:
    return [str(problem) for problem in problems_of(text)]


def test_an_empty_file_is_fine() -> None:
    assert problems_of("") == []


FIVE_MISTAKES = """\
version = 1

[audio]
channels = "two"
chanel = 0
ring_s = 100

[sst]
engine = "whisper"

[stt]
engine = "wisper"
"""


def test_five_mistakes_are_five_lines_each_with_place_and_hint() -> None:
    assert lines_of(FIVE_MISTAKES) == [
        'voxd.toml:4: error: audio.channels: expected an integer from 1 to 8, got "two" (hint: channels = 1)',
        'voxd.toml:5: error: audio.chanel: unknown key (hint: did you mean "channel"?)',
        "voxd.toml:6: error: audio.ring_s: expected a number from 4 to 60, got 100 (hint: ring_s = 60)",
        'voxd.toml:8: error: sst: unknown section (hint: did you mean "stt"?)',
        'voxd.toml:12: error: stt.engine: expected one of "auto", "pocketsphinx", "whisper", got "wisper" '
        '(hint: did you mean "whisper"?)',
    ]
    assert summary(problems_of(FIVE_MISTAKES)) == "5 errors"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("audio = 3", "1: error: audio: expected a table, got 3 (hint: [audio])"),
        (
            '[audio]\nchannels = "2"',
            '2: error: audio.channels: expected an integer from 1 to 8, got "2" (hint: channels = 2)',
        ),
        (
            "[audio]\nchannels = true",
            "2: error: audio.channels: expected an integer from 1 to 8, got true (hint: channels = 1)",
        ),
        (
            "[audio]\nring_s = nan",
            "2: error: audio.ring_s: expected a number from 4 to 60, got nan (hint: ring_s = 10.0)",
        ),
        (
            "[endpoint]\nstart_s = 0",
            "2: error: endpoint.start_s: expected a number above 0, got 0 (hint: start_s = 0.3)",
        ),
        (
            "[audio]\nvolume_percent = -5",
            "2: error: audio.volume_percent: expected an integer from 0 to 100, got -5 "
            "(hint: volume_percent = 70)",
        ),
        (
            "[turn]\nearcons = 'yes'",
            '2: error: turn.earcons: expected true or false, got "yes" (hint: earcons = true)',
        ),
        (
            "[stt.whisper]\nlanguage = 7",
            '2: error: stt.whisper.language: expected text in quotes, got 7 (hint: language = "7")',
        ),
        (
            "[audio]\nthreshold = 1\nmax_s = 3",
            "2: error: audio.threshold: unknown key "
            "(hint: known keys: input, output, channels, channel, block_ms, ring_s, stall_timeout_s, "
            "silence_timeout_s, volume_percent, virtual_input)",
        ),
        (
            "[audio]\nsilence_s = 1",
            "2: error: audio.silence_s: unknown key (hint: silence_s belongs to [endpoint])",
        ),
        (
            '[wake]\nwords = "alexa"',
            '2: error: wake.words: expected a list, got "alexa" (hint: [[wake.words]])',
        ),
        (
            "[[wake.words]]\nthreshold = 0.5",
            '1: error: wake.words[0]: name is missing (hint: name = "a_name")',
        ),
        (
            '[agents."Big Name"]',
            '1: error: agents."Big Name": a name has lower-case letters, digits, _ and -, at '
            "most 32 (hint: rename it)",
        ),
        (
            'skills.commands = [{ name = "a", sentences = [], action = { type = "reply", text = "x" } }]',
            "1: error: skills.commands[0].sentences: expected at least 1 element, got none",
        ),
        (
            'skills.commands = [{ name = "a", sentences = ["b"], action = { text = "x" } }]',
            "1: error: skills.commands[0].action: type is missing "
            '(hint: type = one of "shell", "http", "reply")',
        ),
        (
            'skills.commands = [{ name = "a", sentences = ["b"], action = { type = "shel" } }]',
            '1: error: skills.commands[0].action.type: expected one of "shell", "http", "reply", got "shel" '
            '(hint: did you mean "shell"?)',
        ),
    ],
)
def test_every_kind_of_mistake_has_its_sentence(text: str, expected: str) -> None:
    assert lines_of(text)[0] == f"voxd.toml:{expected}"


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("[stt]\nengine = whisper\n", 2, "column 10", 'engine = "whisper"'),
        ("[turn]\nearcons = Yes\n", 2, "column 11", "earcons = true"),
        ("[turn]\nearcons: true\n", 2, "column 8", "earcons = true"),
        ('[audio]\ninput = "default\n', 2, "column 17", 'input = "default"'),
        ("[audio]\nring_s = 5\nring_s = 6\n", 3, "twice: first in line 2", "remove one of the lines 2 and 3"),
    ],
)
def test_a_syntax_error_names_line_and_column(text: str, line: int, message: str, hint: str) -> None:
    problem = problems_of(text)[0]
    assert (problem.line, problem.hint) == (line, hint)
    assert message in problem.message


def test_a_syntax_error_hides_nothing_else() -> None:
    text = "[audio]\nchannels = 99\n[stt\nengine = 1\n[turn]\nearcons = maybe so\nfollow = 1\n"
    assert [problem.line for problem in problems_of(text)] == [2, 3, 4, 6, 7]


def test_what_is_never_closed_is_named_where_it_begins_and_hides_nothing() -> None:
    problems = problems_of('version = 1\n[audio]\ninput = """never closed\nchannels = 99\n')
    assert [(problem.line, "syntax" in problem.message) for problem in problems] == [(3, True), (4, False)]


def test_a_later_file_wins_and_its_mistakes_name_it() -> None:
    problems = check(
        {"a.toml": "[audio]\nchannels = 99\n", "b.toml": "[audio]\n\nchannels = 98\n"}, get_facts=config_facts
    )
    assert [(problem.file, problem.line) for problem in problems] == [("b.toml", 3)]


def test_a_key_that_contains_a_line_break_is_reported_on_one_line() -> None:
    assert lines_of('["a\\nb"]')[0].startswith('voxd.toml:1: error: "a\\nb": unknown section')


def test_a_misplaced_secret_is_not_repeated() -> None:
    text = """
[[skills.commands]]
name = "lamp"
sentences = ["lamp"]
action = { type = "http", url = "http://h/", headers = { Authorization = { value = "hunter2" } } }
"""
    (problem,) = problems_of(text)
    assert problem.line == 5
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "text", ["a=" + "[" * 5000, "a=" + "{a=" * 300 + "1" + "}" * 300, "a." * 900 + "a=1", "a." * 60 + "a=1"]
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    assert [problem.message for problem in problems_of(text)] == ["nested too deeply"]


LINES = [line for line in uncommented_sample().splitlines() if line[:2] not in {"", "# "}]


@examples(60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len("\n".join(LINES))), st.sampled_from([*"[]{}=\"'#.,\n\\\0é1a", '"""', ""])
        ),
        max_size=8,
    )
)
def test_no_text_makes_the_checker_fail(edits: list[tuple[int, str]]) -> None:
    text = "\n".join(LINES)
    for at, insert in edits:
        text = text[:at] + insert + text[at + 1 :]
    for problem in problems_of(text):
        assert 0 <= problem.line <= text.count("\n") + 1
        assert "\n" not in str(problem)


def mutations(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the shape of ``kind``, here and there wrong."""
    junk = st.sampled_from(
        [None, True, 0, 1, -1, 7, 99_999, 0.5, "", "led", "Bad Name", [], {}, ["x"]]
    ).filter(lambda value: value is not None)
    kind = schema_types.bare(kind)
    if tables := schema_types.variants(kind):
        parts = [
            mutations(table).map(
                lambda value, tag=tag: value | {"type": tag} if isinstance(value, dict) else value
            )
            for tag, table in tables.items()
        ]
        return st.one_of(*parts, junk)
    match kind:
        case msgspec.inspect.StructType():
            required = {field.name: mutations(field.type) for field in kind.fields if field.required}
            optional = {field.name: mutations(field.type) for field in kind.fields if not field.required}
            return st.fixed_dictionaries(required, optional=optional) | st.just({"unknown": 1})
        case msgspec.inspect.VarTupleType():
            return st.lists(mutations(kind.item_type), min_size=kind.min_length or 0, max_size=2)
        case msgspec.inspect.DictType():
            return st.dictionaries(
                st.sampled_from(["a", "default", "Bad"]), mutations(kind.value_type), max_size=2
            )
        case msgspec.inspect.LiteralType():
            return st.sampled_from(kind.values) | junk
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.IntType():
            return st.integers(kind.ge or 0, kind.le or 60) | junk
        case msgspec.inspect.FloatType():
            return st.floats(kind.ge or 0, 10) | st.integers(1, 2) | junk
        case msgspec.inspect.CustomType():
            return st.sampled_from(["text", {"env": "A"}, {"file": "a", "env": "b"}, {}, {"file": ""}, 3])
    return st.sampled_from(["", "text", "a_name"]) | junk


def converts(data: dict[str, Any]) -> bool:
    def hook(kind: type, value: Any) -> Any:
        if isinstance(value, str):
            return resolve(value, {})
        if not (isinstance(value, dict) and all(value.values())):
            raise ValueError("not a secret")
        return resolve(value, {"A": "x"})

    try:
        msgspec.convert(data, Config, dec_hook=hook)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("section", [field.name for field in schema_types.root().fields])
def test_the_checker_refuses_exactly_what_the_schema_refuses(section: str) -> None:
    (field,) = [field for field in schema_types.root().fields if field.name == section]

    @examples(40, deadline=None)
    @given(mutations(field.type))
    def agree(value: Any) -> None:
        data = {section: value}
        assert (list(check_schema(data)) == []) == converts(data), json.dumps(data)

    agree()
