"""The grammar of the embedded recogniser is written from the language file."""

import re

from voxd.skills.understanding.jsgf_generator import FILE, generate
from voxd.skills.understanding.templates import Templates, load_templates


def test_the_committed_grammar_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == generate(load_templates()), "run scripts/grammar"


def test_every_value_of_a_spoken_sentence_has_a_rule() -> None:
    templates = load_templates()
    intents = (*templates.intents.values(), *templates.answers.values())
    spoken = [sentence for intent in intents for sentence in intent.get("spoken", ())]
    named = {
        name for text in (*spoken, *templates.spoken.values()) for name in re.findall(r"[{<](\w+)", text)
    }
    assert named <= templates.spoken.keys()
    assert named == templates.spoken.keys(), "a rule without a sentence"


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
