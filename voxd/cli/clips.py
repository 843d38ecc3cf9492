"""The sound of a wake word candidate: played with whatever this machine has, or saved."""

import base64
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path

from voxd.cli.connect import request
from voxd.cli.exits import OK, UNAVAILABLE
from voxd.cli.output import print_json
from voxd.errors import InvalidRequest

PLAYERS = (("paplay",), ("pw-play",), ("aplay", "-q"))
PLAY_TIMEOUT_S = 30.0


def play(args: Namespace, id: int) -> int:
    """Play candidate ``id``; says how to save it where nothing can play it."""
    wav = _clip(args, id)
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(wav)
        file.flush()
        for program, *options in PLAYERS:
            if path := shutil.which(program):
                # A player without its sound server fails at once: then the next one may know the card.
                done = subprocess.run(
                    [path, *options, file.name],
                    stderr=subprocess.DEVNULL,
                    timeout=PLAY_TIMEOUT_S,
                    check=False,
                )
                if done.returncode == 0:
                    return OK
    print("voxctl: no program here can play it (tried paplay, pw-play, aplay)", file=sys.stderr)
    print(f"  save it instead: `voxctl wake why --save {id} clip.wav`", file=sys.stderr)
    return UNAVAILABLE


def save(args: Namespace, id: str, file: str) -> int:
    """Write candidate ``id`` to ``file`` as WAV. Raises `InvalidRequest`."""
    if not id.isdecimal():
        raise InvalidRequest(f"{id!r} is not an id", hint="take one from `voxctl wake why`")
    wav = _clip(args, int(id))
    try:
        Path(file).write_bytes(wav)
    except OSError as error:
        raise InvalidRequest(f"cannot write {file}: {error.strerror}", hint="name another file") from error
    if args.json:
        print_json({"id": int(id), "file": file, "bytes": len(wav)})
    else:
        print(file)
    return OK


def _clip(args: Namespace, id: int) -> bytes:
    return base64.b64decode(request(args, "wake.clip", id=id)["wav_base64"])
