"""The sentence templates as data: the built-in ones of a language and the owner's own commands."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Any

import msgspec
import tomli
from hassil import (
    Alternative,
    Expression,
    Intents,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
    TextSlotList,
)
from hassil.parser import ParseError

from voxd.config.commands import Command
from voxd.errors import ConfigError
from voxd.skills.contract import Phrases
from voxd.skills.understanding.numbers import words
from voxd.skills.understanding.slots import MAX_SPANS, OWN_SLOTS, READ_SLOTS, placeholder

COMMAND_PREFIX = "command."
"""What the intent of an owner's command begins with; its name follows."""

_SLOT = re.compile(r"\{([a-z0-9_]+)(?::([a-z0-9_]+))?\}", re.IGNORECASE)
_LONE_MARK = re.compile(r"[{}<>]")
_REFERENCE = re.compile(r"\{[^}]*\}|<[^>]*>")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SYNTAX = re.compile(r"(\{[^}]*\}|<[^>]*>|[()\[\]|])")


class Templates(msgspec.Struct, frozen=True):
    """What `languages/<code>/sentences.toml` holds; the file itself says what each part is for."""

    rules: dict[str, str]
    spoken: dict[str, str]
    lists: dict[str, dict[str, Any]]
    intents: dict[str, dict[str, Any]]
    answers: dict[str, dict[str, Any]]


@cache
def load_templates(code: str = "en") -> Templates:
    """Return the templates of the language ``code``."""
    text = resources.files("voxd.skills").joinpath(f"languages/{code}/sentences.toml").read_text("utf-8")
    return msgspec.convert(tomli.loads(text), Templates)


def read_effects() -> dict[str, str]:
    """Return what each built-in intent does: sets, tells, destroys or refuses."""
    return {name: str(data.get("effect", "sets")) for name, data in load_templates().intents.items()}


def compile_intents(templates: Templates, intents: dict[str, dict[str, Any]]) -> Intents:
    """Return ``intents`` for hassil, with the rules and lists of ``templates``."""
    lists = {name: {**entry} for name, entry in templates.lists.items()}
    for slot in READ_SLOTS:
        lists[slot] = {"values": [placeholder(slot, index) for index in range(MAX_SPANS)]}
    return Intents.from_dict(
        {
            "language": "en",
            "intents": {
                name: {"data": [{**data, "sentences": [*data.get("sentences", ()), *data.get("spoken", ())]}]}
                for name, data in intents.items()
            },
            "lists": lists,
            "expansion_rules": templates.rules,
        }
    )


@cache
def compile_builtin(code: str = "en") -> tuple[Intents, dict[str, Intents]]:
    """Return the intents of the language ``code`` for hassil, and its answers by their kind."""
    templates = load_templates(code)
    answers = {name: compile_intents(templates, {name: data}) for name, data in templates.answers.items()}
    return compile_intents(templates, templates.intents), answers


def builtin_texts(code: str = "en") -> Iterator[str]:
    """Yield every template text of the language ``code``."""
    templates = load_templates(code)
    yield from templates.rules.values()
    for entry in templates.lists.values():
        yield from (value["in"] for value in entry.get("values", ()))
    for intent in (*templates.intents.values(), *templates.answers.values()):
        yield from (*intent.get("sentences", ()), *intent.get("spoken", ()))


def intent_of(command: Command | Phrases) -> str:
    """Return the intent that the sentences of ``command`` stand for."""
    return command.name if isinstance(command, Phrases) else COMMAND_PREFIX + command.name


