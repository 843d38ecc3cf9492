"""Timers, alarms and reminders from the shell."""

from argparse import Namespace
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import OK
from voxd.cli.output import clock, duration, print_json, print_table


def register(subparsers: Any) -> None:
    """Add the command."""
    timers = subparsers.add_parser("timers", help="list or cancel timers, alarms and reminders")
    timers.set_defaults(run=list_timers)
    actions = timers.add_subparsers(title="actions", metavar="ACTION")
    cancel = actions.add_parser("cancel", help="cancel or silence one")
    cancel.add_argument("id", type=int, metavar="ID", help="its number in the list")
    cancel.set_defaults(run=cancel_timer)


def list_timers(args: Namespace) -> int:
    """``voxctl timers``."""
    timers = request(args, "timers.list")
    if args.json:
        print_json(timers)
        return OK
    rows = [
        (timer["id"], timer["kind"], timer["name"], clock(timer["due_at"]), _left(timer)) for timer in timers
    ]
    print_table(("id", "kind", "name", "due", "in"), rows, args, empty="no timers, alarms or reminders")
    return OK


def _left(timer: dict[str, Any]) -> str:
    return "ringing" if timer["ringing"] else duration(timer["due_in_s"])


def cancel_timer(args: Namespace) -> int:
    """``voxctl timers cancel``."""
    request(args, "timers.cancel", id=args.id)
    if args.json:
        print_json({"cancelled": args.id})
    else:
        print(f"cancelled {args.id}")
    return OK
