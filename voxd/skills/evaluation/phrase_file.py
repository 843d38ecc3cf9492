"""Reads a file of sentences, each with what it must do: the input of `voxctl skills eval`."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voxd.errors import InvalidRequest
from voxd.skills.evaluation.effects import (
    ONCE,
    Effect,
    read_duration,
    read_repeat,
    repeat_text,
    volume_effect,
)

DEFAULT_TIME = datetime.fromisoformat("2026-11-30T10:00")
"""The local time of the sentences above the first @clock: fixed, so that a file always means the same."""

FORMAT = """\
# A comment. Every sentence begins anew from the state that the lines with @ above it give.
@clock 2026-11-30T10:00          the local time (default: this one, a Monday)
@zone Europe/Berlin              the time zone (default UTC)
@given                           forget the state
@given p timer 10m pizza         a label, timer, alarm or reminder, and when: 10m, 1h30m, 45s or a local time;
                                 then the words of its name
@given q timer 10m left=4m       one that has been running; add `paused` if it does not run
@given a alarm 2026-12-01T07:00 repeat=weekdays gym
@given ringing a                 it rings now
@given volume 40                 in percent (default 50)
@given said The last reply of the device
sentence<TAB>expected
first sentence // second sentence<TAB>expected

Expected is one of
  refuse                         nothing happened, and the device did not pretend otherwise
  ask                            a question was asked
  say INTENT|INTENT              an answer with one of these intents, and nothing changed
or effects in any order, with ; between them:
  timer.set 5m name=pizza        alarm.set 2026-12-01T07:00 repeat=daily name="morning run"
  reminder.set 2026-12-01T09:00 repeat=monthly:1 text="call mom"
  cancel p    pause p    resume p    rename p tea    snooze a 10m    silence a
  change p left=15m              change a at=2026-12-01T19:00        change a repeat=daily
  volume 40   sound off   sound on   mic off   stop   ask
Between several that are as good stands OR: refuse OR ask.
A repeat is daily, weekdays, weekends, mon,thu, 2w:fri, monthly:1, every:2h or none.
"""
"""The description of the format, for people."""

T = TypeVar("T")

_HINT = "`voxctl skills eval --help` describes the format"

KINDS = ("timer", "alarm", "reminder")

_TOKEN = re.compile(r'(?:[^\s";]|"[^"]*")+|;')
_PLAIN = ("sound off", "sound on", "mic off", "mic on", "stop")
_ON_TARGET = ("cancel", "pause", "resume", "silence")


@dataclass(frozen=True, slots=True)
class GivenItem:
    """Something that is set before a sentence is said; ``due`` is local, None for a countdown.

    A countdown was set for ``length_s`` seconds, of which ``left_s`` are left.
    """

    label: str
    kind: str
    name: str = ""
    due: datetime | None = None
    length_s: int = 0
    left_s: int = 0
    repeat: str = ""
    paused: bool = False
    ringing: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """The state before a sentence; ``now`` is the time in the zone ``tz``."""

    now: datetime
    tz: tzinfo
    items: tuple[GivenItem, ...] = ()
    volume: int = 50
    said: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a sentence: effects, a question, one of the ``intents``, or an honest refusal."""

    text: str
    effects: tuple[Effect, ...] = ()
    asks: bool = False
    refuses: bool = False
    intents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """The sentences of one line, and what must come of them: one of ``expected``."""

    line: int
    sentences: tuple[str, ...]
    expected: tuple[Expected, ...]
    given: Given

    @property
    def text(self) -> str:
        """The sentences as they stand in the file."""
        return " // ".join(self.sentences)

    @property
    def wanted(self) -> str:
        """What is expected, as it stands in the file."""
        return " OR ".join(expected.text for expected in self.expected)


def read_phrases(text: str, file: str) -> list[Case]:
    """Return the cases of ``text``; ``file`` is its name. Raises `InvalidRequest` with every mistake."""
    reader = _Reader()
    cases: list[Case] = []
    mistakes: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            if line.startswith("@"):
                reader.directive(line)
            else:
                cases.append(reader.case(number, line))
        except ValueError as error:
            mistakes.append(f"{file}:{number}: {error}")
    if mistakes:
        raise InvalidRequest("\n".join(mistakes), hint=_HINT)
    if not cases:
        raise InvalidRequest(f"{file} holds no sentence", hint=_HINT)
    return cases


