"""The grammar of the embedded recogniser is written from the language file."""

from voxd.skills.jsgf_generator import FILE, generate
from voxd.skills.templates import Templates, load


def test_the_committed_grammar_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == generate(load()), "run scripts/grammar"


def test_sentences_that_end_with_the_same_value_share_one_reference() -> None:
    language = Templates(
        rules={},
        spoken={"day": "today|on (monday|tuesday)", "when": "<day>"},
        lists={},
        intents={
            "wake": {"spoken": ["wake me [up] <when>", "wake me"]},
            "alarm": {"sentences": ["never written"], "spoken": ["alarm {day:date}"]},
        },
        answers={"when": {"spoken": ["<when>"]}},
    )
    grammar = generate(language)
    assert "<day> = today | on (monday | tuesday);" in grammar
    assert "<builtin> =\n    wake me\n  | [wake me [up] | alarm] <day>;" in grammar
