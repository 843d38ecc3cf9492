"""Stable names of sound devices, and the choice of a device by its configured name; no I/O."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from voxd.errors import DeviceError

DEFAULT = "default"
_HARDWARE = re.compile(r"\s*\(hw:(?P<card>\d+),(?P<device>\d+)\)$")


class FoundDevice(NamedTuple):
    """One device as PortAudio lists it; ``number`` is valid only in the process that made the list."""

    number: int
    name: str
    inputs: int
    outputs: int
    rate_hz: float
    default_input: bool
    default_output: bool
    raw_name: str


def card_number(raw_name: str) -> int | None:
    """Return the ALSA card number in a PortAudio name such as "USB Audio (hw:1,0)", else None."""
    # PortAudio appends it to the names of ALSA hardware devices only.
    match = _HARDWARE.search(raw_name)
    return int(match["card"]) if match else None


def stable_names(raw_names: Sequence[str], card_ids: Mapping[int, str]) -> list[str]:
    """Return names without the ALSA card number, unique within the list.

    ``card_ids`` maps card numbers to the ids in /proc/asound.
    """
    # The card number changes with the order of plugging and at boot, so a configuration cannot rely on it.
    bare = [_HARDWARE.sub("", name).strip().rstrip(" :-") for name in raw_names]
    # Two equal cards: first the card id distinguishes them, which names the hardware, then a running number.
    with_card = []
    for name, raw in zip(bare, raw_names, strict=True):
        number = card_number(raw)
        card = card_ids.get(number, "") if number is not None else ""
        with_card.append(f"{name} [{card}]" if bare.count(name) > 1 and card else name)
    seen: Counter[str] = Counter()
    names = []
    for name in with_card:
        seen[name] += 1
        names.append(f"{name} #{seen[name]}" if seen[name] > 1 else name)
    return names


def resolve(name: str, devices: Sequence[str]) -> str:
    """Return the one of ``devices`` that is called ``name``, or else the only one that contains it.

    Raises `DeviceError`, code ``device_ambiguous`` or ``device_missing`` (the hint suggests a similar name).
    """
    if name in devices:
        return name
    wanted = name.casefold()
    same = [device for device in devices if device.casefold() == wanted]
    partial = same or [device for device in devices if wanted in device.casefold()]
    if len(partial) == 1:
        return partial[0]
    if partial:
        raise DeviceError(
            f"{name!r} matches {len(partial)} devices: {', '.join(partial)}",
            hint="write the whole name from `voxctl devices`",
            code="device_ambiguous",
        )
    near = difflib.get_close_matches(wanted, [device.casefold() for device in devices], n=1, cutoff=0.5)
    meant = next((device for device in devices if near and device.casefold() == near[0]), "")
    hint = f"did you mean {meant!r}? Run `voxctl devices`" if meant else "run `voxctl devices`"
    raise DeviceError(f"no sound device is called {name!r}", hint=hint, code="device_missing")
