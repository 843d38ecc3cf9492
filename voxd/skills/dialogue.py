"""Answers to the questions of the device: which intent with which slots an answer completes."""

from dataclasses import replace
from typing import Any

from voxd.skills.contract import Match, Question
from voxd.skills.understanding.numbers import ClockTime
from voxd.skills.understanding.temporal import When, merge_when
from voxd.skills.understanding.understander import Understander

CANCELLED = Match("never_mind")
"""What an answer means that takes the request back."""

_MINUTE_S = 60.0
_MAX_HOUR = 24

_ANSWERS: dict[str, tuple[str, ...]] = {
    "duration": ("duration", "when", "number", "no"),
    "new_duration": ("duration", "number", "when", "no"),
    "when": ("when", "duration", "number", "no"),
    "new_when": ("when", "duration", "number", "no"),
    "half": ("half", "when", "no"),
    "which": ("all", "all_but", "no", "name"),
    "confirm": ("yes", "no"),
}

_ANY_VALUE = ("duration", "when", "number", "no")
"""What answers the question of a third-party skill, whose ``missing`` may be any name."""


def read_answer(question: Question, said: tuple[str, ...], understander: Understander) -> Match | None:
    """Return what to do now that ``said`` answers ``question``, None when it is about something else."""
    if question.missing == "text":
        return _read_text(question, said, understander)
    kinds = _ANSWERS.get(question.missing, _ANY_VALUE)
    answer = understander.match_answer(said, kinds)
    if answer is None:
        return None
    if answer.intent == "no":
        return CANCELLED
    match question.missing:
        case "which":
            is_other = "kind" in answer.slots and "kind" in question.slots
            # "Which timer?" "The alarm." That is another request.
            return None if is_other else _read_which(question, answer)
        case "half":
            return _read_half(question, answer)
        case "confirm":
            return Match(question.intent, question.slots)
        case missing if missing in _ANSWERS:
            return _read_value(question, answer, missing)
        case _:
            return Match(question.intent, {**question.slots, **answer.slots})


def _read_text(question: Question, said: tuple[str, ...], understander: Understander) -> Match | None:
    answer = understander.match_answer(said, ("no",))
    if answer is not None:
        return CANCELLED
    if understander.understand(said).matches:
        return None
    text = " ".join(said[1:] if said[0] in ("to", "about", "of", "that") and len(said) > 1 else said)
    return Match(question.intent, {**question.slots, "text": text})


def _read_value(question: Question, answer: Match, missing: str) -> Match | None:
    value = _value_of(answer, wants_duration=missing.endswith("duration"))
    if value is None:
        return None
    known = question.slots.get(missing)
    slots = {**question.slots}
    if isinstance(value, When) and missing.endswith("duration"):
        if value.duration_s is None:
            # "Set a timer." "Until seven." The time of day says how long.
            return Match(question.intent, {**slots, "when": value})
        value = value.duration_s
    if isinstance(value, When) and isinstance(known, When):
        value = merge_when(known, value)
    return Match(question.intent, {**slots, missing: value})


def _value_of(answer: Match, *, wants_duration: bool) -> Any:
    slots = answer.slots
    if (number := slots.get("number")) is not None:
        if wants_duration:
            return number * _MINUTE_S
        return When(clock=ClockTime(number)) if number <= _MAX_HOUR else None
    if "duration" in slots:
        return float(slots["duration"]) if wants_duration else When(duration_s=float(slots["duration"]))
    return slots.get("when")


def _read_which(question: Question, answer: Match) -> Match:
    if answer.intent == "all_but" and question.intent == "cancel":
        return Match("cancel_all_but", {**question.slots, "options": question.options, **answer.slots})
    if answer.intent == "all":
        return Match(question.intent, {**question.slots, "options": question.options, "all": True})
    return Match(question.intent, {**question.slots, "options": question.options, **answer.slots})


def _read_half(question: Question, answer: Match) -> Match | None:
    when: When | None = answer.slots.get("when")
    half = answer.slots.get("half", "")
    known = question.slots.get("new_when", question.slots.get("when"))
    key = "new_when" if "new_when" in question.slots else "when"
    if not isinstance(known, When):
        return None
    clock: ClockTime | None = when.clock if when is not None else None
    if clock is None:
        if not half and when is not None and when.part:
            half = "am" if when.part == "morning" else "pm"
        same = [option for option in question.options if option.half == half]
        # "Half past six or half past seven?" is not answered by "in the morning".
        clock = same[0] if half and same else None
    if clock is None:
        return None
    chosen = replace(merge_when(known, when) if when is not None else known, clock=clock, unclear="")
    return Match(question.intent, {**question.slots, key: chosen})
