"""`voxctl queue`: list, retry or drop questions of the offline queue."""

from argparse import ArgumentParser, Namespace
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import FAILED
from voxd.cli.inputs import confirm
from voxd.cli.output import clock, duration, print_result
from voxd.cli.table import print_rows

# A word, and not the absence of ids: `voxctl queue drop` alone must not drop everything.
ALL = "all"


def register(subparsers: Any) -> None:
    """Add the command."""
    queue = subparsers.add_parser(
        "queue",
        help="list, retry or drop questions that wait for an answer",
        examples=("voxctl queue", "voxctl queue retry all"),
    )
    queue.set_defaults(run=list_queue)
    actions = queue.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser(
        "list", help="show queued and answered questions", examples=("voxctl queue list",)
    )
    listing.set_defaults(run=list_queue)
    retry = actions.add_parser(
        "retry",
        help="retry questions now",
        examples=("voxctl queue retry all", "voxctl queue retry 0a1b2c3d4e5f"),
    )
    _add_ids(retry)
    retry.set_defaults(run=retry_queued)
    drop = actions.add_parser(
        "drop",
        help="drop questions from the queue",
        examples=("voxctl queue drop 0a1b2c3d4e5f", "voxctl queue drop all"),
    )
    _add_ids(drop)
    drop.add_argument("--yes", action="store_true", help="do not ask before everything is dropped")
    drop.set_defaults(run=drop_queued)


def _add_ids(parser: ArgumentParser) -> None:
    parser.add_argument(
        "ids", nargs="+", metavar="QUESTION", help=f"ids from `voxctl queue list`, or {ALL} for all that wait"
    )


def list_queue(args: Namespace) -> int:
    """``voxctl queue list``."""
    entries = request(args, "queue.list")
    rows = [
        (
            each["id"],
            each["state"],
            each["agent"],
            clock(each["time"]),
            duration(each["age_s"]),
            # A typed question has no sound. The words of either are not shown: they are the user's.
            f"{each['duration_ms'] / 1000:.1f} s" if each["duration_ms"] else "typed",
            each["attempts"],
            each["problem"],
        )
        for each in entries
    ]
    columns = ("id", "state", "agent", "asked", "ago", "length", "attempts", "last problem")
    return print_rows(args, entries, columns, rows, empty="no question is queued")


def retry_queued(args: Namespace) -> int:
    """``voxctl queue retry``."""
    count = sum(request(args, "queue.retry", id=id)["retried"] for id in _ids(args))
    return print_result(args, {"retried": count}, f"{count} will be retried")


def drop_queued(args: Namespace) -> int:
    """``voxctl queue drop``."""
    if ALL in args.ids and not confirm(args, "Drop every question that waits?"):
        return FAILED
    count = sum(request(args, "queue.drop", id=id)["dropped"] for id in _ids(args))
    return print_result(args, {"dropped": count}, f"{count} dropped")


def _ids(args: Namespace) -> list[str | None]:
    # `queue.retry` and `queue.drop` take null for all.
    return [None] if ALL in args.ids else args.ids
