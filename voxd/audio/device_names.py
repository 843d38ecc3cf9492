"""Stable names of sound devices, and which device a configured name means; rules without a sound card."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from voxd.errors import DeviceError

DEFAULT = "default"
_HARDWARE = re.compile(r"\s*\(hw:(?P<card>\d+),(?P<device>\d+)\)$")


class FoundDevice(NamedTuple):
    """One device as PortAudio lists it: ``number`` is good for this process and this moment only."""

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
    match = _HARDWARE.search(raw_name)
    return int(match["card"]) if match else None


def stable_names(raw_names: Sequence[str], card_ids: Mapping[int, str]) -> list[str]:
    """Return names without the card number, which changes at every plug and boot.

    Two equal names are distinguished by the card's id from /proc/asound (``card_ids``), which names the
    hardware, then by the number of the device on the card.
    """
    bare = [_HARDWARE.sub("", name).strip().rstrip(" :-") for name in raw_names]
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
    """Return the one of ``devices`` that ``name`` means: exactly, else as the only one containing it.

    Raises `DeviceError` with the code ``device_missing``; the hint says what was probably meant.
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
            f"{name!r} fits {len(partial)} devices: {', '.join(partial)}",
            hint="write the whole name from `voxctl devices`",
            code="device_ambiguous",
        )
    near = difflib.get_close_matches(wanted, [device.casefold() for device in devices], n=1, cutoff=0.5)
    meant = next((device for device in devices if near and device.casefold() == near[0]), "")
    hint = f"did you mean {meant!r}? Run `voxctl devices`" if meant else "run `voxctl devices`"
    raise DeviceError(f"no sound device is called {name!r}", hint=hint, code="device_missing")
