"""`voxctl wake eval`: counts detections and false accepts on recordings, and measures the CPU use."""

import os
import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from voxd.cli.exits import NO_INPUT, OK
from voxd.cli.output import clean, print_json, print_table
from voxd.config.loading import load
from voxd.config.paths import models_dir
from voxd.config.schema import WakeWord
from voxd.errors import InvalidRequest
from voxd.listen.evaluate import Report, evaluate
from voxd.providers.facts import config_facts


def evaluate_words(args: Namespace) -> int:
    """Run the evaluation on this machine; the daemon is not needed. Raises `VoxdError`."""
    directory = Path(args.directory)
    if not directory.is_dir():
        print(f"voxctl: {args.directory} is not a directory", file=sys.stderr)
        return NO_INPUT
    config = load(
        Path(args.config) if args.config else None, get_facts=config_facts, environ=os.environ
    ).config
    configured = {word.name: word for word in config.wake.words}
    names = args.word or list(configured)
    report = evaluate(
        directory,
        tuple(configured.get(name) or WakeWord(name=name) for name in names),
        models_dir=models_dir(config),
        positives=_globs(args.positive),
        progress=_progress,
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
            raise InvalidRequest(f"{argument!r} is not WORD=GLOB", hint="write --positive 'alexa=me/*.wav'")
        globs[word] = (*globs.get(word, ()), glob)
    return globs


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total}", end="" if done < total else "\r\x1b[K", file=sys.stderr, flush=True)


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
                    print(clean(f"{word.word}, {engine.engine}: {title}: {file}"))
    for file, reason in report.unreadable:
        print(clean(f"unreadable: {file}: {reason}"))