def command_data(command: Command | Phrases) -> dict[str, Any]:
    """Return ``command`` as the intent data hassil reads; a {slot} without values takes any words.

    Raises `ConfigError` when a template cannot be parsed.
    """
    lists: dict[str, dict[str, Any]] = {}
    for slot, values in command.slots.items():
        lists[slot] = {"values": [{"in": " ".join(words(value)), "out": value} for value in values]}
    sentences = [normalize_template(sentence) for sentence in command.sentences]
    # A program of the owner gets words, a skill in Python gets every value as it was read.
    read = READ_SLOTS if isinstance(command, Phrases) else OWN_SLOTS
    for sentence in sentences:
        for name, _ in _SLOT.findall(sentence):
            if name not in lists and name not in read:
                lists[name] = {"wildcard": True}
    data = {"sentences": sentences, "lists": lists}
    try:
        # A brace alone is not a word, so the normalisation would lose it.
        for sentence in command.sentences:
            if _LONE_MARK.search(_SYNTAX.sub("", sentence)):
                raise ValueError(f"{sentence!r} has a bracket without its other half")
        intents = Intents.from_dict({"language": "en", "intents": {"it": {"data": [data]}}})
        for parsed in intents.intents["it"].data[0].sentences:
            next(expand(parsed.expression, intents), None)
    except (ParseError, KeyError, ValueError, AssertionError) as error:
        owner = "the intent" if isinstance(command, Phrases) else "skills.commands: the command"
        raise ConfigError(
            f"{owner} {command.name!r} has a sentence that cannot be read: {error}",
            hint=f"correct the sentences of {command.name!r}",
        ) from error
    return data


def expand_command(command: Command | Phrases) -> Iterator[str]:
    """Yield the sentences of ``command``, read values and free text left as {slots}. Raises `ConfigError`."""
    intents = compile_intents(load_templates(), {command.name: command_data(command)})
    for data in intents.intents[command.name].data:
        for sentence in data.sentences:
            yield from expand(sentence.expression, intents, slot_lists(intents, data))


def normalize_template(template: str) -> str:
    """Return ``template`` with its text as a transcript has it, by the same `words` that reads speech."""
    # One normalisation for both: a command with digits, hyphens or dots matched nothing, not even itself.
    parts: list[str] = []
    for part in _SYNTAX.split(template.lower()):
        if not part or _SYNTAX.fullmatch(part):
            parts.append(part)
            continue
        text = " ".join(words(part))
        before = "" if part[0].isalnum() else " "
        after = "" if part[-1].isalnum() else " "
        parts.append(f"{before}{text}{after}" if text else " ")
    return re.sub(" +", " ", "".join(parts)).strip()


def slot_lists(intents: Intents, data: Any = None) -> dict[str, Any]:
    """Return the lists a template of ``data`` sees."""
    return {**intents.slot_lists, **(data.slot_lists if data is not None else {})}


def expand(expression: Expression, intents: Intents, lists: dict[str, Any] | None = None) -> Iterator[str]:
    """Yield every sentence ``expression`` allows, with {duration} and the like left as they are.

    A list of words is spelled out; a value that is read, or a wildcard, stays as "{list}".
    """
    for text in _expand(expression, intents, lists or intents.slot_lists):
        yield " ".join(text.split())


def _expand(expression: Expression, intents: Intents, lists: dict[str, Any]) -> Iterator[str]:
    if isinstance(expression, TextChunk):
        yield expression.text
    elif isinstance(expression, Permutation):
        for item, rest in expression.iterate_permutations():
            for head in _expand(item, intents, lists):
                for tail in _expand(rest, intents, lists) if rest.items else [""]:
                    yield f"{head} {tail}"
    elif isinstance(expression, Alternative):
        for item in expression.items:
            yield from _expand(item, intents, lists)
    elif isinstance(expression, Sequence):
        yield from _expand_items(expression.items, intents, lists)
    elif isinstance(expression, RuleReference):
        yield from _expand(intents.expansion_rules[expression.rule_name].expression, intents, lists)
    elif isinstance(expression, ListReference):
        values = lists.get(expression.list_name)
        if isinstance(values, TextSlotList) and expression.list_name not in READ_SLOTS:
            for value in values.values:
                yield from _expand(value.text_in, intents, lists)
        else:
            yield f"{{{expression.list_name}}}"


def _expand_items(items: list[Expression], intents: Intents, lists: dict[str, Any]) -> Iterator[str]:
    if not items:
        yield ""
        return
    for head in _expand(items[0], intents, lists):
        for tail in _expand_items(items[1:], intents, lists):
            yield head + tail


def collect_words(texts: Iterable[str]) -> frozenset[str]:
    """Return every word of the templates ``texts``."""
    return frozenset(word for text in texts for word in _WORD.findall(_REFERENCE.sub(" ", text)))
