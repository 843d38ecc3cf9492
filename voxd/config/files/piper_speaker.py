"""Which speaker of a Piper voice is meant: by number or by name, from the description beside the voice."""

import json
from pathlib import Path
from typing import Any

from voxd.config.mistakes.words import meant_word
from voxd.errors import ModelError

_NAMED = 6


def description_of(voice: Path) -> dict[str, Any]:
    """Return the .onnx.json of ``voice``. Raises `ModelError` when it cannot be read."""
    path = voice.with_name(f"{voice.name}.json")
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        hint = f"put {path.name} beside the voice"
        raise ModelError(f"{path} cannot be read: {error}", hint=hint) from error
    return found if isinstance(found, dict) else {}


def find_speaker(speaker: int | str, description: dict[str, Any]) -> int | None:
    """Return the number of ``speaker``, None for "", which is the voice's own choice.

    A name is tried before a number: voices made of LibriTTS name their speakers by numbers. Raises
    `ModelError` when the voice has no such speaker.
    """
    if speaker == "":
        return None
    count = description.get("num_speakers", 1)
    names = description.get("speaker_id_map") or {}
    if isinstance(speaker, str):
        by_name = {name.casefold(): number for name, number in reversed(names.items())}
        found = names.get(speaker, by_name.get(speaker.strip().casefold()))
        if found is not None:
            return int(found)
    if str(speaker).strip().isdecimal() and int(speaker) < count:
        return int(speaker)
    if str(speaker) in names:
        return int(names[str(speaker)])
    raise ModelError(f"the voice has no speaker {speaker!r}", hint=_hint(str(speaker), count, names))


def _hint(speaker: str, count: int, names: dict[str, int]) -> str:
    if count < 2:
        return "remove tts.piper.speaker: the voice has one speaker"
    numbers = f"set tts.piper.speaker to a number from 0 to {count - 1}"
    if alike := meant_word(speaker, names):
        return f"{numbers}, or to {alike!r}, which is alike"
    if not names:
        return numbers
    more = ", …" if len(names) > _NAMED else ""
    return f"{numbers}, or to a name: {', '.join(list(names)[:_NAMED])}{more}"
