"""What was said and how long it took: last, history."""

from argparse import Namespace
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import OK
from voxd.cli.output import bar, clock, decorated, print_json, print_table

BAR_CHARS = 40


def register(subparsers: Any) -> None:
    """Add the commands."""
    last = subparsers.add_parser("last", help="show the latency of each stage of the last turn")
    last.set_defaults(run=show_last)
    history = subparsers.add_parser("history", help="show the conversation history")
    history.add_argument("--limit", type=int, default=20, metavar="N", help="how many turns (default 20)")
    history.add_argument("--forget", action="store_true", help="delete the whole history")
    history.set_defaults(run=show_history)


def show_last(args: Namespace) -> int:
    """``voxctl last``."""
    turn = request(args, "turn.last")
    if args.json:
        print_json(turn)
        return OK
    stages = turn["stages"]
    total = max((stage["end_ms"] for stage in stages), default=0.0)
    took = f"  {total:.0f} ms" if stages else ""
    print(f"{clock(turn['started_at'])}  {turn['source']}  {turn['outcome'] or 'under way'}{took}")
    width = max((len(stage["name"]) for stage in stages), default=0)
    colour, end = ("\x1b[36m", "\x1b[0m") if decorated(args) else ("", "")
    for stage in stages:
        drawn = bar(stage["start_ms"], stage["end_ms"], total, BAR_CHARS)
        length = stage["end_ms"] - stage["start_ms"]
        print(f"  {stage['name']:<{width}}  {colour}{drawn}{end}  {length:6.0f} ms")
    return OK


def show_history(args: Namespace) -> int:
    """``voxctl history``."""
    if args.forget:
        answer = request(args, "history.forget")
        if args.json:
            print_json(answer)
        else:
            print(f"{answer['deleted']} turns deleted")
        return OK
    entries = request(args, "history.list", limit=args.limit)
    if args.json:
        print_json(entries)
        return OK
    rows = [
        (clock(entry["time"]), entry["source"], entry["transcript"], entry["reply"], entry["outcome"])
        for entry in entries
    ]
    print_table(("time", "source", "heard", "answered", "outcome"), rows, args)
    return OK
