"""Conversation from the shell: listen, stop, say, ask."""

import base64
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import FAILED, NO_INPUT, OK
from voxd.cli.output import clean, print_json
from voxd.errors import InvalidRequest

SPOKEN_TIMEOUT_S = 120.0
"""Saying a long text takes as long as saying it takes."""

_HEARD = ("answered", "interrupted")
"""Outcomes with an answer: cut short while it was spoken, it was still given."""


def register(subparsers: Any) -> None:
    """Add the commands."""
    listen = subparsers.add_parser("listen", help="listen as if the button was pressed")
    listen.set_defaults(run=_simple, method="turn.listen")
    stop = subparsers.add_parser("stop", help="stop listening, speaking and ringing")
    stop.set_defaults(run=_simple, method="turn.stop")
    say = subparsers.add_parser("say", help="speak a text")
    say.add_argument("text", nargs="+", metavar="TEXT", help="what to speak; - reads standard input")
    say.set_defaults(run=speak)
    ask = subparsers.add_parser("ask", help="ask a question and print the answer")
    ask.add_argument("text", nargs="*", metavar="TEXT", help="the question; - reads standard input")
    ask.add_argument("--audio", metavar="FILE", help="a spoken question: a WAV file; - reads standard input")
    ask.add_argument("--speak", action="store_true", help="speak the answer as well")
    ask.set_defaults(run=question, parser=ask)


def _simple(args: Namespace) -> int:
    request(args, args.method)
    if args.json:
        print_json({"ok": True})
    return OK


def _text(words: list[str]) -> str:
    text = sys.stdin.read() if words == ["-"] else " ".join(words)
    if not text.strip():
        raise InvalidRequest("there is nothing to say", hint="give a text, or pipe one into `-`")
    return text.strip()


def speak(args: Namespace) -> int:
    """``voxctl say``; returns when the text was heard."""
    request(args, "say", timeout_s=SPOKEN_TIMEOUT_S, text=_text(args.text))
    if args.json:
        print_json({"ok": True})
    return OK


def question(args: Namespace) -> int:
    """``voxctl ask``; exit code 1 when there was no answer."""
    if bool(args.text) == bool(args.audio):
        parser: ArgumentParser = args.parser
        parser.error("give either a text or --audio FILE")
    if args.audio:
        try:
            wav = sys.stdin.buffer.read() if args.audio == "-" else Path(args.audio).read_bytes()
        except OSError as error:
            print(f"voxctl: {args.audio}: {error.strerror}", file=sys.stderr)
            return NO_INPUT
        sound = base64.b64encode(wav).decode("ascii")
        answer = request(
            args, "turn.ask_audio", timeout_s=SPOKEN_TIMEOUT_S, wav_base64=sound, speak=args.speak
        )
    else:
        answer = request(
            args, "turn.ask", timeout_s=SPOKEN_TIMEOUT_S, text=_text(args.text), speak=args.speak
        )
    if args.json:
        print_json(answer)
    else:
        if args.audio and answer["transcript"]:
            print(f"> {clean(answer['transcript'])}")
        print(clean(answer["reply"]) or f"({answer['outcome']})")
    return OK if answer["outcome"] in _HEARD else FAILED
