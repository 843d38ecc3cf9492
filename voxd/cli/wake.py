"""The ``wake`` command: lists and changes wake words, shows candidates, evaluates words on recordings."""

import base64
import shutil
import subprocess
import tempfile
from argparse import BooleanOptionalAction, Namespace
from pathlib import Path
from typing import Any

from voxd.cli.connect import request
from voxd.cli.exits import OK, CannotWrite, WrongArgument
from voxd.cli.output import clock, print_json, print_result
from voxd.cli.table import print_rows, print_table
from voxd.errors import DeviceError

# In order of preference: the sound servers mix with other programs, aplay needs a free card.
PLAYERS = (("paplay",), ("pw-play",), ("aplay", "-q"))
PLAY_TIMEOUT_S = 30.0

# Field of a wake word to table heading; the table fits a terminal of 80 columns.
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


def register(subparsers: Any) -> None:
    """Add the command and its actions."""
    wake = subparsers.add_parser(
        "wake", help="inspect and tune wake words", examples=("voxctl wake", "voxctl wake why")
    )
    wake.set_defaults(run=list_words)
    actions = wake.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", help="list the active wake words", examples=("voxctl wake list",))
    listing.set_defaults(run=list_words)

    why = actions.add_parser(
        "why",
        help="show recent wake word candidates and their scores",
        examples=("voxctl wake why", "voxctl wake why --play 12", "voxctl wake why --save 12 clip.wav"),
    )
    why.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
    sound = why.add_mutually_exclusive_group()
    sound.add_argument("--play", type=int, metavar="ID", help="play the sound of one")
    sound.add_argument("--save", nargs=2, metavar=("ID", "FILE"), help="save the sound of one as a WAV file")
    why.set_defaults(run=show_candidates)

    change = actions.add_parser(
        "set",
        help="change a word until the next restart",
        examples=("voxctl wake set hey_jarvis --threshold 0.5", "voxctl wake set alexa --no-enabled"),
    )
    change.add_argument("name", metavar="WORD", help="its name in the list")
    change.add_argument("--enabled", action=BooleanOptionalAction, help="enable or disable its detection")
    change.add_argument("--threshold", type=float, metavar="X", help="second stage, 0 to 1")
    change.add_argument("--first-threshold", type=float, metavar="X", help="first stage, 0 to 1")
    change.set_defaults(run=change_word)

    evaluation = actions.add_parser(
        "eval",
        help="measure wake words on a directory of recordings",
        examples=("voxctl wake eval recordings", "voxctl wake eval recordings --word alexa"),
    )
    evaluation.add_argument("directory", metavar="DIR", help="recordings, named after the word spoken")
    evaluation.add_argument(
        "--word", action="append", metavar="WORD", help="a word to evaluate (default: the configured words)"
    )
    evaluation.add_argument(
        "--positive",
        action="append",
        default=[],
        metavar="WORD=GLOB",
        help="the files that contain a word, when their names do not show it",
    )
    evaluation.set_defaults(run=evaluate_words)


def list_words(args: Namespace) -> int:
    """``voxctl wake list``."""
    _print_words(request(args, "wake.list"), args)
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
        return play_clip(args, args.play)
    if args.save is not None:
        return save_clip(args, *args.save)
    candidates = request(args, "wake.candidates", limit=args.limit)
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
    return print_rows(args, candidates, columns, rows, empty="no candidates in the last hour")


def play_clip(args: Namespace, id: int) -> int:
    """Play the audio of candidate ``id``; print how to save it when no player works."""
    wav = _clip(args, id)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(wav)
        # Another process reads it by name: what is in the buffer of this one is not in the file yet.
        file.flush()
        for program, *options in PLAYERS:
            if path := shutil.which(program):
                # A player without its sound server fails at once; the next may reach the sound card.
                done = subprocess.run(
                    [path, *options, file.name],
                    stderr=subprocess.DEVNULL,
                    timeout=PLAY_TIMEOUT_S,
                    check=False,
                )
                if done.returncode == 0:
                    return OK
    raise DeviceError(
        "no player works on this machine (tried paplay, pw-play, aplay)",
        hint=f"save it instead: `voxctl wake why --save {id} clip.wav`",
    )


def save_clip(args: Namespace, id: str, file: str) -> int:
    """Write the audio of candidate ``id`` to ``file`` as WAV. Raises `WrongArgument` and `CannotWrite`."""
    if not id.isdecimal():
        raise WrongArgument(f"{id!r} is not an id", hint="use an id from `voxctl wake why`")
    wav = _clip(args, int(id))
    try:
        Path(file).write_bytes(wav)
    except OSError as error:
        raise CannotWrite(f"cannot write {file}: {error.strerror}", hint="name another file") from error
    return print_result(args, {"id": int(id), "file": file, "bytes": len(wav)}, file)


def _clip(args: Namespace, id: int) -> bytes:
    return base64.b64decode(request(args, "wake.clip", id=id)["wav_base64"])


def evaluate_words(args: Namespace) -> int:
    """``voxctl wake eval``."""
    # Imported here: numpy and the wake word engines are slow to load, and no other action needs them.
    from voxd.cli import evaluation

    return evaluation.evaluate_words(args)
