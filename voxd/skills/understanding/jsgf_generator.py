"""Writes `commands.jsgf`, what the embedded recogniser hears, from the `spoken` sentences."""

import re
from collections.abc import Iterator
from pathlib import Path

from voxd.skills.understanding.templates import Templates, load_templates

FILE = Path(__file__).parents[1] / "languages" / "en" / "commands.jsgf"

_HEADER = "#JSGF V1.0;\ngrammar commands;\n\n// Written by scripts/grammar from sentences.toml.\n\n"
_REFERENCE = re.compile(r"\{(\w+)(?::\w+)?\}")
_TOKEN = re.compile(r"<\w+>|[()\[\]|]|[a-z']+")
_LAST_VALUE = re.compile(r"(.*?) ?(<\w+>)")


def generate(language: Templates) -> str:
    """Return a JSGF rule for each value of ``language``, and ``<builtin>``: all its spoken sentences."""
    aliases = {f"<{name}>": text for name, text in language.spoken.items() if re.fullmatch(r"<\w+>", text)}
    sentences: list[str] = []
    for intent in (*language.intents.values(), *language.answers.values()):
        sentences += [_to_jsgf(text, aliases) for text in intent.get("spoken", ())]
    rules = [
        f"<{name}> = {_to_jsgf(text, aliases)};"
        for name, text in language.spoken.items()
        if f"<{name}>" not in aliases
    ]
    builtin = "\n  | ".join(_share_values(dict.fromkeys(sentences)))
    return _HEADER + "\n".join(rules) + f"\n\n<builtin> =\n    {builtin};\n"


def _to_jsgf(template: str, aliases: dict[str, str]) -> str:
    """Return a hassil template as JSGF: the same syntax, but for a slot, which becomes a rule."""
    tokens = _TOKEN.findall(_REFERENCE.sub(r"<\1>", template))
    text = " ".join(aliases.get(token, token) for token in tokens)
    return re.sub(r"(?<=[(\[]) | (?=[)\]])", "", text)


def _share_values(sentences: dict[str, None]) -> Iterator[str]:
    """Yield ``sentences``, those that end with the same value as one alternative."""
    # pocketsphinx copies a rule to each place that names it, and its time grows with every copy: all
    # templates as one grammar had 20,000 states and took 4.9 s of a core for "stop", this one takes 0.2 s.
    shared: dict[str, list[str]] = {}
    for sentence in sentences:
        match = _LAST_VALUE.fullmatch(sentence)
        if match is None:
            yield sentence
        else:
            shared.setdefault(match[2], []).append(match[1])
    for value, beginnings in shared.items():
        prefixes = " | ".join(filter(None, beginnings))
        if "" in beginnings:
            yield f"[{prefixes}] {value}"
        else:
            yield f"({prefixes}) {value}" if len(beginnings) > 1 else f"{prefixes} {value}"


if __name__ == "__main__":
    FILE.write_text(generate(load_templates()), encoding="utf-8")
