"""Manual pages in roff (man(7)) from the parsers of the commands: they cannot differ from the help."""

import argparse
from collections.abc import Iterable, Iterator, Mapping

from voxd import __version__
from voxd.cli.exits import MEANINGS
from voxd.cli.shell.completion import Node, nodes

FILES = (
    ("/etc/voxd/voxd.toml", "The configuration; every key is explained in it."),
    ("/etc/voxd/conf.d/*.toml", "Files that are read after it, by name."),
    ("/var/lib/voxd", "State: history, timers, queue, models."),
    ("/run/voxd/voxd.sock", "The control socket, for root and the group voxd."),
)

ENVIRONMENT = (
    ("VOXD_CONFIG", "The configuration file."),
    ("VOXD_SOCKET", "The control socket."),
    ("NO_COLOR", "No colours when it is not empty."),
)


def voxctl_page(parser: argparse.ArgumentParser) -> str:
    """Return voxctl(1): every command with its arguments, options and examples."""
    root, *commands = nodes(parser)
    body = [
        *_section("synopsis", [_text(root.usage)]),
        *_section("description", [_text(root.description)]),
        *_section("global options", _options(root, ())),
        ".SH COMMANDS",
        *(line for node in commands for line in _command(node, root)),
        *_section("exit status", [_text(MEANINGS.partition(": ")[2] + ".")]),
        *_section("environment", _terms(ENVIRONMENT)),
        *_section("files", _terms(FILES)),
        *_section("see also", [".BR voxd (8)"]),
    ]
    return _page("voxctl", 1, "talk to the voice appliance", body)


def voxd_page(parser: argparse.ArgumentParser, exit_codes: Mapping[str, int]) -> str:
    """Return voxd(8), the page of the daemon; ``exit_codes`` is its table of codes by error."""
    codes = [("0", "It was stopped, or the recording was answered.")]
    codes += [("1", "The recording has no wake word.")]
    codes += sorted((str(number), error.replace("_", " ")) for error, number in exit_codes.items())
    signals = (
        ("SIGHUP", "Read the configuration again."),
        ("SIGTERM, SIGINT", "Stop. A second one ends it at once."),
    )
    root = next(nodes(parser))
    body = [
        *_section("synopsis", [_text(root.usage)]),
        *_section("description", [_text(root.description)]),
        *_section("options", _options(root, ())),
        *_section("exit status", _terms(codes)),
        *_section("signals", _terms(signals)),
        *_section("environment", _terms(ENVIRONMENT[:2])),
        *_section("files", _terms(FILES)),
        *_section("see also", [".BR voxctl (1)"]),
    ]
    return _page("voxd", 8, "the daemon of the voice appliance", body)


def _page(name: str, section: int, what: str, body: Iterable[str]) -> str:
    head = [f'.TH {name.upper()} {section} "" "voxd {__version__}"', ".SH NAME", f"{name} \\- {what}"]
    return "\n".join([*head, *body]) + "\n"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f".SH {title.upper()}"
    yield from lines


def _command(node: Node, root: Node) -> Iterator[str]:
    yield f".SS {_text(' '.join(node.words))}"
    yield _text(node.description)
    # The global options have a section of their own.
    common = root.usage.removeprefix("voxctl ").partition(" [--version]")[0]
    yield from _block([node.usage.replace(f" {common}", "")])
    yield from _terms(node.arguments)
    yield from _options(node, tuple(option.names for option in root.options))
    if node.examples:
        yield ".PP"
        yield "Examples:"
        yield from _block(node.examples)


def _options(node: Node, known: tuple[tuple[str, ...], ...]) -> Iterator[str]:
    terms = []
    for option in node.options:
        if option.names not in known:
            value = f" {option.metavar}" if option.value else ""
            terms.append((", ".join(f"{name}{value}" for name in option.names), option.help))
    yield from _terms(terms)


def _terms(terms: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in terms:
        yield ".TP"
        yield f".B {_text(term)}"
        yield _text(meaning)


def _block(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that are shown as they are."""
    yield from (".PP", ".nf", *(f"    {_text(line)}" for line in lines), ".fi")


def _text(text: str) -> str:
    # groff_char(7): a plain "-" may become a hyphen that cannot be typed; a leading "." or "'" is a request.
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
