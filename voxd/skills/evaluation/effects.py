"""What a sentence changed: the state of timers and device before and after, as a list of effects."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NAMED_REPEATS = {"daily": (0, 1, 2, 3, 4, 5, 6), "weekdays": (0, 1, 2, 3, 4), "weekends": (5, 6)}
_DURATION = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_EVERY_WEEKS = re.compile(r"(\d+)w:(.+)")
ONCE = "none"
"""How the repeat of something that rings once is written."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One change, with the fields that matter for it.

    ``what`` is a word of the file format (timer.set, cancel, volume …), ``target`` the label of what was
    changed, ``due_s`` the new moment in seconds since 1970, ``level`` a volume in percent.
    """

    what: str
    target: str = ""
    due_s: int | None = None
    name: str = ""
    repeat: str = ""
    level: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A timer, alarm or reminder as it stands; a paused one is due when it would be if it ran on now."""

    kind: str
    name: str
    due_s: int
    repeat: str = ""
    paused: bool = False
    ringing: bool = False


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Everything a sentence can change. ``stops`` and ``volume_sets`` count calls."""

    items: Mapping[int, Item]
    volume: int
    mic_open: bool
    stops: int = 0
    volume_sets: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed; ``implied`` may be expected as well, but says nothing new."""

    effects: tuple[Effect, ...]
    implied: tuple[Effect, ...] = ()


def volume_effect(level: int) -> Effect:
    """Return the effect of the volume ``level``; 0 is the sound switched off."""
    return Effect("volume", level=level) if level else Effect("sound off")


def find_changes(before: DeviceState, after: DeviceState, labels: Mapping[int, str], tz: tzinfo) -> Changes:
    """Return what is different in ``after``; ``labels`` names the items of ``before``."""
    came = {id: item for id, item in after.items.items() if id not in before.items}
    gone = {id: item for id, item in before.items.items() if id not in after.items}
    for id, item in tuple(gone.items()):
        # What was cancelled and restored may have another number.
        again = next((new for new, other in came.items() if other == item), None)
        if again is not None:
            del came[again], gone[id]
    effects: list[Effect] = []
    implied: list[Effect] = []
    for id, item in gone.items():
        was_silenced = item.ringing and not item.repeat
        effects.append(Effect("silence" if was_silenced else "cancel", labels[id]))
    for id in sorted(before.items.keys() & after.items.keys()):
        changed, follows = _item_changes(labels[id], before.items[id], after.items[id], tz)
        effects += changed
        implied += follows
    effects += [
        Effect(f"{item.kind}.set", due_s=item.due_s, name=item.name, repeat=item.repeat)
        for item in came.values()
    ]
    device, unchanged = _device_changes(before, after)
    return Changes((*effects, *device), (*implied, *unchanged))


def _item_changes(label: str, before: Item, after: Item, tz: tzinfo) -> tuple[list[Effect], list[Effect]]:
    """Return the changes of one item, and those that follow from them."""
    effects: list[Effect] = []
    implied: list[Effect] = []
    same_time = _time_of_day(before.due_s, tz) == _time_of_day(after.due_s, tz)
    moved = Effect("change", label, due_s=after.due_s)
    if before.ringing and not after.ringing:
        every = after.repeat == f"every:{duration_text(after.due_s - before.due_s)}"
        was_silenced = every or (after.repeat and same_time)
        snoozed = Effect("snooze", label, due_s=after.due_s)
        effects.append(Effect("silence", label) if was_silenced else snoozed)
    elif before.due_s != after.due_s:
        # On other days than before the next one has another date: that needs no words.
        follows = before.repeat != after.repeat and same_time
        (implied if follows else effects).append(moved)
    else:
        implied.append(moved)
    if before.repeat != after.repeat:
        effects.append(Effect("change", label, repeat=after.repeat or ONCE))
    if before.name != after.name:
        effects.append(Effect("rename", label, name=after.name))
    if before.paused != after.paused:
        effects.append(Effect("pause" if after.paused else "resume", label))
    return effects, implied


