"""`voxctl wake eval`: counts detections and false accepts on recordings, and measures the CPU use."""

from argparse import Namespace
from pathlib import Path

import msgspec

from voxd.cli.exits import OK, NoInput, WrongArgument
from voxd.cli.inputs import load_config
from voxd.cli.output import print_json, print_progress, print_text
from voxd.cli.table import print_table
from voxd.config.paths import models_dir
from voxd.config.schema import WakeWord
from voxd.listen.evaluate import Report, evaluate


def evaluate_words(args: Namespace) -> int:
    """Run the evaluation on this machine; the daemon is not needed. Raises `VoxdError`."""
    directory = Path(args.directory)
    if not directory.is_dir():
        raise NoInput(f"{args.directory} is not a directory", hint="name the directory of the recordings")
    config = load_config(args)
    configured = {word.name: word for word in config.wake.words}
    names = args.word or list(configured)
    report = evaluate(
        directory,
        tuple(configured.get(name) or WakeWord(name=name) for name in names),
        models_dir=models_dir(config),
        positives=_globs(args.positive),
        progress=print_progress,
    )
    if args.json:
        print_json(msgspec.to_builtins(report))
    else:
        _print(report, args)
    return OK


def _globs(arguments: list[str]) -> dict[str, tuple[str, ...]]:
    globs: dict[str, tuple[str, ...]] = {}
    for argument in arguments:
        word, equals, glob = argument.partition("=")
        if not (word and equals and glob):
            raise WrongArgument(f"{argument!r} is not WORD=GLOB", hint="write --positive 'alexa=me/*.wav'")
        globs[word] = (*globs.get(word, ()), glob)
    return globs


def _print(report: Report, args: Namespace) -> None:
    print(f"{report.recordings} recordings in {report.directory}, {len(report.unreadable)} unreadable")
    print_table(
        ("word", "engine", "woke", "false", "others", "CPU %"),
        [
            (
                word.word,
                engine.engine,
                f"{engine.recalled}/{word.positives}",
                engine.false_accepts,
                f"{word.negatives} in {word.negative_minutes:.1f} min",
                engine.cpu_percent,
            )
            for word in report.words
            for engine in word.engines
        ],
        args,
    )
    for word in report.words:
        for engine in word.engines:
            for title, files in (("missed", engine.missed), ("false", engine.wrong)):
                for file in files:
                    print_text(f"{word.word}, {engine.engine}: {title}: {file}")
    for file, reason in report.unreadable:
        print_text(f"unreadable: {file}: {reason}")
