"""Prints the events of a turn on the terminal of a daemon in the foreground.

The user's words appear here only: they are never logged.
"""

import time
from collections.abc import Callable
from typing import Any

from voxd.cli.output import adapt_hint, clean, discard_output
from voxd.events import Event
from voxd.observe.ledger import RESPONSE


def print_line(line: str) -> None:
    """Print ``line`` at once; without a terminal or disk that takes it, nothing is printed any more."""
    try:
        print(line, flush=True)
    except OSError:
        # The terminal was closed, or a disk is full: the device goes on without its screen.
        discard_output()


class Screen:
    """An event handler that prints the events of interest to a user at the terminal."""

    def __init__(self, write: Callable[[str], None], *, colours: bool) -> None:
        self._write = write
        self._colours = colours

    def __call__(self, event: Event) -> None:
        """Print ``event`` if its type is listed in ``_LINES``."""
        lines = _LINES.get(event.type)
        if lines is None:
            return
        for colour, text in lines(event.data):
            shown = f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour else text
            self._write(f"{time.strftime('%H:%M:%S', time.localtime(event.time))}  {shown}")


Lines = list[tuple[str, str]]
_DIM, _CYAN, _GREEN, _YELLOW, _RED = "2", "36", "32", "33", "31"


def _wake(data: dict[str, Any]) -> Lines:
    word = data["word"].replace("_", " ")
    return [
        (_CYAN, f'wake word  "{word}"  score {data["score"]:.2f} (first stage {data["first_score"]:.2f})')
    ]


def _ended(data: dict[str, Any]) -> Lines:
    stages = {name: ms for name, ms in data["stages_ms"].items() if name != RESPONSE}
    times = "  ".join(f"{name} {ms:.0f}" for name, ms in stages.items())
    lines = [(_DIM, f"turn       {data['outcome']}  ms: {times}")]
    if data["latency_ms"] is not None:
        lines.append((_DIM, f"response   {data['latency_ms']:.0f} ms from end of speech to first sound"))
    return lines


def _problem(data: dict[str, Any]) -> Lines:
    text = data.get("message") or data.get("reason") or ""
    hint = f" ({adapt_hint(data['hint'])})" if data.get("hint") else ""
    return [(_RED, f"problem    {clean(text)}{clean(hint)}")]


_LINES: dict[str, Callable[[dict[str, Any]], Lines]] = {
    "daemon.ready": lambda data: [("", f"ready      {clean(data['audio'])}")],
    "state.changed": lambda data: [(_DIM, f"state      {data['from']} -> {data['to']}")],
    "wake.detected": _wake,
    "wake.rejected": lambda data: [(_DIM, f"not a wake word: {data['word']} ({data['reason']})")],
    "turn.transcript": lambda data: [(_GREEN, f'heard      "{clean(data["text"])}"  ({data["engine"]})')],
    "turn.reply": lambda data: [(_YELLOW, f'answer     "{clean(data["text"])}"')],
    "playback.started": lambda data: [(_DIM, f"reply in   {data['wav']}")] if data.get("wav") else [],
    "turn.ended": _ended,
    "audio.lost": _problem,
    "audio.restored": lambda data: [("", f"microphone {clean(data['device'])} is back")],
    "output.lost": _problem,
    "engine.failed": _problem,
    "engine.changed": lambda data: [("", f"{data['kind']} now uses {data['engine']}")],
    "timer.ringing": lambda data: [(_YELLOW, f"ringing    {data['kind']}")],
    "mute.changed": lambda data: [("", "muted" if data["muted"] else "unmuted")],
    "error": _problem,
}
