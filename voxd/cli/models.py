"""`voxctl models`: what can be installed, what is, and whether it is what it should be; needs no daemon."""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from voxd.cli.exits import FAILED, OK
from voxd.cli.output import decorated, print_json, print_table
from voxd.clock import SystemClock
from voxd.config.loading import load
from voxd.config.paths import models_dir
from voxd.local.catalogue import CatalogueModel, is_installed, load_catalogue, problem_of
from voxd.local.download import pull
from voxd.providers.facts import config_facts

_PERCENT_STEP = 10


def register(subparsers: Any) -> None:
    """Add the command."""
    models = subparsers.add_parser("models", help="list, download and verify models")
    models.set_defaults(run=run_list)
    verbs = models.add_subparsers(title="actions", metavar="ACTION")
    verbs.add_parser("list", help="what can be installed, and what is").set_defaults(run=run_list)
    getting = verbs.add_parser("pull", help="download a model")
    getting.add_argument("name", metavar="NAME")
    getting.set_defaults(run=run_pull)
    verify = verbs.add_parser("verify", help="compare installed models with their checksums")
    verify.add_argument("name", metavar="NAME", nargs="?")
    verify.set_defaults(run=run_verify)


def run_list(args: argparse.Namespace) -> int:
    """Print the catalogue."""
    directory = _directory(args)
    rows = [(model, is_installed(model, directory)) for model in load_catalogue().models]
    if args.json:
        print_json([{**_described(model), "installed": installed} for model, installed in rows])
        return OK
    print_table(
        ("name", "kind", "size", "installed", "licence"),
        [
            (model.name, model.kind, _size(model.bytes), "yes" if installed else "no", model.licence)
            for model, installed in rows
        ],
        args,
    )
    return OK


def run_pull(args: argparse.Namespace) -> int:
    """Download one model."""
    directory = _directory(args)
    model = load_catalogue().find(args.name)
    if not args.json:
        print(f"{model.name}: {_size(model.bytes)}, licence {model.licence}, to {directory}", flush=True)
    _download(model, directory, args)
    if args.json:
        print_json({**_described(model), "installed": True, "directory": str(directory)})
    else:
        print(f"{model.name} is installed and verified.")
    return OK


def run_verify(args: argparse.Namespace) -> int:
    """Compare one model, or every installed one, with the catalogue; 1 when one is wrong."""
    directory = _directory(args)
    catalogue = load_catalogue()
    chosen = [catalogue.find(args.name)] if args.name else list(catalogue.models)
    found = [(model, problem_of(model, directory)) for model in chosen]
    if not args.name:
        found = [(model, problem) for model, problem in found if problem != "not installed"]
    if args.json:
        print_json([{"name": model.name, "ok": not problem, "problem": problem} for model, problem in found])
    else:
        rows = [(model.name, problem or "ok") for model, problem in found]
        print_table(("name", "result"), rows, args, empty="no model is installed")
    return FAILED if any(problem for _, problem in found) else OK


def _download(model: CatalogueModel, directory: Path, args: argparse.Namespace) -> None:
    clock = SystemClock()
    if args.json or not decorated(args):
        progress = _silent if args.json else _PlainProgress().show
        asyncio.run(pull(model, directory, clock=clock, progress=progress))
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn()) as bars:
        tasks = {file.file: bars.add_task(file.file, total=file.bytes) for file in model.files}

        def show(name: str, done: int, total: int) -> None:
            bars.update(tasks[name], completed=done)

        asyncio.run(pull(model, directory, clock=clock, progress=show))


class _PlainProgress:
    """A line on standard error for each tenth of a file."""

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}

    def show(self, name: str, done: int, total: int) -> None:
        """Print the share of ``name`` that has arrived, when it is another tenth."""
        step = done * 100 // total // _PERCENT_STEP
        if step != self._shown.get(name):
            self._shown[name] = step
            print(f"{name}: {step * _PERCENT_STEP} %", file=sys.stderr, flush=True)


def _silent(name: str, done: int, total: int) -> None:
    """Show nothing: a program reads."""


def _directory(args: argparse.Namespace) -> Path:
    return models_dir(
        load(Path(args.config) if args.config else None, get_facts=config_facts, environ=os.environ).config
    )


def _described(model: CatalogueModel) -> dict[str, Any]:
    return {"name": model.name, "kind": model.kind, "bytes": model.bytes, "licence": model.licence}


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