class _Reader:
    """The state that the lines read so far give."""

    def __init__(self) -> None:
        self._clock = DEFAULT_TIME
        self._zone: tzinfo = UTC
        self._items: dict[str, GivenItem] = {}
        self._volume = 50
        self._said = ""

    def directive(self, line: str) -> None:
        """Take up a line that begins with @."""
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        match word:
            case "@clock":
                self._clock = _moment(rest)
            case "@zone":
                self._zone = _zone(rest)
            case "@given":
                self._give(rest)
            case _:
                raise ValueError(f"unknown {word}: there are @clock, @zone and @given")

    def _give(self, rest: str) -> None:
        words = rest.split()
        match words:
            case []:
                self._items, self._volume, self._said = {}, 50, ""
            case ["ringing", label]:
                self._items[label] = replace(self._item(label), ringing=True)
            case ["volume", level]:
                self._volume = _percent(level)
            case ["said", *_]:
                self._said = rest.removeprefix("said").strip()
            case [label, kind, when, *more] if kind in KINDS:
                if label in self._items:
                    raise ValueError(f"the label {label} is given twice")
                self._items[label] = _given_item(label, kind, when, more)
            case _:
                raise ValueError("expected: @given LABEL timer|alarm|reminder WHEN [NAME]")

    def _item(self, label: str) -> GivenItem:
        if label not in self._items:
            raise ValueError(f"no timer has the label {label}")
        return self._items[label]

    def case(self, number: int, line: str) -> Case:
        """Return the case of a line with a sentence."""
        said, tab, wanted = line.partition("\t")
        sentences = tuple(part.strip() for part in said.split("//"))
        if not tab or not wanted.strip():
            raise ValueError("expected: a sentence, a tab, and what it must do")
        if not all(sentences):
            raise ValueError("a sentence is empty")
        now = self._clock.replace(tzinfo=self._zone)
        items = tuple(self._at(item, now) for item in self._items.values())
        given = Given(now, self._zone, items, self._volume, self._said)
        expected = tuple(read_expected(part.strip(), given) for part in wanted.split(" OR "))
        return Case(number, sentences, expected, given)

    def _at(self, item: GivenItem, now: datetime) -> GivenItem:
        if item.ringing:
            weekdays = read_repeat(item.repeat).get("weekdays") if item.repeat else None
            if weekdays and now.weekday() not in weekdays:
                raise ValueError(f"{item.label} cannot ring on this day: it repeats {item.repeat}")
            # It came due now, wherever the clock of this line stands.
            return replace(item, due=now if item.due else None, left_s=0)
        if item.due is None:
            return item
        due = item.due.replace(tzinfo=self._zone)
        if due <= now:
            raise ValueError(f"{item.label} is set for {item.due.isoformat()}, which has passed")
        return replace(item, due=due)


def _given_item(label: str, kind: str, when: str, more: Iterable[str]) -> GivenItem:
    item = GivenItem(label, kind)
    if when[:1].isdigit() and "-" in when:
        item = replace(item, due=_moment(when))
    else:
        length_s = read_duration(when)
        item = replace(item, length_s=length_s, left_s=length_s)
    name = []
    for word in more:
        if word.startswith("repeat="):
            item = replace(item, repeat=_repeat(word.removeprefix("repeat=")))
        elif word.startswith("left="):
            item = replace(item, left_s=read_duration(word.removeprefix("left=")))
        elif word == "paused":
            item = replace(item, paused=True)
        else:
            name.append(word.strip('"'))
    if item.left_s > item.length_s:
        raise ValueError("more is left than it was set for")
    return replace(item, name=_name(" ".join(name)))


def read_expected(text: str, given: Given) -> Expected:
    """Return what ``text`` expects of a sentence that is said in the state ``given``. Raises `ValueError`."""
    if text == "refuse":
        return Expected(text, refuses=True)
    if text.startswith("say "):
        intents = tuple(intent.strip() for intent in text.removeprefix("say ").split("|"))
        if not all(intent and " " not in intent for intent in intents):
            raise ValueError("expected: say INTENT or say INTENT|INTENT")
        return Expected(text, intents=intents)
    effects: list[Effect] = []
    asks = False
    for words in _split(text):
        if words == ["ask"]:
            asks = True
        else:
            effects += _read_effect(words, given)
    return Expected(text, tuple(effects), asks)


