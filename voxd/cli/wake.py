"""Wake words from the shell: which there are, why one did or did not wake, and how good they are."""

from argparse import BooleanOptionalAction, Namespace
from typing import Any

from voxd.cli import clips
from voxd.cli.connect import request
from voxd.cli.exits import OK
from voxd.cli.output import clock, print_json, print_table

WORD_COLUMNS = {
    "name": "name",
    "enabled": "on",
    "agent": "agent",
    "first_stage": "first stage",
    "first_threshold": "first threshold",
    "second_stage": "second stage",
    "threshold": "threshold",
    "detections": "woke",
    "rejections": "rejected",
}
"""Which part of a word is shown under which heading: narrow enough for a terminal of 80 columns."""


def register(subparsers: Any) -> None:
    """Add the command and its actions."""
    wake = subparsers.add_parser("wake", help="inspect and tune wake words")
    wake.set_defaults(run=list_words)
    actions = wake.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", help="list the active wake words")
    listing.set_defaults(run=list_words)

    why = actions.add_parser("why", help="show recent wake word candidates and their scores")
    why.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
    sound = why.add_mutually_exclusive_group()
    sound.add_argument("--play", type=int, metavar="ID", help="play the sound of one")
    sound.add_argument("--save", nargs=2, metavar=("ID", "FILE"), help="save the sound of one as a WAV file")
    why.set_defaults(run=show_candidates)

    change = actions.add_parser("set", help="change a word until the next restart")
    change.add_argument("name", metavar="NAME", help="its name in the list")
    change.add_argument("--enabled", action=BooleanOptionalAction, help="listen for it, or not")
    change.add_argument("--threshold", type=float, metavar="X", help="second stage, 0 to 1")
    change.add_argument("--first-threshold", type=float, metavar="X", help="first stage, 0 to 1")
    change.set_defaults(run=change_word)

    evaluation = actions.add_parser("eval", help="measure wake words on a directory of recordings")
    evaluation.add_argument("directory", metavar="DIR", help="recordings, named after the word spoken")
    evaluation.add_argument(
        "--word", action="append", metavar="NAME", help="a word to evaluate (default: the configured ones)"
    )
    evaluation.add_argument(
        "--positive",
        action="append",
        default=[],
        metavar="WORD=GLOB",
        help="which files hold a word, when their names do not say so",
    )
    evaluation.set_defaults(run=evaluate_words)


def list_words(args: Namespace) -> int:
    """``voxctl wake list``."""
    words = request(args, "wake.list")
    _print_words(words, args)
    return OK


def change_word(args: Namespace) -> int:
    """``voxctl wake set``."""
    word = request(
        args,
        "wake.set",
        name=args.name,
        enabled=args.enabled,
        threshold=args.threshold,
        first_threshold=args.first_threshold,
    )
    if args.json:
        print_json(word)
    else:
        _print_words([word], args)
    return OK


def _print_words(words: list[dict[str, Any]], args: Namespace) -> None:
    if args.json:
        print_json(words)
        return
    rows = [[word[name] for name in WORD_COLUMNS] for word in words]
    print_table(list(WORD_COLUMNS.values()), rows, args)


def show_candidates(args: Namespace) -> int:
    """``voxctl wake why``."""
    if args.play is not None:
        return clips.play(args, args.play)
    if args.save is not None:
        return clips.save(args, *args.save)
    candidates = request(args, "wake.candidates", limit=args.limit)
    if args.json:
        print_json(candidates)
        return OK
    rows = [
        (
            one["id"],
            clock(one["time"]),
            one["word"],
            one["first_score"],
            one["score"],
            "woke" if one["accepted"] else "ignored",
            one["reason"],
            f"{one['clip_s']:.1f} s",
        )
        for one in candidates
    ]
    columns = ("id", "time", "word", "first", "second", "verdict", "reason", "clip")
    print_table(columns, rows, args, empty="nothing was suspected in the last hour")
    return OK


def evaluate_words(args: Namespace) -> int:
    """``voxctl wake eval``."""
    # Here, not above: it loads the wake engines, which the other actions do not need.
    from voxd.cli import evaluation

    return evaluation.evaluate_words(args)
