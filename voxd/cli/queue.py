"""`voxctl queue`: list, retry or drop questions of the offline queue."""

from argparse import ArgumentParser, Namespace
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import OK
from voxd.cli.output import clock, duration, print_json, print_table

ALL = "all"


def register(subparsers: Any) -> None:
    """Add the command."""
    queue = subparsers.add_parser("queue", help="list, retry or drop questions that wait for an answer")
    queue.set_defaults(run=list_queue)
    actions = queue.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", help="show queued and answered questions")
    listing.set_defaults(run=list_queue)
    retry = actions.add_parser("retry", help="retry now")
    _which(retry)
    retry.set_defaults(run=retry_queued)
    drop = actions.add_parser("drop", help="drop from the queue")
    _which(drop)
    drop.set_defaults(run=drop_queued)


def _which(parser: ArgumentParser) -> None:
    parser.add_argument(
        "ids", nargs="+", metavar="ID", help=f"ids from `voxctl queue list`, or {ALL} for all that wait"
    )


def list_queue(args: Namespace) -> int:
    """``voxctl queue list``."""
    entries = request(args, "queue.list")
    if args.json:
        print_json(entries)
        return OK
    rows = [
        (
            each["id"],
            each["state"],
            each["agent"],
            clock(each["time"]),
            duration(each["age_s"]),
            f"{each['duration_ms'] / 1000:.1f} s" if each["duration_ms"] else "typed",
            each["attempts"],
            each["problem"],
        )
        for each in entries
    ]
    columns = ("id", "state", "agent", "asked", "ago", "length", "attempts", "last problem")
    print_table(columns, rows, args, empty="nothing waits")
    return OK


def retry_queued(args: Namespace) -> int:
    """``voxctl queue retry``."""
    count = sum(request(args, "queue.retry", id=id)["retried"] for id in _ids(args))
    if args.json:
        print_json({"retried": count})
    else:
        print(f"{count} will be retried")
    return OK


def drop_queued(args: Namespace) -> int:
    """``voxctl queue drop``."""
    count = sum(request(args, "queue.drop", id=id)["dropped"] for id in _ids(args))
    if args.json:
        print_json({"dropped": count})
    else:
        print(f"{count} dropped")
    return OK


def _ids(args: Namespace) -> list[str | None]:
    return [None] if ALL in args.ids else args.ids
