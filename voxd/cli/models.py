"""`voxctl models`: lists, downloads and verifies the models of local engines; needs no daemon."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from voxd.cli.exits import FAILED, OK
from voxd.cli.inputs import load_config
from voxd.cli.output import decorated, print_json, print_result
from voxd.cli.table import print_rows, print_table
from voxd.clock import SystemClock
from voxd.config.paths import models_dir
from voxd.local.catalogue import CatalogueModel, is_installed, load_catalogue, problem_of
from voxd.local.download import pull

# A log, which has no cursor to move, gets ten lines a file.
_PERCENT_STEP = 10


def register(subparsers: Any) -> None:
    """Add the command."""
    models = subparsers.add_parser(
        "models",
        help="list, download and verify models",
        examples=("voxctl models", "sudo voxctl models pull base.en"),
    )
    models.set_defaults(run=run_list)
    actions = models.add_subparsers(title="actions", metavar="ACTION")
    actions.add_parser(
        "list", help="show the models, and which are installed", examples=("voxctl models list",)
    ).set_defaults(run=run_list)
    download = actions.add_parser(
        "pull",
        help="download a model",
        examples=("sudo voxctl models pull base.en", "sudo voxctl models pull en_US-lessac-medium"),
    )
    download.add_argument("name", metavar="MODEL", help="a name from `voxctl models list`")
    download.set_defaults(run=run_pull)
    verify = actions.add_parser(
        "verify",
        help="compare installed models with their checksums",
        examples=("voxctl models verify", "voxctl models verify base.en"),
    )
    verify.add_argument("name", metavar="MODEL", nargs="?", help="one model (default: every installed one)")
    verify.set_defaults(run=run_verify)


def run_list(args: argparse.Namespace) -> int:
    """Print the catalogue."""
    directory = _directory(args)
    rows = [(model, is_installed(model, directory)) for model in load_catalogue().models]
    return print_rows(
        args,
        [{**_described(model), "installed": installed} for model, installed in rows],
        ("name", "kind", "size", "installed", "licence"),
        [(model.name, model.kind, _size(model.bytes), installed, model.licence) for model, installed in rows],
    )


def run_pull(args: argparse.Namespace) -> int:
    """Download one model."""
    directory = _directory(args)
    model = load_catalogue().find(args.name)
    if not args.json:
        # Before the download: its size and licence may be a reason to stop it.
        print(f"{model.name}: {_size(model.bytes)}, licence {model.licence}, to {directory}", flush=True)
    _download(model, directory, args)
    result = {**_described(model), "installed": True, "directory": str(directory)}
    return print_result(args, result, f"{model.name} is installed and verified")


def run_verify(args: argparse.Namespace) -> int:
    """Compare one model, or every installed one, with the catalogue; 1 when one is wrong."""
    directory = _directory(args)
    catalogue = load_catalogue()
    chosen = [catalogue.find(args.name)] if args.name else list(catalogue.models)
    found = [(model, problem_of(model, directory)) for model in chosen]
    # Without a name only what is installed is compared; a named model that is missing is wrong.
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
        progress = (lambda name, done, total: None) if args.json else _PlainProgress().show
        asyncio.run(pull(model, directory, clock=clock, progress=progress))
        return
    # Imported here: only a download on a terminal needs rich.
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


def _directory(args: argparse.Namespace) -> Path:
    return models_dir(load_config(args))


def _described(model: CatalogueModel) -> dict[str, Any]:
    return {"name": model.name, "kind": model.kind, "bytes": model.bytes, "licence": model.licence}


def _size(count: int) -> str:
    # Megabytes of 10^6 bytes, as vendors and download pages give them.
    return f"{count / 1e6:.1f} MB"
