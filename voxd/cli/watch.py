"""`voxctl watch`: prints the state and then each event, and reconnects when the daemon restarts."""

import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from voxd.cli.connect import ANSWER_TIMEOUT_S, connect
from voxd.cli.output import clean, decorated, print_json, print_note, terminal_columns, wrap
from voxd.errors import Busy, DaemonUnreachable, DeadlineExceeded

RETRY_S = 0.5
# Two decimals would round a smaller number, such as the price of a question, to nothing.
SMALL = 0.1

CONTINUED = "\n         "
"""Before the rest of a line: below the words after the time."""

_RED = "\x1b[31m"
_COLOURS = {"wake": "\x1b[36m", "turn": "\x1b[32m", "error": _RED, "problem": _RED, "audio": "\x1b[33m"}


def register(subparsers: Any) -> None:
    """Add the command."""
    watch = subparsers.add_parser(
        "watch",
        help="show events as they happen",
        examples=("voxctl watch", 'voxctl watch "turn.*" error', "voxctl watch --json"),
    )
    watch.add_argument(
        "types",
        nargs="*",
        default=["*"],
        metavar="TYPE",
        help="types of events, such as turn.* (default: all)",
    )
    watch.set_defaults(run=watch_events)


def watch_events(args: Namespace) -> int:
    """``voxctl watch``; ends on Ctrl-C. Raises `DaemonUnreachable` only for the first connection."""
    show = _printer(decorated(args))
    for message in _messages(args):
        if args.json:
            print_json(message, lines=True)
        else:
            show(message)
    return 0


def _messages(args: Namespace) -> Iterator[dict[str, Any]]:
    since: int | None = None
    connected_once = reported = False
    while True:
        try:
            with connect(args, timeout_s=ANSWER_TIMEOUT_S) as caller:
                opening = caller.call("events.subscribe", types=args.types, since=since)
                connected_once, reported = True, False
                yield opening
                # A later reconnect requests the events after this id, so that none is missed.
                since = opening["last_id"] if since is None else since
                for _, message in caller.notifications():
                    since = message.get("id", since)
                    yield message
        except (DaemonUnreachable, DeadlineExceeded, Busy) as error:
            if not connected_once:
                raise
            if not reported:
                print_note(f"{error}; reconnecting")
                reported = True
            time.sleep(RETRY_S)


def _printer(colours: bool) -> Any:
    def show(message: dict[str, Any]) -> None:
        colour, end = "", ""
        if colours and "type" in message:
            colour = _COLOURS.get(message["type"].partition(".")[0], "")
            end = "\x1b[0m" if colour else ""
        for text in (line(message), *opening_problems(message)):
            print(f"{colour}{CONTINUED.join(wrap(text, terminal_columns()))}{end}", flush=True)

    return show


def opening_problems(message: dict[str, Any]) -> list[str]:
    """Return a line for each problem that lasts when the subscription begins."""
    problems = message["state"].get("problems", ()) if "state" in message else ()
    return [clean(f"{time.strftime('%H:%M:%S')} problem {problem}") for problem in problems]


def line(message: dict[str, Any]) -> str:
    """Return one message of a subscription as a line of text."""
    if "state" in message:
        state = message["state"]
        lost = f" ({message['lost']} events lost)" if message["lost"] else ""
        return clean(f"{time.strftime('%H:%M:%S')} state {state['state']}: {state['summary']}{lost}")
    if "dropped" in message:
        return f"{time.strftime('%H:%M:%S')} too slow: {message['dropped']} events dropped"
    at = time.strftime("%H:%M:%S", time.localtime(message["time"]))
    data = " ".join(f"{key}={_value(value)}" for key, value in message["data"].items())
    return clean(f"{at} {message['type']:<18} {data}").rstrip()


def _value(value: Any) -> str:
    match value:
        case float():
            return f"{value:.2f}" if abs(value) >= SMALL or not value else f"{value:.2g}"
        case dict():
            # The usage has a dozen numbers, most of them zero.
            return ",".join(f"{key}={_value(each)}" for key, each in value.items() if each) or "-"
        case str() if " " in value or not value:
            return f'"{value}"'
        case _:
            return str(value)