def _split(text: str) -> list[list[str]]:
    """Return the words of each effect, quotation marks gone."""
    parts: list[list[str]] = [[]]
    for token in _TOKEN.findall(text):
        if token == ";":
            parts.append([])
        else:
            parts[-1].append(token.replace('"', ""))
    if not all(parts):
        raise ValueError("an effect is empty")
    return parts


def _read_effect(words: list[str], given: Given) -> list[Effect]:
    items = {item.label: item for item in given.items}
    what, *rest = words
    if " ".join(words) in _PLAIN:
        ringing = [Effect("silence", item.label) for item in given.items if item.ringing]
        return ringing if words == ["stop"] and ringing else [Effect(" ".join(words))]
    if what == "volume" and len(rest) == 1:
        return [volume_effect(_percent(rest[0]))]
    kind, _, verb = what.partition(".")
    if kind in KINDS and verb == "set" and rest:
        return [_read_set(what, rest, given)]
    if what in (*_ON_TARGET, "rename", "snooze", "change") and rest:
        if rest[0] not in items:
            raise ValueError(f"no timer has the label {rest[0]}")
        return _read_on_target(what, items[rest[0]], rest[1:], given)
    raise ValueError(f"unknown effect {' '.join(words)!r}")


def _read_on_target(what: str, item: GivenItem, rest: list[str], given: Given) -> list[Effect]:
    if what in _ON_TARGET and not rest:
        # A thing that rings is over: to cancel it is to silence it.
        is_over = what == "cancel" and item.ringing and not item.repeat
        return [Effect("silence" if is_over else what, item.label)]
    if what == "rename" and rest:
        return [Effect(what, item.label, name=_name(" ".join(rest)))]
    if what == "snooze" and len(rest) == 1:
        return [Effect(what, item.label, due_s=_due_s(rest[0], given))]
    if what == "change" and rest:
        return [_read_change(item.label, word, given) for word in rest]
    raise ValueError(f"{what} needs other words behind {item.label}")


def _read_change(label: str, word: str, given: Given) -> Effect:
    key, _, value = word.partition("=")
    match key:
        case "left" | "at":
            return Effect("change", label, due_s=_due_s(value, given))
        case "repeat":
            return Effect("change", label, repeat=_repeat(value) or ONCE)
        case _:
            raise ValueError(f"{word!r} is not left=, at= or repeat=")


def _read_set(what: str, rest: list[str], given: Given) -> Effect:
    effect = Effect(what, due_s=_due_s(rest[0], given))
    for word in rest[1:]:
        key, _, value = word.partition("=")
        match key:
            case "name" | "text":
                effect = replace(effect, name=_name(value))
            case "repeat":
                effect = replace(effect, repeat=_repeat(value))
            case _:
                raise ValueError(f"{word!r} is not name=, text= or repeat=")
    return effect


def _due_s(text: str, given: Given) -> int:
    """Return the moment (seconds since 1970) of a duration from now or of a local time."""
    if "-" in text:
        return round(_moment(text).replace(tzinfo=given.tz).timestamp())
    return round(given.now.timestamp()) + read_duration(text)


def _repeat(text: str) -> str:
    return "" if text == ONCE else repeat_text(read_repeat(text))


def _name(text: str) -> str:
    """Return a name as it is compared: recognisers know no capitals."""
    return " ".join(text.lower().split())


def _moment(text: str) -> datetime:
    moment = _converted(datetime.fromisoformat, text, "a local time such as 2026-11-30T10:00")
    if "T" not in text or moment.tzinfo is not None:
        raise ValueError(f"{text!r} is not a local time such as 2026-11-30T10:00")
    return moment


def _percent(text: str) -> int:
    level = _converted(int, text, "a volume from 0 to 100")
    if not 0 <= level <= 100:
        raise ValueError(f"{text!r} is not a volume from 0 to 100")
    return level


def _converted(convert: Callable[[str], T], text: str, what: str) -> T:
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {what}") from None


def _zone(text: str) -> tzinfo:
    try:
        return UTC if text == "UTC" else ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"{text!r} is not a time zone such as Europe/Berlin") from None
