"""Commands for turns: listen, stop, say, ask, the latency of the last turn, the history."""

import base64
from argparse import ArgumentParser, Namespace
from typing import Any

from voxd.cli.connect import ANSWER_TIMEOUT_S, request
from voxd.cli.exits import FAILED, OK
from voxd.cli.inputs import confirm, given_text, read_bytes
from voxd.cli.output import (
    bar,
    clock,
    decorated,
    print_json,
    print_note,
    print_result,
    print_text,
    terminal_columns,
)
from voxd.cli.table import print_rows

# The daemon replies after the audio has been played, and a long text plays for a minute or more.
SPOKEN_TIMEOUT_S = 120.0
BAR_CHARS = 40
MIN_BAR_CHARS = 10

NEEDS_MODEL = (
    'for such answers configure a cloud provider (README.md: "A cloud provider in ten lines"), or an Ollama '
    'server on your network (kind = "ollama"); `voxctl provider kinds` lists all'
)

# An interrupted turn has a reply too: only its playback was cut short.
_WITH_REPLY = ("answered", "interrupted")


def register(subparsers: Any) -> None:
    """Add the commands."""
    listen = subparsers.add_parser(
        "listen", help="start listening, as a press of the button does", examples=("voxctl listen",)
    )
    listen.set_defaults(run=_call, method="turn.listen")
    stop = subparsers.add_parser(
        "stop", help="stop listening, speaking and ringing", examples=("voxctl stop",)
    )
    stop.set_defaults(run=_call, method="turn.stop")
    say = subparsers.add_parser(
        "say",
        help="speak a text",
        examples=(
            'voxctl say "dinner is ready"',
            "date | voxctl say -",
            'voxctl say --wait "now"',
        ),
    )
    say.add_argument("text", nargs="+", metavar="TEXT", help="what to speak; - reads standard input")
    say.add_argument("--wait", action="store_true", help="return when it has been played")
    say.set_defaults(run=say_text)
    ask = subparsers.add_parser(
        "ask",
        help="ask a question and print the answer",
        examples=(
            'voxctl ask "what time is it"',
            "voxctl ask --audio question.wav --speak",
            'voxctl ask "set a timer for ten minutes" --json',
        ),
    )
    ask.add_argument("text", nargs="*", metavar="TEXT", help="the question; - reads standard input")
    ask.add_argument(
        "--audio",
        metavar="FILE",
        help="a spoken question: a WAV, MP3, FLAC or Ogg file; - reads standard input",
    )
    ask.add_argument("--speak", action="store_true", help="speak the answer as well")
    ask.set_defaults(run=ask_question, parser=ask)
    last = subparsers.add_parser(
        "last", help="show the latency of each stage of the last turn", examples=("voxctl last",)
    )
    last.set_defaults(run=show_last)
    history = subparsers.add_parser(
        "history",
        help="show the conversation history",
        examples=("voxctl history --limit 5", "voxctl history --forget"),
    )
    history.add_argument("--limit", type=int, default=20, metavar="N", help="how many turns (default 20)")
    history.add_argument("--forget", action="store_true", help="delete the whole history")
    history.add_argument("--yes", action="store_true", help="do not ask before the deletion")
    history.set_defaults(run=show_history)


def _call(args: Namespace) -> int:
    request(args, args.method)
    if args.json:
        print_json({"ok": True})
    return OK


def say_text(args: Namespace) -> int:
    """``voxctl say``; returns when the text is accepted, with ``--wait`` when it has been played."""
    text = given_text(args.text)
    # Slow speech is ten characters a second, and another sound may be played before it.
    timeout_s = SPOKEN_TIMEOUT_S + len(text) / 10 if args.wait else ANSWER_TIMEOUT_S
    said = request(args, "say", timeout_s=timeout_s, text=text, wait=args.wait)
    if args.json:
        print_json(said)
    if said["outcome"] in ("", "answered"):
        return OK
    print_note(f"not spoken to its end: {said['outcome']}")
    return FAILED


def ask_question(args: Namespace) -> int:
    """``voxctl ask``; exit code 1 when there was no answer."""
    if bool(args.text) == bool(args.audio):
        parser: ArgumentParser = args.parser
        parser.error("give either a text or --audio FILE")
    if args.audio:
        # Base64, as JSON has no bytes: a third longer, within `Limits.upload_bytes` up to 1.5 minutes.
        sound = base64.b64encode(read_bytes(args.audio)).decode("ascii")
        answer = request(
            args, "turn.ask_audio", timeout_s=SPOKEN_TIMEOUT_S, wav_base64=sound, speak=args.speak
        )
    else:
        answer = request(
            args, "turn.ask", timeout_s=SPOKEN_TIMEOUT_S, text=given_text(args.text), speak=args.speak
        )
    if args.json:
        print_json(answer)
    else:
        if args.audio and answer["transcript"]:
            print_text(f"> {answer['transcript']}")
        print_text(answer["reply"] or f"({answer['outcome']})")
        if answer["refusal"] == "needs_model":
            print_note(NEEDS_MODEL)
    return OK if answer["outcome"] in _WITH_REPLY else FAILED


def show_last(args: Namespace) -> int:
    """``voxctl last``."""
    turn = request(args, "turn.last")
    if args.json:
        print_json(turn)
        return OK
    stages = turn["stages"]
    # The stages overlap (a model streams while its reply is spoken): the turn ends with the last of them.
    total = max((stage["end_ms"] for stage in stages), default=0.0)
    took = f"  {total:.0f} ms" if stages else ""
    print(f"{clock(turn['started_at'])}  {turn['source']}  {turn['outcome'] or 'in progress'}{took}")
    width = max((len(stage["name"]) for stage in stages), default=0)
    chars = max(MIN_BAR_CHARS, min(BAR_CHARS, (terminal_columns() or 80) - width - 16))
    colour, end = ("\x1b[36m", "\x1b[0m") if decorated(args) else ("", "")
    for stage in stages:
        drawn = bar(stage["start_ms"], stage["end_ms"], total, chars)
        length = stage["end_ms"] - stage["start_ms"]
        print(f"  {stage['name']:<{width}}  {colour}{drawn}{end}  {length:6.0f} ms")
    return OK


def show_history(args: Namespace) -> int:
    """``voxctl history``."""
    if args.forget:
        if not confirm(args, "Delete the whole history?"):
            return FAILED
        result = request(args, "history.forget")
        return print_result(args, result, f"{result['deleted']} turns deleted")
    entries = request(args, "history.list", limit=args.limit)
    rows = [
        (clock(entry["time"]), entry["source"], entry["transcript"], entry["reply"], entry["outcome"])
        for entry in entries
    ]
    return print_rows(args, entries, ("time", "source", "transcript", "reply", "outcome"), rows)
