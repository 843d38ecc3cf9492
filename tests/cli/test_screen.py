"""What a person in front of a foreground daemon sees."""

import sys
from typing import Any

import pytest

from voxd.cli.screen import _LINES, Screen, print_line
from voxd.events import EVENT_TYPES, Event

EVENTS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("daemon.ready", {"version": "1", "audio": "Listening"}, ["ready      Listening"]),
    ("state.changed", {"from": "idle", "to": "listening"}, ["state      idle -> listening"]),
    (
        "wake.detected",
        {"word": "hey_jarvis", "score": 0.914, "first_score": 0.5},
        ['wake word  "hey jarvis"  score 0.91 (first stage 0.50)'],
    ),
    ("wake.rejected", {"word": "alexa", "reason": "score"}, ["not a wake word: alexa (score)"]),
    ("turn.transcript", {"text": "stop\x1b[2J", "engine": "flite"}, ['heard      "stop [2J"  (flite)']),
    ("turn.reply", {"text": "It is noon."}, ['answer     "It is noon."']),
    ("playback.started", {"kind": "reply", "wav": "/x.wav"}, ["reply in   /x.wav"]),
    ("playback.started", {"kind": "reply", "wav": ""}, []),
    (
        "turn.ended",
        {"outcome": "answered", "latency_ms": 120.4, "stages_ms": {"speech": 900.0, "response": 120.4}},
        ["turn       answered  ms: speech 900", "response   120 ms from end of speech to first sound"],
    ),
    (
        "turn.ended",
        {"outcome": "no_speech", "latency_ms": None, "stages_ms": {}},
        ["turn       no_speech  ms: "],
    ),
    ("audio.lost", {"device": "Mic", "reason": "stalled", "hint": "plug"}, ["problem    stalled (plug)"]),
    ("audio.restored", {"device": "Mic", "after_s": 2.0}, ["microphone Mic is back"]),
    ("output.lost", {"device": "Box", "reason": "gone"}, ["problem    gone"]),
    ("engine.failed", {"engine": "piper", "code": "x", "reason": "dead"}, ["problem    dead"]),
    ("engine.changed", {"kind": "tts", "engine": "flite"}, ["tts now uses flite"]),
    ("timer.ringing", {"id": 1, "kind": "alarm", "name": ""}, ["ringing    alarm"]),
    ("mute.changed", {"muted": True, "source": "button"}, ["muted"]),
    ("mute.changed", {"muted": False, "source": "button"}, ["unmuted"]),
    ("error", {"code": "x", "message": "bad", "hint": ""}, ["problem    bad"]),
    ("speech.started", {"sample": 1}, []),
]


@pytest.mark.parametrize(("type", "data", "shown"), EVENTS)
def test_an_event_is_shown_in_plain_words(type: str, data: dict[str, Any], shown: list[str]) -> None:
    lines: list[str] = []
    Screen(lines.append, colours=False)(Event(1, type, 0.0, None, data))
    assert [line[10:] for line in lines] == shown


def test_every_line_belongs_to_an_event_there_is_and_is_tried_above() -> None:
    assert set(_LINES) <= set(EVENT_TYPES)
    assert set(_LINES) == {type for type, _, shown in EVENTS if shown}


def test_colours_only_where_they_are_wanted() -> None:
    lines: list[str] = []
    event = Event(1, "turn.reply", 0.0, None, {"text": "It is noon."})
    Screen(lines.append, colours=True)(event)
    assert "\x1b[33manswer" in lines[0]
    assert lines[0].endswith("\x1b[0m")


def test_a_screen_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="ascii", errors="backslashreplace") as full:
        monkeypatch.setattr(sys, "stdout", full)
        print_line("grüß dich")
        print_line("again")
