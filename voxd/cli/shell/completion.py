"""`voxctl completion`: scripts for bash, zsh and fish from the tree of commands.

A Tab starts no Python, except for values that only the device knows, such as the names of its providers.
"""

import argparse
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from voxd.cli.exits import OK, WrongArgument
from voxd.cli.shell.values import VALUES, find_values
from voxd.cli.tree import build_parser

_FILES = ("FILE", "PATH", "DIR", "WAV")


@dataclass(frozen=True, slots=True)
class Option:
    """An option with its names; ``value`` is "" for a flag, "file" for a path, "text" for another value.

    ``values`` is a kind of values of `voxd.cli.shell.values`, "" for none.
    """

    names: tuple[str, ...]
    help: str
    value: str
    metavar: str
    choices: tuple[str, ...]
    values: str


@dataclass(frozen=True, slots=True)
class Node:
    """A command: its words after ``voxctl``, what may follow them, and whether files may.

    ``values`` is a kind of values of `voxd.cli.shell.values`, "" for none.
    """

    words: tuple[str, ...]
    description: str
    usage: str
    arguments: tuple[tuple[str, str], ...]
    examples: tuple[str, ...]
    commands: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    choices: tuple[str, ...]
    values: str
    files: bool


def register(subparsers: Any) -> None:
    """Add the command."""
    completion = subparsers.add_parser(
        "completion",
        help="print the completion script of a shell",
        examples=(
            "voxctl completion bash >~/.local/share/bash-completion/completions/voxctl",
            "voxctl completion zsh",
            "voxctl completion fish",
        ),
    )
    completion.add_argument("shell", choices=tuple(_SCRIPTS), nargs="?", help="which shell")
    # For the scripts themselves.
    completion.add_argument("--values", choices=tuple(VALUES), help=argparse.SUPPRESS)
    completion.set_defaults(run=print_completion)


def print_completion(args: Namespace) -> int:
    """``voxctl completion``."""
    if args.values:
        print(*find_values(args, args.values), sep="\n")
        return OK
    if args.shell is None:
        raise WrongArgument("no shell is given", hint=f"name one: {', '.join(_SCRIPTS)}")
    print(script(build_parser(), args.shell), end="")
    return OK


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion script for ``shell``: bash, zsh or fish."""
    return _SCRIPTS[shell](list(nodes(parser)))


def nodes(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[Node]:
    """Yield every command of ``parser``, the outermost first."""
    options: list[Option] = []
    arguments: list[tuple[str, str]] = []
    commands: dict[str, str] = {}
    choices: tuple[str, ...] = ()
    values = ""
    files = False
    inner: dict[str, argparse.ArgumentParser] = {}
    # argparse has no public way to look into a parser.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            inner = dict(action.choices)
            commands = {choice.dest: choice.help or "" for choice in action._choices_actions}
        elif action.help == argparse.SUPPRESS:
            continue
        elif action.option_strings:
            options.append(_option(action))
        else:
            arguments.append((_metavar(action), action.help or ""))
            choices = tuple(map(str, action.choices or ()))
            values = values or _values(action)
            files = files or _is_file(action)
    yield Node(
        words,
        parser.description or "",
        " ".join(parser.format_usage().removeprefix("usage: ").split()),
        tuple(arguments),
        tuple(getattr(parser, "examples", ())),
        tuple(commands.items()),
        tuple(options),
        choices,
        values,
        files,
    )
    for name, command in inner.items():
        yield from nodes(command, (*words, name))


def _option(action: argparse.Action) -> Option:
    value = "" if action.nargs == 0 else "file" if _is_file(action) else "text"
    choices = tuple(map(str, action.choices or ()))
    names = tuple(action.option_strings)
    return Option(names, action.help or "", value, _metavar(action), choices, _values(action))


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is None and action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.metavar or action.dest.upper()


def _values(action: argparse.Action) -> str:
    kind = action.metavar.lower() if isinstance(action.metavar, str) else ""
    return kind if kind in VALUES else ""


def _is_file(action: argparse.Action) -> bool:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return any(metavar.startswith(name) for name in _FILES)


def _candidates(node: Node) -> str:
    names = [name for option in node.options for name in option.names]
    return " ".join([*(name for name, _ in node.commands), *node.choices, *names])


def _bash(tree: list[Node]) -> str:
    commands = "\n".join(
        f"        {shlex.quote(' '.join(node.words))})"
        f" words={shlex.quote(_candidates(node))}; values={node.values};"
        f" files={'yes' if node.files else ''} ;;"
        for node in tree
    )
    options = [option for node in tree for option in node.options]
    files = "|".join(sorted({name for option in options if option.value == "file" for name in option.names}))
    texts = "|".join(sorted({name for option in options if option.value == "text" for name in option.names}))
    named = "\n".join(
        f"        {name}) values={option.values} ;;"
        for name, option in {name: option for option in options for name in option.names}.items()
        if option.values
    )
    known = "|".join(shlex.quote(" ".join(node.words)) for node in tree if node.words)
    return f"""\
