"""The JSGF grammar for pocketsphinx: the usual sentences, the owner's, and those of third-party skills."""

import re
from collections.abc import Callable, Iterable
from importlib import resources
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from voxd.config.commands import Command
from voxd.skills.contract import Phrases

MAX_PER_COMMAND = 100
"""No command of the owner contributes more sentences than this: every one costs time at each utterance."""

_VALUES = {"{number}": "<number>", "{duration}": "<duration>", "{clock}": "<clock>", "{when}": "<when>"}
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def to_jsgf(commands: Iterable[Command | Phrases], known: Callable[[str], bool]) -> str:
    """Return the grammar of `commands.jsgf` with the sentences of ``commands`` added: all lower case words.

    ``known`` returns whether a word has a pronunciation: pocketsphinx refuses a whole grammar for one word it
    cannot pronounce, so a sentence with such a word is left out, as is one with free text. Raises
    `ConfigError` when a template cannot be read.
    """
    text = resources.files("voxd.skills").joinpath("languages/en/commands.jsgf").read_text(encoding="utf-8")
    own = [
        sentence for command in commands for sentence in islice(_sentences(command, known), MAX_PER_COMMAND)
    ]
    rules = ["<builtin>"]
    if own:
        text += f"<own> = {' | '.join(dict.fromkeys(own))};\n"
        rules.append("<own>")
    return f"{text}public <command> = [please] ({' | '.join(rules)}) [please];\n"


def _sentences(command: Command | Phrases, known: Callable[[str], bool]) -> Iterable[str]:
    # hassil costs 11 MB, so a device without commands of its owner's does not load it to write a grammar.
    from voxd.skills.understanding.templates import expand_command

    for sentence in expand_command(command):
        words = [_VALUES.get(word, word) for word in sentence.split()]
        if all(word in _VALUES.values() or (_WORD.fullmatch(word) and known(word)) for word in words):
            yield " ".join(words)


def pronunciation_test() -> Callable[[str], bool]:
    """Return a test for words of the dictionary in the pocketsphinx wheel (3 MB, read while it is used).

    Where pocketsphinx is not installed nothing can refuse the grammar, so every word passes.
    """
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        return lambda word: True
    file = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    if not file.is_file():
        return lambda word: True
    pronounced = b"\n" + file.read_bytes()
    checked: dict[str, bool] = {}

    def known(word: str) -> bool:
        if word not in checked:
            checked[word] = f"\n{word} ".encode() in pronounced
        return checked[word]

    return known
