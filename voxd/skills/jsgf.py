"""Writes the sentence templates as a JSGF grammar, so that pocketsphinx hears only what can be understood."""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from hassil import (
    Alternative,
    Expression,
    Intents,
    ListReference,
    RuleReference,
    Sequence,
    TextChunk,
    TextSlotList,
    WildcardSlotList,
)

from voxd.skills.grammar import Grammar
from voxd.skills.slots import READ_SLOTS
from voxd.skills.spoken import TENS, UNITS
from voxd.skills.templates import COMMAND_PREFIX, expand, slot_lists

MAX_PER_SENTENCE = 300
"""A template that must be spelled out contributes no more sentences than this."""

_UNIT_WORDS = [word for word, value in UNITS.items() if 1 <= value <= 9]
_TEEN_WORDS = [word for word, value in UNITS.items() if value >= 10]
_WORDS_ONLY = re.compile(r"[a-z' ]*")

_VALUES = f"""
<one_to_nine> = {" | ".join(_UNIT_WORDS)};
<ten_up> = {" | ".join(_TEEN_WORDS)};
<tens> = {" | ".join(TENS)};
<below_hundred> = <one_to_nine> | <ten_up> | <tens> [<one_to_nine>];
<number> = <below_hundred> | zero | (a | <one_to_nine>) hundred [[and] <below_hundred>];
<hour> = <one_to_nine> | ten | eleven | twelve;
<minute> = oh <one_to_nine> | <ten_up> | (twenty | thirty | forty | fifty) [<one_to_nine>];
<half_day> = a m | p m | in the morning | in the afternoon | in the evening;
<clock> = <hour> <minute> [<half_day>] | <hour> (<half_day> | o'clock)
  | (half past | quarter past | quarter to | (five | ten | twenty) (past | to)) <hour> [<half_day>]
  | noon | midnight;
<amount> = <below_hundred> [and a half];
<duration> = <amount> (second | seconds | minute | minutes | hour | hours)
  | (a | one) minute [and a half] | (an | one) hour [and a half] | half an hour
  | (an | <one_to_nine>) (hour | hours) [and] <below_hundred> (minute | minutes)
  | <one_to_nine> (minute | minutes) [and] <below_hundred> (second | seconds);
"""


def to_jsgf(grammar: Grammar, known: Callable[[str], bool] = lambda word: True) -> str:
    """Return ``grammar`` in JSGF: lower case words, numbers spelled out, values as rules of their own.

    ``known`` tells whether a word has a pronunciation; pocketsphinx refuses a grammar with a word it cannot
    pronounce, so what needs such a word is left out. Free text is heard only where
    `en.toml` gives samples of it (``spoken``).
    """
    writer = _Writer(grammar, known)
    roots = [*writer.intents(grammar.builtin), *writer.intents(grammar.answers), *writer.own(grammar.own)]
    lines = [
        "#JSGF V1.0;",
        "grammar commands;",
        _VALUES.strip(),
        *writer.rules(),
        *(f"<{name}> = {body};" for name, body in roots),
        f"public <command> = [please] ({' | '.join(f'<{name}>' for name, _ in roots)}) [please];",
    ]
    return "\n".join(lines) + "\n"


class _Writer:
    def __init__(self, grammar: Grammar, known: Callable[[str], bool]) -> None:
        self._grammar = grammar
        self._known = known
        self._lists = grammar.builtin.slot_lists

    def rules(self) -> Iterator[str]:
        """Yield the rules and lists that several sentences share."""
        for name, sentence in self._grammar.builtin.expansion_rules.items():
            yield f"<r_{name}> = {self._write(sentence.expression)};"
        for name, values in self._lists.items():
            if isinstance(values, TextSlotList) and name not in READ_SLOTS:
                texts = [
                    text for value in values.values for text in expand(value.text_in, self._grammar.builtin)
                ]
                yield f"<l_{name}> = {' | '.join(dict.fromkeys(texts))};"
            elif isinstance(values, WildcardSlotList):
                yield f"<l_{name}> = {' | '.join(self._samples(name))};"

    def intents(self, intents: Intents) -> Iterator[tuple[str, str]]:
        """Yield name and body of one rule per intent."""
        for name, intent in intents.intents.items():
            written = [
                self._write(sentence.expression) for data in intent.data for sentence in data.sentences
            ]
            bodies = [f"({body})" for body in written if body]
            prefix = "a" if intents is self._grammar.answers else "i"
            if bodies:
                yield f"{prefix}_{name}", " | ".join(bodies)

    def own(self, intents: Intents) -> Iterator[tuple[str, str]]:
        """Yield the rules of the owner's commands, spelled out: their templates may split words."""
        for name, intent in intents.intents.items():
            texts: dict[str, None] = {}
            for data in intent.data:
                lists = slot_lists(intents, data)
                for sentence in data.sentences:
                    spelled = islice(expand(sentence.expression, intents, lists), MAX_PER_SENTENCE)
                    texts.update(dict.fromkeys(text for text in map(self._spoken, spelled) if text))
            if texts:
                rule = re.sub(r"\W", "_", name.removeprefix(COMMAND_PREFIX))
                yield f"c_{rule}", " | ".join(texts)

    def _spoken(self, text: str) -> str:
        words: list[str] = []
        for word in text.split():
            if word.startswith("{"):
                name = word.strip("{}")
                if name in READ_SLOTS:
                    words.append(f"<{name}>")
                elif name in self._lists:
                    words.append(f"<l_{name}>")
                else:
                    return ""
            elif not _WORDS_ONLY.fullmatch(word) or not self._known(word):
                return ""
            else:
                words.append(word)
        return " ".join(words)

    def _samples(self, name: str) -> list[str]:
        samples: list[str] = self._grammar.templates.lists[name]["spoken"]
        return samples

    def _write(self, expression: Expression) -> str | None:
        """Return ``expression`` in JSGF, None when it holds a word that cannot be pronounced."""
        if isinstance(expression, TextChunk):
            words = expression.text.split()
            return " ".join(words) if all(map(self._known, words)) else None
        if isinstance(expression, Alternative):
            bodies = [body for body in map(self._write, expression.items) if body]
            if expression.is_optional:
                return f"[{' | '.join(bodies)}]" if bodies else ""
            return f"({' | '.join(bodies)})" if bodies else None
        if isinstance(expression, Sequence):
            parts = [self._write(item) for item in expression.items]
            return None if None in parts else " ".join(part for part in parts if part)
        if isinstance(expression, RuleReference):
            return f"<r_{expression.rule_name}>"
        if isinstance(expression, ListReference):
            return self._reference(expression)
        raise TypeError(f"templates of the package use no {type(expression).__name__}")

    def _reference(self, reference: ListReference) -> str:
        if reference.slot_name == "hour":
            return "<hour>"
        return (
            f"<{reference.list_name}>" if reference.list_name in READ_SLOTS else f"<l_{reference.list_name}>"
        )