# bash completion for voxctl, made by `voxctl completion bash`
_voxctl() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local path="" words="" values="" files="" skip="" word
    COMPREPLY=()
    case "$previous" in
{named}
    esac
    if [[ -n $values ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$1" completion --values "$values" 2>/dev/null)" -- "$current")
        return
    fi
    case "$previous" in
        {files or "''"})
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        {texts or "''"}) return ;;
    esac
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ -n $skip ]]; then skip=""; continue; fi
        case "$word" in
            {files or "''"}|{texts or "''"}) skip=yes; continue ;;
            -*) continue ;;
        esac
        case "${{path:+$path }}$word" in
            {known}) path="${{path:+$path }}$word" ;;
        esac
    done
    case "$path" in
{commands}
    esac
    if [[ -n $values && $current != -* ]]; then
        words="$words $("$1" completion --values "$values" 2>/dev/null)"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -f -- "$current")
    fi
}}
complete -F _voxctl voxctl
"""


def _zsh(tree: list[Node]) -> str:
    functions = "\n".join(_zsh_function(node) for node in tree)
    return f"""\
#compdef voxctl
# zsh completion for voxctl, made by `voxctl completion zsh`
_voxctl_values() {{
    local -a found=("${{(@f)$(voxctl completion --values $1 2>/dev/null)}}")
    compadd -a found
}}
{functions}
if [ "$funcstack[1]" = "_voxctl" ]; then
    _voxctl "$@"
else
    compdef _voxctl voxctl
fi
"""


def _zsh_function(node: Node) -> str:
    lines = []
    for option in node.options:
        value = {"": "", "file": ":file:_files", "text": ":value: "}[option.value]
        value = f":value:({' '.join(option.choices)})" if option.choices else value
        value = f":value:{{_voxctl_values {option.values}}}" if option.values else value
        lines += [shlex.quote(f"{name}[{_zsh_text(option.help)}]{value}") for name in option.names]
    if node.choices:
        lines.append(shlex.quote(f"1:value:({' '.join(node.choices)})"))
    elif node.values:
        lines.append(f"'*:value:{{_voxctl_values {node.values}}}'")
    elif node.files:
        lines.append("'*:file:_files'")
    name = "_".join(["_voxctl", *node.words]).replace("-", "_")
    if not node.commands:
        body = " \\\n        ".join(["_arguments", *lines])
        return f"{name}() {{\n    {body}\n}}"
    body = " \\\n        ".join(["_arguments -C", *lines, "'1: :->command'", "'*:: :->arguments'"])
    described = " ".join(shlex.quote(f"{command}:{help}") for command, help in node.commands)
    cases = "\n".join(
        f"            {command}) {name}_{command.replace('-', '_')} ;;" for command, _ in node.commands
    )
    return f"""\
{name}() {{
    local state line
    {body}
    case $state in
        command) local -a commands=({described}); _describe command commands ;;
        arguments) case $line[1] in
{cases}
        esac ;;
    esac
}}"""


def _zsh_text(text: str) -> str:
    return text.replace("[", "(").replace("]", ")").replace(":", "\\:")


def _fish(tree: list[Node]) -> str:
    lines = ["# fish completion for voxctl, made by `voxctl completion fish`", "complete -c voxctl -f"]
    for node in tree:
        condition = _fish_condition(node)
        lines += [
            f"complete -c voxctl -n {condition} -a {command} -d {shlex.quote(help)}"
            for command, help in node.commands
        ]
        lines += [f"complete -c voxctl -n {condition} -a {choice}" for choice in node.choices]
        if node.values:
            lines.append(f"complete -c voxctl -n {condition} -a {_fish_values(node.values)}")
        if node.files:
            lines.append(f"complete -c voxctl -n {condition} -F")
        lines += [_fish_option(option, condition) for option in node.options]
    return "\n".join(lines) + "\n"


def _fish_condition(node: Node) -> str:
    if not node.words:
        return "__fish_use_subcommand"
    tests = [f"__fish_seen_subcommand_from {word}" for word in node.words]
    if node.commands:
        names = " ".join(name for name, _ in node.commands)
        tests.append(f"not __fish_seen_subcommand_from {names}")
    return shlex.quote("; and ".join(tests))


def _fish_values(kind: str) -> str:
    return f"'(voxctl completion --values {kind} 2>/dev/null)'"


def _fish_option(option: Option, condition: str) -> str:
    names = " ".join(
        f"-l {name.removeprefix('--')}" if name.startswith("--") else f"-s {name.removeprefix('-')}"
        for name in option.names
    )
    value = {"": "", "file": " -r -F", "text": " -x"}[option.value]
    value = f" -x -a {shlex.quote(' '.join(option.choices))}" if option.choices else value
    value = f" -x -a {_fish_values(option.values)}" if option.values else value
    return f"complete -c voxctl -n {condition} {names}{value} -d {shlex.quote(option.help)}"


_SCRIPTS: Mapping[str, Callable[[list[Node]], str]] = MappingProxyType(
    {"bash": _bash, "zsh": _zsh, "fish": _fish}
)