def _device_changes(before: DeviceState, after: DeviceState) -> tuple[list[Effect], list[Effect]]:
    effects, implied = [], []
    if after.volume != before.volume:
        effects.append(volume_effect(after.volume))
    elif after.volume_sets > before.volume_sets:
        implied.append(volume_effect(after.volume))
    if before.mic_open != after.mic_open:
        effects.append(Effect("mic on" if after.mic_open else "mic off"))
    # To stop is to silence what rings, which the items show.
    if after.stops > before.stops and not any(item.ringing for item in before.items.values()):
        effects.append(Effect("stop"))
    return effects, implied


def _time_of_day(wall_s: int, tz: tzinfo) -> tuple[int, int]:
    local = datetime.fromtimestamp(wall_s, tz)
    return local.hour, local.minute


def read_duration(text: str) -> int:
    """Return the seconds of 1h30m, 10m, 45s, 2d. Raises `ValueError`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def duration_text(seconds: int) -> str:
    """Return ``seconds`` as `read_duration` reads them."""
    text, left = "", abs(seconds)
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return ("-" if seconds < 0 else "") + (text or "0s")


def read_repeat(text: str) -> dict[str, Any]:
    """Return the fields of the `Repeat` that ``text`` stands for. Raises `ValueError`.

    daily, weekdays, weekends, mon,thu, 2w:fri, monthly:1, every:2h.
    """
    if text.startswith("monthly:") and text.removeprefix("monthly:").isdecimal():
        return {"month_day": int(text.removeprefix("monthly:"))}
    if text.startswith("every:"):
        return {"interval_s": float(read_duration(text.removeprefix("every:")))}
    weeks = _EVERY_WEEKS.fullmatch(text)
    days = weeks[2] if weeks else text
    if days in _NAMED_REPEATS:
        weekdays = _NAMED_REPEATS[days]
    elif all(day in DAYS for day in days.split(",")):
        weekdays = tuple(sorted(DAYS.index(day) for day in days.split(",")))
    else:
        raise ValueError(f"{text!r} is not a repeat such as daily, mon,thu, 2w:fri, monthly:1, every:2h")
    return {"weekdays": weekdays, "every_weeks": int(weeks[1]) if weeks else 1}


def repeat_text(fields: Mapping[str, Any]) -> str:
    """Return the fields of a `Repeat` in the one spelling that effects are compared in."""
    if fields.get("month_day"):
        return f"monthly:{fields['month_day']}"
    if fields.get("interval_s"):
        return f"every:{duration_text(int(fields['interval_s']))}"
    weekdays = tuple(fields["weekdays"])
    names = {days: name for name, days in _NAMED_REPEATS.items()}
    text = names.get(weekdays) or ",".join(DAYS[day] for day in weekdays)
    weeks = fields.get("every_weeks", 1)
    return text if weeks == 1 else f"{weeks}w:{text}"


def effect_text(effect: Effect, now: datetime) -> str:
    """Return ``effect`` as it is written in a file, seen from ``now``."""
    return " ".join(_parts(effect, now))


def _parts(effect: Effect, now: datetime) -> Iterator[str]:
    yield effect.what
    if effect.target:
        yield effect.target
    if effect.due_s is not None:
        left = duration_text(effect.due_s - round(now.timestamp()))
        moment = datetime.fromtimestamp(effect.due_s, now.tzinfo).strftime("%Y-%m-%dT%H:%M:%S")
        moment = moment.removesuffix(":00")
        match effect.what:
            case "timer.set" | "snooze":
                yield left
            case "change":
                yield f"at={moment} (left={left})"
            case _:
                yield moment
    if effect.repeat:
        yield f"repeat={effect.repeat}"
    if effect.name:
        yield effect.name if effect.what == "rename" else f'{_name_key(effect.what)}="{effect.name}"'
    if effect.level is not None:
        yield str(effect.level)


def _name_key(what: str) -> str:
    return "text" if what == "reminder.set" else "name"
