"""Rules about files and programs that the settings name: whether the daemon can use them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from voxd.config.files.access import Use, View
from voxd.config.files.piper_speaker import description_of, find_speaker
from voxd.config.paths import models_dir
from voxd.config.problems import Finding
from voxd.config.schema import Config, Paths
from voxd.config.settings import Settings, warning
from voxd.config.toml_lines import KeyPath
from voxd.errors import ModelError

# Programs whose first argument that is not an option is a script.
_INTERPRETERS = ("sh", "bash", "dash", "python", "python3", "perl", "node", "ruby", "lua")


def check_files(settings: Settings, view: View) -> Iterator[Finding]:
    """Yield a warning for each file that cannot be used as ``view`` sees it.

    Never an error: the daemon starts with what works and says what does not.
    """
    stands_in = "the next engine is used instead"
    files: list[tuple[KeyPath, Any, str]] = [
        (("audio", "virtual_input"), settings.get("audio", "virtual_input"), "the microphone stays silent"),
        (("stt", "whisper", "model"), _path_of(settings.get("stt", "whisper", "model")), stands_in),
        (("tts", "piper", "voice"), _path_of(settings.get("tts", "piper", "voice")), stands_in),
    ]
    files += [
        ((*path, "model"), word.get("model"), "the wake word is left out")
        for path, word in settings.elements("wake", "words")
        if word.get("enabled", True) and str(word.get("model")).endswith((".tflite", ".onnx"))
    ]
    for path, file, effect in files:
        if isinstance(file, str) and file and (obstacle := view.look(file, Use.READ)):
            yield warning(path, f"{file} {obstacle.message}: {effect}", obstacle.hint)
    yield from _check_speaker(settings, view)
    yield from check_commands(settings, view)


def _check_speaker(settings: Settings, view: View) -> Iterator[Finding]:
    voice, speaker = settings.get("tts", "piper", "voice"), settings.get("tts", "piper", "speaker")
    if not isinstance(voice, str) or not isinstance(speaker, int | str) or speaker == "":
        return
    paths = Paths(**{key: settings.get("paths", key) or "" for key in ("models", "state")})
    named = voice if "/" in voice else f"{voice.removesuffix('.onnx')}.onnx"
    file = models_dir(Config(paths=paths)) / os.path.expanduser(named)
    if view.look(f"{file}.json", Use.READ) is not None:
        # A voice that is not there is a finding of its own, or will be downloaded.
        return
    with suppress(ModelError):
        description = description_of(file)
        try:
            find_speaker(speaker, description)
        except ModelError as found:
            message = f"{found}: the next engine is used instead"
            yield warning(("tts", "piper", "speaker"), message, found.hint)


def check_commands(settings: Settings, view: View) -> Iterator[Finding]:
    """Yield a warning for each program of a custom command that cannot be run as ``view`` sees it."""
    for path, command in settings.elements("skills", "commands"):
        action = command.get("action")
        words = action.get("command") if isinstance(action, dict) else None
        if isinstance(words, list | tuple) and all(isinstance(word, str) for word in words):
            yield from _program((*path, "action", "command"), list(words), view)


def _program(path: KeyPath, words: list[str], view: View) -> Iterator[Finding]:
    # A program with a slot in its name is known only when the command is spoken.
    if not words or "{" in words[0]:
        return
    program = words[0]
    effect = "the command does not work"
    if not program:
        yield warning(
            (*path, 0), f"the name of the program is empty: {effect}", 'command = ["program", "argument"]'
        )
    elif program.startswith("~"):
        hint = "write the complete path, such as /etc/voxd/hooks.d/NAME"
        yield warning((*path, 0), f"{program}: no shell runs the program, so ~ stays as it is", hint)
    elif obstacle := view.look(program, Use.RUN):
        hint = obstacle.hint
        if " " in program and "/" not in program.split()[-1]:
            hint = f"write each word by itself: command = {list(program.split())}".replace("'", '"')
        yield warning((*path, 0), f"{program} {obstacle.message}: {effect}", hint)
    elif PurePath(program).name in _INTERPRETERS:
        yield from _script(path, words, view)


def _script(path: KeyPath, words: list[str], view: View) -> Iterator[Finding]:
    for index, word in enumerate(words[1:], start=1):
        if word in ("-c", "-m", "-e"):
            return
        if not word.startswith("-"):
            if "/" in word and "{" not in word and (obstacle := view.look(word, Use.READ)):
                message = f"{word} {obstacle.message}: the command does not work"
                yield warning((*path, index), message, obstacle.hint)
            return


def _path_of(model: Any) -> str:
    """Return ``model`` if it is a path, "" for the name of a model."""
    return model if isinstance(model, str) and "/" in model else ""
